"""Boxes named among classes, scored by each published definition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harmoclip.data import Sample
from harmoclip.errors import DataError
from harmoclip.evaluate.classification import checked_labels, cosines, macro, micro
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.regions import Regions
from harmoclip.evaluate.samples import Samples
from harmoclip.notebook import several, table
from harmoclip.prompts import Prompts

GUESSES = 5
COCO_SIZES = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, float("inf"))}


@dataclass(frozen=True)
class NamedBoxes:
    """Every box of a data set with its class and what the model calls it.

    Args:
        labels: `[R]` right classes.
        guesses: `[R, 5]` the most similar classes, the best first.
        margin: `[R]` similarity to the right class less that to the best other one.
        sample: `[R]` the sample of each box.
        row: `[R]` which of the sample's boxes it is.
        area: `[R]` in pixels of the original image.
        class_names: The classes.
        things: `[K]` bool, which classes are things; the others are stuff.
        left_out: The boxes that could not be measured, each with its image and why.
    """

    labels: Tensor
    guesses: Tensor
    margin: Tensor
    sample: Tensor
    row: Tensor
    area: Tensor
    class_names: Sequence[str]
    things: Tensor
    left_out: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        rows = {"boxes": len(self.labels), "classes": several(self.class_names)}
        top = {f"top-{k}": f"{self.right(k).double().mean():.1%}" for k in (1, GUESSES)}
        return table("NamedBoxes", {**rows, **top, "left out": len(self.left_out)})

    def right(self, k: int) -> Tensor:
        """Whether the right class is among the first k guesses, `[R]` bool."""
        return (self.guesses[:, :k] == self.labels[:, None]).any(1)

    def fraction(self, name: str, value: float, k: int) -> Metric:
        """A top-k accuracy, with what guessing k classes would give."""
        return Metric(name, value, chance=min(1.0, k / len(self.class_names)))


def name_boxes(
    encoder: Encoder, samples: Samples, prompts: Prompts = "vild", regions: Regions = "dense"
) -> NamedBoxes:
    """Compare the vector of every box with the vectors of all classes.

    Args:
        encoder: The model.
        samples: With `labels`, and `class_names` of the whole; `is_thing` says which classes are things.
        prompts: The sentences that stand for a class.
        regions: How a box becomes a vector, see `Encoder.region_vectors`.

    Raises:
        DataError: The data set has no classes, a sample has boxes without labels, or there is no box.
        EvaluationError: Some vectors are not finite or all zeros.
    """
    names = getattr(samples, "class_names", None)
    if not names:
        raise DataError(f"{type(samples).__name__} has no class_names: its boxes cannot be classified.")
    found = encoder.region_vectors(samples, regions)
    if not len(found.vectors):
        raise DataError(f"no sample has a box: nothing to classify.{_why(found.left_out)}")
    labels = checked_labels(
        torch.cat([_labels(sample) for sample in found.samples]), len(found.vectors), len(names)
    )
    cosine = cosines(found.vectors, encoder.class_vectors(names, prompts))
    own = cosine.gather(1, labels[:, None])
    others = cosine.scatter(1, labels[:, None], -torch.inf).amax(1, keepdim=True)
    is_thing = getattr(samples, "is_thing", None)
    return NamedBoxes(
        labels=labels,
        guesses=cosine.topk(min(GUESSES, len(names)), dim=1).indices,
        margin=(own - others)[:, 0],
        area=torch.cat([area(sample) for sample in found.samples]),
        sample=found.sample_index,
        row=found.rows,
        class_names=names,
        things=torch.ones(len(names), dtype=torch.bool) if is_thing is None else torch.as_tensor(is_thing),
        left_out=found.left_out,
    )


def _labels(sample: Sample) -> Tensor:
    if sample.labels is None and len(sample.boxes):
        raise DataError(
            f"sample {sample.key!r} has {len(sample.boxes)} boxes without labels: expected one each."
        )
    return torch.empty(0, dtype=torch.int64) if sample.labels is None else sample.labels


def _why(left_out: Sequence[str]) -> str:
    return f" {len(left_out)} boxes were left out, the first is {left_out[0]}." if left_out else ""


def area(sample: Sample) -> Tensor:
    """The area `[R]` of each box in pixels of the sample's image."""
    width, height = sample.size
    return (sample.boxes[:, 2:] - sample.boxes[:, :2]).prod(1) * (width * height)


def clipself_scores(boxes: NamedBoxes) -> Metrics:
    """CLIPSelf's and DenseVLM's definition: the mean over classes, things and stuff apart."""
    scores = []
    for group, chosen in (("things", boxes.things), ("stuff", ~boxes.things)):
        rows = chosen[boxes.labels]
        if rows.any():
            scores += [
                boxes.fraction(f"clipself_{group}_top{k}", macro(boxes.right(k)[rows], boxes.labels[rows]), k)
                for k in (1, 5)
            ]
    return Metrics(scores, boxes.left_out)


def fineclip_scores(boxes: NamedBoxes) -> Metrics:
    """FineCLIP's definition: one mean over all classes, things and stuff together."""
    return Metrics(
        [boxes.fraction(f"fineclip_top{k}", macro(boxes.right(k), boxes.labels), k) for k in (1, 5)],
        boxes.left_out,
    )


def fgclip_scores(boxes: NamedBoxes) -> Metrics:
    """FG-CLIP's definition: every box counts the same."""
    return Metrics(
        [boxes.fraction(f"fgclip_top{k}", micro(boxes.right(k)), k) for k in (1, 5)], boxes.left_out
    )


def box_scores(boxes: NamedBoxes) -> Metrics:
    """For data sets without a published definition: every box the same, and the mean over classes."""
    every = [boxes.fraction(f"box_top{k}", micro(boxes.right(k)), k) for k in (1, 5)]
    mean = boxes.fraction("box_macro_top1", macro(boxes.right(1), boxes.labels), 1)
    return Metrics([*every, mean], boxes.left_out)


def size_scores(boxes: NamedBoxes) -> Metrics:
    """Top-1 and number of small, medium and large boxes by COCO's limits, 32 and 96 pixels squared."""
    scores = []
    for name, (low, high) in COCO_SIZES.items():
        rows = (boxes.area >= low) & (boxes.area < high)
        if rows.any():
            scores.append(boxes.fraction(f"{name}_top1", micro(boxes.right(1)[rows]), 1))
            scores.append(Metric(f"{name}_boxes", int(rows.sum()), "count"))
    return Metrics(scores, boxes.left_out)
