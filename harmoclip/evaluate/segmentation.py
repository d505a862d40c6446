"""Zero-shot segmentation: every pixel named among classes by the dense features of sliding windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from harmoclip.data import Sample
from harmoclip.errors import DataError
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.prompts import Prompts
from harmoclip.windows import Windows
from harmoclip.windows import pixel_scores as windowed_scores

IGNORED = 255


@dataclass(frozen=True)
class Background:
    """When a pixel is of class 0 although another one is the most similar to it, as SCLIP has it.

    Args:
        scale: Cosines times this go into the softmax over all names that gives their probabilities.
        threshold: A pixel whose best probability is below this is background.
        smallest: A class with at most this share of an image's other pixels is not found there.
    """

    scale: float
    threshold: float
    smallest: float = 0.0


class LabelledPixels(Protocol):
    """Images with the class of every pixel."""

    class_names: Sequence[str]
    """Of each class: commas separate names, the most similar one counts; without any it is never guessed."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> Image.Image:
        """An image."""

    def labels(self, index: int) -> Tensor:
        """The class `[H, W]` int64 of each of its pixels, 255 where none is asked."""


def segmentation(
    encoder: Encoder,
    data: LabelledPixels,
    windows: Windows | None = None,
    prompts: Prompts = "imagenet",
    background: Background | None = None,
) -> Metrics:
    """Mean intersection over union of all classes, over all pixels of the data set.

    Cosines of overlapping windows are averaged, and resized bilinearly to the labels, as in MaskCLIP
    (arXiv 2112.01071), SCLIP (2312.01597) and ClearCLIP (2407.12442); the model's dense kind says which
    features are compared. A class that neither labels nor guesses have is left out of the mean.

    Args:
        encoder: The model.
        data: Images with labels.
        windows: How images are cut.
        prompts: The sentences that stand for a class.
        background: When a pixel is of class 0 whatever is the most similar; None lets similarity decide.

    Returns:
        `miou`, the mean of `mean_accuracy` over classes, and the `pixel_accuracy`.

    Raises:
        DataError: There is no labelled pixel, or labels do not fit the classes or the image.
        EvaluationError: Some vectors are not finite or all zeros.
    """
    names = [[part.strip() for part in name.split(",") if part.strip()] for name in data.class_names]
    vectors = encoder.class_vectors([part for own in names for part in own], prompts)
    owner = torch.tensor([i for i, own in enumerate(names) for _ in own])
    confusion = torch.zeros(len(names), len(names), dtype=torch.int64)
    for index in range(len(data)):
        image, labels = data.image(index), data.labels(index)
        _check(labels, image, len(names), index)
        scores = pixel_scores(encoder, image, vectors, windows or Windows())
        resized = F.interpolate(scores[None], (labels.shape[0], labels.shape[1]), mode="bilinear")[0]
        guess = most_similar(resized, owner, len(names), background)
        confusion += confusion_of(labels, guess, len(names))
    return mean_iou(confusion)


def pixel_scores(encoder: Encoder, image: Image.Image, vectors: Tensor, windows: Windows) -> Tensor:
    """The cosine `[K, H, W]` of each pixel of the resized image with each of the vectors `[K, D]`."""

    def dense(crops: Sequence[Image.Image]) -> Iterator[Tensor]:
        for _, batch in encoder.dense_vectors([Sample(crop, "") for crop in crops]):
            yield from batch

    return windowed_scores(dense, image, vectors, windows, encoder.input_size[0])


def confusion_of(labels: Tensor, guess: Tensor, classes: int) -> Tensor:
    """How many pixels of each class (rows) were called each class (columns), `[K, K]` int64.

    Example:
        >>> confusion_of(torch.tensor([[0, 1, 255]]), torch.tensor([[0, 0, 1]]), 2)
        tensor([[1, 0],
                [1, 0]])
    """
    asked = labels != IGNORED
    pairs = labels[asked] * classes + guess[asked]
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def mean_iou(confusion: Tensor) -> Metrics:
    """The published measures of a confusion `[K, K]`.

    Raises:
        DataError: No pixel was asked.
    """
    if not confusion.sum():
        raise DataError("no pixel has a label: nothing to segment.")
    right, labelled = confusion.diag().double(), confusion.sum(1).double()
    union = labelled + confusion.sum(0) - right
    return Metrics(
        [
            Metric("miou", (right / union)[union > 0].mean().item()),
            Metric("mean_accuracy", (right / labelled)[labelled > 0].mean().item()),
            Metric("pixel_accuracy", (right.sum() / labelled.sum()).item()),
            Metric("pixels", int(labelled.sum()), "count"),
        ]
    )


def _check(labels: Tensor, image: Image.Image, classes: int, index: int) -> None:
    name = getattr(image, "filename", "") or f"image {index}"
    if tuple(labels.shape) != (image.height, image.width):
        raise DataError(
            f"{name} is {image.width} x {image.height}, and its labels are "
            f"{labels.shape[1]} x {labels.shape[0]}."
        )
    asked = labels[labels != IGNORED]
    if len(asked) and not 0 <= int(asked.min()) <= int(asked.max()) < classes:
        raise DataError(
            f"the labels of {name} reach from {int(asked.min())} to {int(asked.max())}: expected 0 to "
            f"{classes - 1}, or {IGNORED} for none."
        )


def most_similar(scores: Tensor, owner: Tensor, classes: int, background: Background | None = None) -> Tensor:
    """The class `[H, W]` of each pixel.

    Args:
        scores: `[N, H, W]` cosines with each name.
        owner: `[N]` the class of each name; a class is as similar as the most similar of its names.
        classes: How many there are.
        background: When a pixel is of class 0 whatever is the most similar.

    Example:
        >>> most_similar(torch.tensor([[[0.1]], [[0.3]]]), torch.tensor([0, 1]), 2)
        tensor([[1]])
    """
    values = scores if background is None else (scores * background.scale).softmax(0)
    best = values.new_full((classes, *values.shape[1:]), -torch.inf)
    best = best.scatter_reduce(0, owner[:, None, None].expand_as(values), values, "amax")
    if background is None:
        return best.argmax(0)
    found = torch.bincount(best.argmax(0).flatten(), minlength=classes)[1:]
    too_few = found <= background.smallest * found.sum()
    best[1:][too_few] = 0
    guess: Tensor = best.argmax(0)
    return guess.masked_fill(best.amax(0) < background.threshold, 0)
