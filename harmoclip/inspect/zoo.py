"""Every architecture of open_clip, built without weights, harmonized and run for shapes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from harmoclip.capture import Captured
from harmoclip.grounding import Grounding
from harmoclip.harmonized import Harmonized, harmonize
from harmoclip.towers.base import ImageTower, TextTower, parameters
from harmoclip.towers.open_clip_hf_text import OpenClipHfText
from harmoclip.towers.pooled import LatentPoolTower

_TEXT_LENGTH = 16  # of Hugging Face text towers in open_clip, which take any
_IMAGE_SIZE = (224, 224)  # where a model does not say


class Seen(NamedTuple):
    """What a harmonized model is made of."""

    image: str
    text: str
    kinds: tuple[str, ...]
    default_kind: str
    grid: tuple[int, int]
    widths: tuple[int, int]  # of the image's and the text's tokens
    joint: int
    parameters: int
    taps: tuple[str, ...]
    work: dict[str, float]  # of 16 regions an image, by kind: multiplications in passes of the image tower


def names() -> list[str]:
    """The names of all architectures of the installed open_clip."""
    import open_clip

    return open_clip.list_models()


def build(name: str) -> nn.Module:
    """An open_clip model whose weights take no memory (the `meta` device).

    Hugging Face text towers read the values of their masks, so they become small real ones of the same
    family, from a local configuration.
    """
    import open_clip

    config = copy.deepcopy(open_clip.get_model_config(name))
    text = config["text_cfg"]
    tower = _hugging_face_text(config) if "hf_model_name" in text else None
    if tower is not None:
        config["text_cfg"] = {"context_length": text.get("context_length", 77)}
    custom = config.pop("custom_text", False) or tower is not None
    with torch.device("meta"), _ReadableLinspace():
        model = _class_of(config, custom)(**config)
    if tower is not None:
        model.text = tower
    return model


def _class_of(config: Mapping[str, Any], custom: bool) -> type[nn.Module]:
    import open_clip.model
    from open_clip.coca_model import CoCa

    if "multimodal_cfg" in config:
        return CoCa
    return open_clip.model.CustomTextCLIP if custom else open_clip.model.CLIP


def run(model: nn.Module, *, images: Any = None, texts: Tensor | None = None, cost: bool = False) -> Seen:
    """Harmonize a model, take one pass of each tower with regions and phrases, and remove it again.

    Args:
        model: A CLIP of any supported family, on any device.
        images: Two images as the model takes them; zeros of its own size where it is None.
        texts: `[2, L]` ids of two captions; ones where it is None.
        cost: Count the work of every dense kind, which takes a pass for each.
    """
    with harmonize(model) as harmo:
        image, text = harmo.towers.image, harmo.towers.text
        images = blank_images(image) if images is None else images
        texts = blank_texts(text) if texts is None else texts
        with harmo.capture() as captured:
            image_vectors = harmo.towers.encode_image(images)
            text_vectors = harmo.towers.encode_text(texts)
        regions = regions_of(harmo, captured, two_regions().to(images.device))
        phrases = phrases_of(harmo, captured, two_regions().to(texts.device))
        joint = image_vectors.shape[-1]
        assert {v.shape[-1] for v in (image_vectors, text_vectors, regions, phrases)} == {joint}
        dense, words = image.dense(captured.image, harmo.dense), text.tokens(captured.text)
        heads = image.pool.heads if isinstance(image, LatentPoolTower) else 0  # beside the values, their sums
        widths = dense.tokens.shape[-1] - heads, words.shape[-1]
        taps = tuple(line.split(": ", 1)[1] for line in repr(harmo).splitlines() if " taps: " in line)
    parameters = sum(p.numel() for p in model.parameters())
    towers = type(image).__name__, type(text).__name__
    work = {kind: extra_work(model, images, kind) for kind in image.kinds if cost}
    return Seen(*towers, image.kinds, image.default_kind, dense.grid, widths, joint, parameters, taps, work)


def extra_work(model: nn.Module, images: Any, kind: str, per_image: int = 16) -> float:
    """Multiplications for regions of a kind, in passes of the image tower."""
    count, boxes = len(images), two_regions().boxes[1:].to(images.device)
    index = torch.arange(count, device=images.device).repeat_interleave(per_image)
    with harmonize(model, dense=kind) as harmo:
        tower = harmo.towers.image
        with harmo.capture() as captured, FlopCounterMode(display=False) as one_pass:
            harmo.towers.encode_image(images)
        with FlopCounterMode(display=False) as more:
            dense = tower.dense(captured.image, kind)
            tower.regions(dense, kind, boxes.expand(len(index), 4), index)
    return more.get_total_flops() / one_pass.get_total_flops()


def blank_images(tower: ImageTower) -> Tensor:
    """Two black images of the size that the tower was built for."""
    height, width = tower.input_size or _IMAGE_SIZE
    return torch.zeros(2, 3, height, width, device=next(parameters(tower.encoder)).device)


def blank_texts(tower: TextTower) -> Tensor:
    """Two captions of the same word."""
    length = _TEXT_LENGTH if isinstance(tower, OpenClipHfText) else tower.context_length
    return torch.ones(2, length, dtype=torch.int64, device=next(parameters(tower.encoder)).device)


def regions_of(harmo: Harmonized, captured: Captured, grounding: Grounding) -> Tensor:
    """Vectors of the grounding's boxes, as the tower gives them."""
    tower = harmo.towers.image
    dense = tower.dense(captured.image, harmo.dense)
    return tower.regions(dense, harmo.dense, grounding.boxes, grounding.image_index)


def phrases_of(harmo: Harmonized, captured: Captured, grounding: Grounding) -> Tensor:
    """Vectors of the grounding's phrases encoded alone, as the tower gives them."""
    return harmo.towers.text.encode_phrases(captured.text.ids, grounding)


def two_regions() -> Grounding:
    """A box and a phrase for each of two images."""
    return Grounding(
        boxes=torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.2, 0.1, 0.7, 0.9]]),
        image_index=torch.tensor([0, 1]),
        spans=torch.tensor([[1, 3], [2, 5]]),
        text_index=torch.tensor([0, 1]),
        links=torch.tensor([[0, 0], [1, 1]]),
        phrase_id=torch.tensor([3, 4]),
    )


def hugging_face_config(name: str) -> Any:
    """A small configuration of the family that a hub name says, without asking the hub."""
    import transformers

    width = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    short = {"d_model": 32, "num_layers": 2, "num_heads": 2, "d_kv": 16, "d_ff": 64}
    long = {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64}
    families = {
        "xlm-roberta": (transformers.XLMRobertaConfig, width),
        "roberta": (transformers.RobertaConfig, width),
        "mt5": (transformers.MT5Config, short),
        "nllb": (transformers.M2M100Config, {**long, "decoder_layers": 1, "decoder_ffn_dim": 64}),
    }
    config, options = next(value for family, value in families.items() if family in name)
    return config(**options, vocab_size=200)


def _hugging_face_text(config: Mapping[str, Any]) -> nn.Module:
    from open_clip.hf_model import HFTextEncoder

    text = config["text_cfg"]
    with TemporaryDirectory() as folder:  # open_clip takes a folder for a hub's name
        hugging_face_config(text["hf_model_name"]).save_pretrained(folder)
        return HFTextEncoder(
            folder,
            output_dim=config["embed_dim"],
            pooler_type=text.get("hf_pooler_type", "mean_pooler"),
            proj_type=text.get("hf_proj_type", "mlp"),
            output_tokens=text.get("output_tokens", False),
            pretrained=False,
        )


class _ReadableLinspace(TorchFunctionMode):
    """Timm before 1.0.16 reads the rates of its stochastic depth while it builds a model."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        return function(*args, **({**options, "device": "cpu"} if function is torch.linspace else options))
