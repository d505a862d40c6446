"""Every architecture of open_clip, built without weights, harmonized and run for shapes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor, nn

from harmoclip.grounding import Grounding
from harmoclip.harmonized import Harmonized, harmonize

_TEXT_LENGTH = 16  # of Hugging Face text towers, which take any


class Seen(NamedTuple):
    """What a harmonized model is made of."""

    image: str
    text: str
    kinds: tuple[str, ...]
    default_kind: str
    grid: tuple[int, int]
    width: int
    joint: int
    parameters: int


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

    with local_configs(), _quiet():
        with torch.device("meta"):
            model = open_clip.create_model(name, pretrained=None, pretrained_hf=False, device="meta")
        if hasattr(getattr(model, "text", None), "config"):
            model.text = _hugging_face_text(open_clip.get_model_config(name))
    return model


def run(model: nn.Module, *, images: Tensor | None = None, kind: str | None = None) -> Seen:
    """Harmonize a model on any device, take one pass of each tower with regions and phrases, and remove it.

    Args:
        model: An open_clip model.
        images: `[2, 3, H, W]`; zeros of the model's own size where it is None.
        kind: The dense kind; the tower's default where it is None.
    """
    size = _pair(getattr(model.visual, "image_size", 224))  # type: ignore[union-attr]
    images = torch.zeros(2, 3, *size, device=_device(model.visual)) if images is None else images
    text = getattr(model, "text", model)
    texts = torch.ones(2, _context(text), dtype=torch.int64, device=_device(text))
    grounding = two_regions()
    with harmonize(model, dense=kind) as harmo:
        with harmo.capture() as captured:
            image, text = harmo.towers.encode_image(images), harmo.towers.encode_text(texts)
        regions = regions_of(harmo, captured, grounding.to(images.device))
        phrases = phrases_of(harmo, captured, grounding.to(texts.device))
        assert image.shape[1:] == text.shape[1:] == regions.shape[1:] == phrases.shape[1:]
        dense = harmo.towers.image.dense(captured.of("image"), harmo.dense)
        return describe(harmo, dense.grid, dense.tokens.shape[-1], image.shape[-1])


def regions_of(harmo: Harmonized, captured: Any, grounding: Grounding) -> Tensor:
    """Vectors of the grounding's boxes, as the tower gives them."""
    tower = harmo.towers.image
    dense = tower.dense(captured.of("image"), harmo.dense)
    return tower.regions(dense, harmo.dense, grounding.boxes, grounding.image_index)


def phrases_of(harmo: Harmonized, captured: Any, grounding: Grounding) -> Tensor:
    """Vectors of the grounding's phrases encoded alone, as the tower gives them."""
    ids = captured.of("text")["ids"]
    return harmo.towers.text.encode_phrases(
        ids, grounding.spans, grounding.text_index, grounding.longest_span
    )


def describe(harmo: Harmonized, grid: tuple[int, int], width: int, joint: int) -> Seen:
    """The parts of a harmonized model."""
    image, text = harmo.towers.image, harmo.towers.text
    parameters = sum(p.numel() for p in harmo.model.parameters())
    names = type(image).__name__, type(text).__name__
    return Seen(*names, image.kinds, image.default_kind, grid, width, joint, parameters)


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
    return HFTextEncoder(
        text["hf_model_name"],
        output_dim=config["embed_dim"],
        pooler_type=text.get("hf_pooler_type", "mean_pooler"),
        proj_type=text.get("hf_proj_type", "mlp"),
        output_tokens=text.get("output_tokens", False),
        pretrained=False,
    )


@contextmanager
def local_configs() -> Iterator[None]:
    """Hub names of text towers read small local configurations."""
    try:
        import open_clip.hf_model as hf_model
        import transformers  # noqa: F401
    except ImportError:
        yield
        return
    with mock.patch.object(hf_model.AutoConfig, "from_pretrained", hugging_face_config):
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Without open_clip's warning that the weights are random."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _context(text: Any) -> int:
    return _TEXT_LENGTH if hasattr(text, "config") else text.context_length


def _device(module: Any) -> torch.device:
    return next(iter(module.parameters())).device


def _pair(size: Any) -> tuple[int, int]:
    return tuple(size) if isinstance(size, (tuple, list)) else (size, size)  # type: ignore[return-value]
