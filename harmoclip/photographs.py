"""Photographs as people have them: what each box is called, and where a text is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from harmoclip.boxes import Unit, boxes_in_pixels
from harmoclip.errors import EvaluationError, InputError
from harmoclip.images import Photograph, to_image
from harmoclip.models import Preprocess, input_size
from harmoclip.modes import Modules, evaluation_mode
from harmoclip.notebook import table
from harmoclip.prompts import Prompts, class_vectors
from harmoclip.tensors import l2_normalize
from harmoclip.tokenizers import Tokenizer
from harmoclip.towers import Towers
from harmoclip.windows import Windows, pixel_scores

_TEXTS, _IMAGES = 256, 16  # encoded at a time


class RegionModel(Modules, Protocol):
    """What is asked of a model here, such as `Harmonized`."""

    towers: Towers

    @property
    def tokenizer(self) -> Tokenizer:
        """Texts to ids."""

    @property
    def preprocess(self) -> Preprocess:
        """A PIL image to the model's input."""

    def encode_regions(self, images: Tensor, boxes: Tensor) -> Tensor:
        """Vectors of boxes."""

    def encode_dense(self, images: Tensor) -> Tensor:
        """Vectors of patches."""


@dataclass(frozen=True)
class Label:
    """What a box is called.

    Args:
        name: The most similar name.
        scores: The share of each name in [0, 1], the best first: softmax of the cosines at the model's own
            temperature. They add up to 1 whatever is in the box; `cosines` tell whether anything fits.
        cosines: The cosine of the box's vector with each name's, in the same order.
    """

    name: str
    scores: dict[str, float]
    cosines: dict[str, float]

    @property
    def score(self) -> float:
        """The share of the best name."""
        return self.scores[self.name]

    def __str__(self) -> str:
        return f"{self.name} {self.score:.0%}"

    def _repr_html_(self) -> str:
        shown = {n: f"{score:.1%} (cosine {self.cosines[n]:.2f})" for n, score in self.scores.items()}
        return table(self.name, shown)


def label(
    model: RegionModel,
    image: Photograph,
    boxes: object,
    names: Sequence[str],
    *,
    unit: Unit = "fraction",
    prompts: Prompts = "photo",
) -> list[Label]:
    """What each box of a photograph is called, of the names that are given.

    The photograph is resized to the model's input regardless of its shape, so that no box is cut.

    Args:
        model: A harmonized model.
        image: The photograph; a file is turned upright as its EXIF orientation says.
        boxes: `[R, 4]` xyxy in the unit; a tensor, an array or lists.
        names: What they may be called, each once.
        unit: Of the boxes: a `fraction` of the photograph's width and height, or a `pixel` of it.
        prompts: The sentences that stand for a name (`harmoclip.prompts.sentences`); `vild` is more
            exact, and encodes 63 sentences a name.

    Returns:
        A `Label` for each box, in the order given.

    Raises:
        InputError: The image is none, the boxes are not in the unit, or there are no names or equal ones.
        GroundingError: A box is impossible; the message names it.
        EvaluationError: The model gives NaN or infinity.
    """
    photograph, names = to_image(image), _distinct(names)
    size = photograph.size
    fractions = boxes_in_pixels(boxes, unit, size) / torch.tensor([*size, *size])
    with evaluation_mode(model), torch.no_grad():
        texts = _text_vectors(model, names, prompts)
        vectors = _finite(model.encode_regions(_inputs(model, [photograph]), fractions), "regions")
        cosines = vectors @ texts.T
        shares = (cosines * model.towers.logit_scale.exp()).softmax(1)
    return [_label(names, *row) for row in zip(cosines.tolist(), shares.tolist(), strict=True)]


def heatmap(
    model: RegionModel,
    image: Photograph,
    text: str | Sequence[str],
    *,
    windows: Windows | None = None,
    prompts: Prompts = "name",
) -> Tensor:
    """Where a text is in a photograph: the cosine of every pixel's features with it.

    The photograph is seen whole, whatever its shape: windows of the model's input slide over it, half a
    window apart, and overlapping ones are averaged.

    Args:
        model: A harmonized model.
        image: The photograph; a file is turned upright as its EXIF orientation says.
        text: A text, or several.
        windows: How it is resized and cut; None resizes its short side to the model's input. A longer
            short side, such as `Windows(short_side=896)`, shows smaller things and takes longer.
        prompts: The sentences that stand for a text; the text itself.

    Returns:
        `[H, W]` float32 on the pixels of the photograph itself; `[K, H, W]` for K texts.

    Raises:
        InputError: The image is none, or there is no text.
        EvaluationError: The model gives NaN or infinity.
    """
    photograph = to_image(image)
    texts = [text] if isinstance(text, str) else list(text)
    with evaluation_mode(model), torch.no_grad():
        vectors = _text_vectors(model, _distinct(texts), prompts).cpu()
        side = input_size(model.preprocess)[0]

        def dense(crops: Sequence[Image.Image]) -> Iterator[Tensor]:
            for start in range(0, len(crops), _IMAGES):
                inputs = _inputs(model, crops[start : start + _IMAGES])
                yield from _finite(model.encode_dense(inputs), "patches").cpu()

        seen = pixel_scores(dense, photograph, vectors, windows or Windows(side), side)
    width, height = photograph.size
    placed = F.interpolate(seen[None], (height, width), mode="bilinear")[0]
    return placed[0] if isinstance(text, str) else placed


def _distinct(names: Sequence[str]) -> list[str]:
    given = list(names) if not isinstance(names, str) else []
    if not given or not all(isinstance(name, str) and name.strip() for name in given):
        raise InputError(f"names are {names!r:.80}: expected a list of texts with words.")
    if len(set(given)) < len(given):
        twice = next(name for name in given if given.count(name) > 1)
        raise InputError(f"names have {twice!r} twice: expected each once.")
    return given


def _text_vectors(model: RegionModel, names: Sequence[str], prompts: Prompts) -> Tensor:
    device = _device(model)

    def encode(texts: list[str]) -> Tensor:
        parts = [texts[i : i + _TEXTS] for i in range(0, len(texts), _TEXTS)]
        return torch.cat(
            [model.towers.encode_text(model.tokenizer(part).to(device)).float() for part in parts]
        )

    return l2_normalize(_finite(class_vectors(names, prompts, encode), "texts"))


def _inputs(model: RegionModel, images: Sequence[Image.Image]) -> Tensor:
    """The model's input of images that are resized to it whole."""
    size = input_size(model.preprocess)
    resized = (image.resize(size, Image.Resampling.BICUBIC) for image in images)
    return torch.stack([model.preprocess(image) for image in resized]).to(_device(model))


def _device(model: RegionModel) -> torch.device:
    return next(p.device for module in model.modules() for p in module.parameters(recurse=False))


def _finite(vectors: Tensor, what: str) -> Tensor:
    if not vectors.isfinite().all():
        raise EvaluationError(
            f"the vectors of the {what} are not finite: the model diverged, overflowed its type or lost its "
            "weights. Use it in float32, or go back to an earlier checkpoint."
        )
    return vectors


def _label(names: Sequence[str], cosines: Sequence[float], shares: Sequence[float]) -> Label:
    order = sorted(range(len(names)), key=lambda i: -cosines[i])
    return Label(names[order[0]], {names[i]: shares[i] for i in order}, {names[i]: cosines[i] for i in order})
