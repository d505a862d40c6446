"""Whole models: which towers they have, and their own ways in."""

from __future__ import annotations

import math
from typing import Any, NoReturn

import torch
from torch import Tensor

from harmoclip.errors import CaptureError
from harmoclip.towers.base import ImageTower, TextTower, Towers, parts
from harmoclip.towers.hf_text import vectors_of
from harmoclip.towers.hf_vit import vision_of
from harmoclip.towers.naflex import NaflexViT, Patches
from harmoclip.towers.registry import IMAGE_TOWERS, TEXT_TOWERS, image_tower, register, text_tower


@register
def hugging_face(model: Any) -> Towers | None:
    """`vision_model` and `text_model` of transformers, or a part that ends in the joint space."""
    image = image_tower(model) if parts(vision_of(model), "encoder") else None
    text = text_tower(model) if parts(model, "config") else None
    if image is None and text is None:
        return None
    return HfTowers(model, image or NoTower(), text or NoTower())


@register
def open_clip(model: Any) -> Towers | None:
    """`visual`, `text` or its parts, `encode_image` and `encode_text`: open_clip, OpenAI's clip."""
    if not parts(model, "visual", "encode_image", "encode_text"):
        return None
    image, text = image_tower(model.visual), text_tower(getattr(model, "text", model))
    return None if image is None or text is None else Towers(model, image, text)


def why_not(model: Any) -> str:
    """What an unknown model lacks, in a sentence for each family."""
    names = ("visual", "encode_image", "encode_text")
    missing = [name for name in names if not hasattr(model, name)]
    if missing:
        other = [name for name in ("vision_model", "text_model") if not hasattr(model, name)]
        return (
            f"open_clip needs {', '.join(missing)}; hugging_face needs {', '.join(other) or 'other parts'}."
        )
    visual, text = model.visual, getattr(model, "text", model)
    unknown = [type(m).__name__ for m, find in ((visual, image_tower), (text, text_tower)) if find(m) is None]
    towers = ", ".join(tower.__name__ for tower in (*IMAGE_TOWERS, *TEXT_TOWERS))
    return f"Its {' and '.join(unknown)} has the parts of none of {towers}."


class HfTowers(Towers):
    """A Hugging Face CLIP, whose features come inside an output object since transformers 5."""

    def encode_image(self, images: Any) -> Tensor:
        """The model's own image vectors `[B, D]`; positions are interpolated for another input size."""
        run = getattr(self.model, "get_image_features", self.model)
        if isinstance(self.image, NaflexViT):
            return vectors_of(run(**vars(self._patches(images))))
        if tuple(images.shape[-2:]) == self.image.input_size:
            return vectors_of(run(pixel_values=images))
        return vectors_of(run(pixel_values=images, interpolate_pos_encoding=True))

    def encode_text(self, ids: Tensor) -> Tensor:
        """The model's own text vectors `[B, D]`."""
        return self.text.encode(ids)

    def _libraries_own(self) -> bool:
        return True

    @property
    def logit_scale(self) -> Tensor:
        """The model's; log 100, CLIP's bound, for a part that has none and is never compared."""
        return getattr(self.model, "logit_scale", torch.tensor(math.log(100)))

    def _patches(self, images: Any) -> Patches:
        size = vision_of(self.model).config.patch_size
        return Patches.cut(images, size) if isinstance(images, Tensor) else images


class NoTower(ImageTower, TextTower):
    """The tower that a part of a model lacks."""

    kinds = ("plain",)
    default_kind = "plain"
    context_length = 0

    def taps(self, kind: str = "") -> Any:
        """Nothing to read."""
        return None

    def _fail(self, *given: Any) -> NoReturn:
        raise CaptureError(
            "this model is one tower of a CLIP: expected a model with both for what was asked. "
            "Give the whole model, or use only the methods of the tower that is there."
        )

    dense = tokens = project = global_vectors = encode = find_tokenizer = _fail  # type: ignore[assignment]
