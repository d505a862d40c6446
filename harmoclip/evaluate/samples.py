"""Samples as an evaluation takes them: usable boxes only, and a record of those that are not."""

from __future__ import annotations

from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from harmoclip.boxes import clip_boxes
from harmoclip.data import Sample
from harmoclip.data.dataset import Indexed, MaskedDataset

AnyImage = Image.Image | Tensor
Samples = Indexed[Sample]
"""A data set; one with classes also has `class_names`, one with masks is a `MaskedDataset`."""


class Usable(NamedTuple):
    """A sample with the boxes that have some area in its image."""

    sample: Sample
    rows: Tensor  # [R] int64, which of the data set's boxes of this sample each one is
    left_out: tuple[str, ...]  # one text for each other box, and for what the data set says of its own
    masks: Tensor | None  # [R, H, W] bool


def keep_usable_boxes(samples: Samples, index: int, *, masks: bool = False) -> Usable:
    """Sample `index` with its boxes cut at the edges, and without those that have no area there.

    Args:
        samples: The data set.
        index: Which sample.
        masks: Also take the segments of the boxes; a box whose segment has no pixel is left out.

    Example:
        >>> boxes = torch.tensor([[0.5, 0.5, 1.2, 0.9], [1.1, 0.0, 1.3, 1.0]])
        >>> usable = keep_usable_boxes([Sample(Image.new("RGB", (40, 20)), "a dog", boxes, key="a.jpg")], 0)
        >>> usable.left_out
        ('a.jpg, box 1 [44.0, 0.0, 52.0, 20.0]: outside the image',)
    """
    sample = samples[index]
    clipped = clip_boxes(sample.boxes)
    why, kept = dict(clipped.dropped), clipped.kept
    boxes: Tensor = sample.boxes.clone()
    boxes[kept] = clipped.boxes
    segments = _masks(samples, index) if masks else None
    if segments is not None:
        empty = ~segments.flatten(1).any(1)
        why |= {
            row: "its segment has no pixel" for row in empty.nonzero().flatten().tolist() if row not in why
        }
        kept = kept[~empty[kept]]
        segments = segments[kept]
    left_out = tuple(
        f"{_describe(samples, index, sample, row)}: {reason}" for row, reason in sorted(why.items())
    )
    usable = sample.replace(boxes=boxes).drop_boxes(why)
    return Usable(usable, kept, (*sample.left_out, *left_out), segments)


def without_pixels(sample: Sample) -> Sample:
    """The sample with an image of the same size that takes no memory."""
    width, height = sample.size
    return sample.replace(image=torch.zeros(()).expand(3, height, width))


def to_pil(image: AnyImage) -> Image.Image:
    """An RGB image from a PIL image or a tensor `[3, H, W]`, uint8 or float in [0, 1]."""
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    from torchvision.transforms.functional import to_pil_image

    return to_pil_image(image)


def crop_boxes(sample: Sample) -> list[Image.Image]:
    """Each box of a sample as an image of its own, at least one pixel wide and high."""
    image = to_pil(sample.image)
    scale = sample.boxes.new_tensor([image.width, image.height] * 2)
    corners = torch.cat([(sample.boxes * scale)[:, :2].floor(), (sample.boxes * scale)[:, 2:].ceil()], 1)
    return [image.crop(tuple(corner)) for corner in corners.int().tolist()]


def _masks(samples: Samples, index: int) -> Tensor:
    assert isinstance(samples, MaskedDataset), "whoever asks for masks has seen that there are some"
    return samples.masks(index)


def _describe(samples: object, index: int, sample: Sample, row: int) -> str:
    """The image and the annotation of a box, with its corners in pixels."""
    width, height = sample.size
    corners = [round(v, 2) for v in (sample.boxes[row] * torch.tensor([width, height] * 2)).tolist()]
    annotation = getattr(samples, "annotation", None)
    named = f"annotation {annotation(index, row)}" if annotation else f"box {row}"
    return f"{sample.key or f'sample {index}'}, {named} {corners}"
