"""What a user gives to `Harmonized`, checked before it is used."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harmoclip.errors import InputError
from harmoclip.grounding import Grounding


def check_texts(texts: Tensor) -> None:
    """Raise an InputError unless these are token ids `[B, L]`."""
    if not isinstance(texts, Tensor) or texts.ndim != 2 or texts.is_floating_point():
        given = list(texts.shape) if isinstance(texts, Tensor) else type(texts).__name__
        raise InputError(f"texts are {given}: expected token ids [B, L]. Tokenize the captions first.")


def check_batch(images: Tensor, texts: Tensor, grounding: Grounding) -> None:
    """Raise unless images, captions and grounding go together; compiled programs do not ask."""
    if torch.compiler.is_compiling():
        return  # the batch's own numbers must not become part of the compiled program
    check_texts(texts)
    if not isinstance(grounding, Grounding):
        raise InputError(f"grounding is a {type(grounding).__name__}: expected a harmoclip.Grounding.")
    if len(images) != len(texts):
        raise InputError(
            f"there are {len(images)} images and {len(texts)} captions: expected one caption an image."
        )
    grounding.check_batch(len(images), len(texts), texts.shape[1])


def frozen(teacher: nn.Module) -> nn.Module:
    """The teacher in evaluation mode; an InputError where it can still learn."""
    if any(parameter.requires_grad for parameter in teacher.parameters()):
        raise InputError(
            "the teacher can still learn: call teacher.requires_grad_(False), on a copy of the model."
        )
    return teacher.eval()


def flat_boxes(
    boxes: Tensor | Sequence[Tensor], image_index: Tensor | None, images: int
) -> tuple[Tensor, Tensor]:
    """All boxes `[R, 4]` and the image `[R]` of each."""
    if isinstance(boxes, Tensor):
        if image_index is None:
            raise InputError("boxes are one tensor without image_index: give both, or one tensor an image.")
        return boxes, image_index
    if len(boxes) != images:
        raise InputError(f"there are {images} images and {len(boxes)} box tensors: expected one an image.")
    index = torch.cat([torch.full((len(b),), i) for i, b in enumerate(boxes)])
    flat = (
        torch.cat([b.reshape(-1, 4) if not b.numel() else b for b in boxes]) if boxes else torch.empty(0, 4)
    )
    return flat, index.to(flat.device)
