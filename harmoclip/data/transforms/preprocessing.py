"""What a model does to an image before it sees it, read from the model's own configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, Literal, Self

from harmoclip.errors import InputError
from harmoclip.models import LoadedModel
from harmoclip.notebook import table

Resize = Literal["shortest", "longest", "squash"]
Pixels = Literal["pillow", "numpy", "tensor"]

_FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
_BY_PILLOW_NUMBER = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}


@dataclass(frozen=True)
class Preprocessing:
    """One model's way from an RGB image to its input.

    The image is resized to `scaled` (short side on it, long side on it, or both regardless of shape), then
    cropped or padded about its centre to `size`, then its values are multiplied by
    `rescale` and normalized by `mean` and `std`.

    Args:
        size: Height and width of the model's input.
        scaled: Height and width that the image is resized to, before the crop.
        resize: Which sides meet `scaled`.
        interpolation: Pillow's name of the filter, in lower case.
        mean: Of each channel, of the rescaled values; None leaves them as they are.
        std: Of each channel, of the rescaled values; None leaves them as they are.
        fill: Color of padding, 0 to 255.
        pixels: What works on the pixels: `pillow` as in open_clip and timm; `tensor`, torchvision on uint8,
            as in transformers' processors, a few grey levels away; `numpy`, as in those that use Pillow.
        rescale: What a channel's value, 0 to 255, is multiplied by; None leaves it as it is.

    Example:
        >>> Preprocessing.of({"size": 224, "resize_mode": "squash"}).resize
        'squash'
    """

    size: tuple[int, int]
    scaled: tuple[int, int]
    resize: Resize
    interpolation: str
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    fill: int | tuple[int, ...] = 0
    pixels: Pixels = "pillow"
    rescale: float | None = 1 / 255

    def __post_init__(self) -> None:
        if self.interpolation not in _FILTERS:
            raise InputError(
                f"interpolation is {self.interpolation!r}: expected one of {', '.join(_FILTERS)}."
            )
        if self.resize not in ("shortest", "longest", "squash"):
            raise InputError(f"resize is {self.resize!r}: expected shortest, longest or squash.")

    def _repr_html_(self) -> str:
        return table("Preprocessing", asdict(self))

    @classmethod
    def of(cls, source: Any) -> Self:
        """Read it from whatever describes it.

        Args:
            source: What `load_model` gives, an open_clip model, its `preprocess_cfg`, a Hugging Face
                processor or image processor, a timm model or its data configuration, torchvision's Compose of
                a resize, a crop, `ToTensor` and `Normalize` (as OpenAI's `clip.load` gives it), or a
                Preprocessing.

        Raises:
            InputError: None of these, or the processor does something that has no counterpart here.
        """
        if isinstance(source, cls):
            return source
        for reader, config in _candidates(source):
            return cls(**reader(config))
        raise InputError(
            f"a {type(source).__name__} does not say how images are prepared: expected an open_clip "
            "model or its preprocess_cfg, a Hugging Face processor, a timm model or its data configuration. "
            "Or give a harmoclip.data.Preprocessing."
        )


def _candidates(source: Any) -> list[tuple[Any, Any]]:
    if isinstance(source, LoadedModel):
        source = getattr(source.preprocess, "processor", source.model)
    source = getattr(source, "model", source) if type(source).__name__ == "Harmonized" else source
    visual: Any = getattr(source, "visual", None)
    processor = getattr(source, "image_processor", source)
    found: list[tuple[Any, Any]] = []
    if getattr(visual, "preprocess_cfg", None) is not None:
        found.append((_open_clip, visual.preprocess_cfg))
    if hasattr(source, "pretrained_cfg"):
        from timm.data import resolve_model_data_config

        found.append((_timm, resolve_model_data_config(source)))
    if hasattr(processor, "image_mean") and hasattr(processor, "resample"):
        found.append((_hugging_face, processor))
    if type(source).__name__ == "Compose" and hasattr(source, "transforms"):
        from harmoclip.data.transforms.compose import read_compose

        found.append((read_compose, source.transforms))
    config = asdict(source) if is_dataclass(source) and not isinstance(source, type) else source
    if isinstance(config, Mapping):
        found += [(_timm, config)] if "input_size" in config else []
        found += [(_open_clip, config)] if "size" in config else []
    return found


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def _open_clip(config: Mapping[str, Any]) -> dict[str, Any]:
    from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    size = _pair(config["size"])
    return {
        "size": size,
        "scaled": size,
        "resize": config.get("resize_mode") or "shortest",
        "interpolation": "bilinear" if config.get("interpolation") == "bilinear" else "bicubic",
        "mean": tuple(config.get("mean") or OPENAI_DATASET_MEAN),
        "std": tuple(config.get("std") or OPENAI_DATASET_STD),
        "fill": config.get("fill_color") or 0,
    }


def _timm(config: Mapping[str, Any]) -> dict[str, Any]:
    size = _pair(config["input_size"][-2:])
    share = config.get("crop_pct") or 0.875
    mode = config.get("crop_mode") or "center"
    return {
        "size": size,
        "scaled": (math.floor(size[0] / share), math.floor(size[1] / share)),
        "resize": {"center": "shortest", "border": "longest", "squash": "squash"}[mode],
        "interpolation": config.get("interpolation") or "bilinear",
        "mean": tuple(config["mean"]),
        "std": tuple(config["std"]),
        "fill": tuple(round(255 * value) for value in config["mean"]) if mode == "border" else 0,
    }


def _hugging_face(processor: Any) -> dict[str, Any]:
    name = type(processor).__name__
    wanted = _sizes(getattr(processor, "size", None) or {})
    has_crop = bool(getattr(processor, "do_center_crop", False))
    crop = _sizes(processor.crop_size or {}) if has_crop else {}
    short = wanted.get("shortest_edge")
    fixed = (wanted.get("height"), wanted.get("width"))
    refused = {
        "do_pad=True": bool(getattr(processor, "do_pad", False)),
        "max_num_patches: it cuts images into a number of patches": hasattr(processor, "max_num_patches"),
        "do_resize=False": not processor.do_resize,
        f"size={wanted}, expected shortest_edge, or height and width": set(wanted)
        not in ({"shortest_edge"}, {"height", "width"}),
        "do_center_crop=False with shortest_edge: images keep their shape": bool(short) and not has_crop,
        f"crop_size={crop}, expected height and width": has_crop and set(crop) != {"height", "width"},
        f"resample={processor.resample}": not _has_filter(processor),
    }
    for setting, given in refused.items():
        if given:
            raise InputError(
                f"{name} has {setting}. No rule is known here that gives inputs of one size and moves the "
                "boxes along: give a harmoclip.data.Preprocessing that says what it does."
            )
    normalizes = bool(processor.do_normalize)
    return {
        "size": (crop["height"], crop["width"]) if crop else fixed,
        "scaled": (short, short) if short else fixed,
        "resize": "shortest" if short else "squash",
        "interpolation": _resample(processor),
        "mean": _channels(processor.image_mean) if normalizes else None,
        "std": _channels(processor.image_std) if normalizes else None,
        "pixels": "tensor" if _resizes_tensors(processor) else "numpy",
        "rescale": float(processor.rescale_factor) if processor.do_rescale else None,
    }


def _resample(processor: Any) -> str | None:
    """Pillow's name of a processor's filter, which it holds as Pillow's number or as torchvision's word."""
    given = processor.resample
    if given is None:
        return "bilinear"
    if isinstance(given, int):
        return _BY_PILLOW_NUMBER.get(int(given))
    word = str(getattr(given, "value", given)).replace("nearest-exact", "nearest")
    return word if word in _FILTERS else None


def _has_filter(processor: Any) -> bool:
    """Whether a processor's filter is one that its back end has."""
    without = ("box", "hamming", None) if _resizes_tensors(processor) else (None,)
    return _resample(processor) not in without


def _channels(value: float | Sequence[float]) -> tuple[float, ...]:
    return (float(value),) * 3 if isinstance(value, int | float) else tuple(value)


def _sizes(size: Any) -> dict[str, int]:
    if isinstance(size, int):
        return {"height": size, "width": size}
    return {key: value for key, value in dict(size).items() if value is not None}


def _resizes_tensors(processor: Any) -> bool:
    # transformers 5 names the back end; in 4 the class name does
    backend = getattr(processor, "backend", None)
    return backend == "torchvision" if backend else type(processor).__name__.endswith("Fast")
