"""Samples as a model takes them: its own pixels, and the boxes moved along."""

from __future__ import annotations

import re
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.functional import to_pil_image

from harmoclip.data.sample import Sample
from harmoclip.data.transforms.geometry import Normalize, RandomCropTo, ResizeAndCrop, interpolation_of
from harmoclip.data.transforms.preprocessing import Preprocessing
from harmoclip.errors import InputError
from harmoclip.notebook import table

_SIDES = re.compile(r"\b(left|right)(most|ward|wards|hand|handed)?\b", re.IGNORECASE)


def transform_for(
    source: Any,
    *,
    crop: tuple[float, float] | None = None,
    flip: float = 0.0,
    min_visible: float = 0.3,
    min_side: float = 1.0,
) -> SampleTransform:
    """The transform of samples that belongs to a model.

    Args:
        source: What `Preprocessing.of` reads: a model, a processor, or a configuration.
        crop: For training, a random resized crop that shows this share of the area, such as (0.9, 1.0), in
            place of the model's own resize and crop.
        flip: For training, how likely an image is mirrored, 0 to 1; never if a text of it says left or right.
        min_visible: A box stays if at least this share of its area is inside the model's input.
        min_side: And if each side is at least this many pixels of it.

    Raises:
        InputError: The source says nothing about images, or a number is out of range.

    Example:
        >>> import open_clip
        >>> transform = transform_for(open_clip.create_model("ViT-B-32"))
        >>> sample = Sample(Image.new("RGB", (300, 200)), "a dog", torch.tensor([[0.0, 0.0, 0.5, 1.0]]))
        >>> sample = transform(sample)
        >>> sample.image.shape, sample.boxes
        (torch.Size([3, 224, 224]), tensor([[0.0000, 0.0000, 0.5000, 1.0000]]))
    """
    return SampleTransform(
        Preprocessing.of(source), crop=crop, flip=flip, min_visible=min_visible, min_side=min_side
    )


class SampleTransform:
    """Maps a `Sample` with an image to one with the model's input; see `transform_for`.

    Attributes:
        geometry: The torchvision.transforms.v2 transform of an image and its boxes in pixels, up to the
            model's size. Boxes leave it uncut, so that the share inside can be told.
        normalize: From pixels to numbers.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        *,
        crop: tuple[float, float] | None = None,
        flip: float = 0.0,
        min_visible: float = 0.3,
        min_side: float = 1.0,
    ) -> None:
        if not 0 <= flip <= 1 or not 0 <= min_visible <= 1 or min_side < 0:
            raise InputError(
                f"flip is {flip}, min_visible {min_visible}, min_side {min_side}: expected flip and "
                "min_visible in [0, 1] and min_side 0 or more."
            )
        if crop is not None and not 0 < crop[0] <= crop[1] <= 1:
            raise InputError(f"crop is {crop}: expected two shares of the area, 0 < low <= high <= 1.")
        self.preprocessing, self.flip = preprocessing, flip
        self.min_visible, self.min_side = min_visible, min_side
        self.geometry = _geometry(preprocessing, crop)
        self.normalize = Normalize(preprocessing)

    def __call__(self, sample: Sample) -> Sample:
        """The sample with the model's input as its image; boxes that left it are dropped and counted."""
        width, height = sample.size
        boxes = tv_tensors.BoundingBoxes(
            sample.boxes * torch.tensor([width, height] * 2), format="XYXY", canvas_size=(height, width)
        )
        image, boxes = self._mirrored(sample, *self.geometry(self._pixels(sample.image), boxes))
        placed, dropped = self._inside(boxes.as_subclass(Tensor).tolist())
        return sample.drop_boxes(dropped).replace(image=self.normalize(image), boxes=placed)

    def _repr_html_(self) -> str:
        rows = {"geometry": self.geometry, "mirrored": f"{self.flip:.0%}"}
        kept = f"{self.min_visible:.0%} of it inside and {self.min_side:g} pixels a side"
        return table("SampleTransform", {**rows, "a box stays with": kept}) + self.preprocessing._repr_html_()

    def _pixels(self, image: Image.Image | Tensor) -> Any:
        image = to_pil_image(image) if isinstance(image, Tensor) else image
        image = image if image.mode == "RGB" else image.convert("RGB")
        return v2.functional.to_image(image) if self.preprocessing.pixels == "tensor" else image

    def _mirrored(self, sample: Sample, *inputs: Any) -> tuple[Any, ...]:
        texts = (sample.caption, *sample.more_captions, *sample.phrase_texts)
        if not self.flip or any(map(_SIDES.search, texts)) or torch.rand(()) >= self.flip:
            return inputs
        return tuple(v2.functional.horizontal_flip(x) for x in inputs)

    def _inside(self, boxes: list[list[float]]) -> tuple[Tensor, dict[int, str]]:
        """What is left of the boxes that stay, in [0, 1] of the model's input, and why others do not."""
        height, width = self.preprocessing.size
        placed, dropped = [], {}
        for row, (x1, y1, x2, y2) in enumerate(boxes):  # few boxes: faster than tensors
            left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
            if why := self._why_not(right - left, bottom - top, (x2 - x1) * (y2 - y1)):
                dropped[row] = why
            else:
                placed.append((left / width, top / height, right / width, bottom / height))
        return torch.tensor(placed, dtype=torch.float32).view(-1, 4), dropped

    def _why_not(self, width: float, height: float, whole: float) -> str:
        """Why a box with these sides left of its whole area is dropped; empty where it stays."""
        if not (width > 0 and height > 0):  # true for what is not a number, too
            return "out of view"
        if not width * height >= self.min_visible * whole:
            return "mostly out of view"
        return "" if width >= self.min_side and height >= self.min_side else "too small"


def _geometry(preprocessing: Preprocessing, crop: tuple[float, float] | None) -> v2.Transform:
    if crop is None:
        return ResizeAndCrop(preprocessing)
    interpolation = interpolation_of(preprocessing)
    return RandomCropTo(preprocessing.size, scale=crop, interpolation=interpolation)
