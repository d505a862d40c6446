"""Boxes named among classes, scored by each published definition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harmoclip.data import Sample
from harmoclip.errors import DataError
from harmoclip.evaluate.classification import macro, micro
from harmoclip.evaluate.prompts import Prompts
from harmoclip.evaluate.subject import Regions, Samples, Subject
from harmoclip.tensors import l2_normalize

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
        area: `[R]` in pixels of the original picture.
        class_names: The classes.
        things: `[K]` bool, which classes are things; the others are stuff.
    """

    labels: Tensor
    guesses: Tensor
    margin: Tensor
    sample: Tensor
    row: Tensor
    area: Tensor
    class_names: Sequence[str]
    things: Tensor

    def right(self, k: int) -> Tensor:
        """Whether the right class is among the first k guesses, `[R]` bool."""
        return (self.guesses[:, :k] == self.labels[:, None]).any(1)


def name_boxes(
    subject: Subject, samples: Samples, prompts: Prompts = "vild", regions: Regions = "dense"
) -> NamedBoxes:
    """Compare the vector of every box with the vectors of all classes.

    Args:
        subject: The model.
        samples: With `labels`, and `class_names` of the whole; `things` says which classes are things.
        prompts: The sentences that stand for a class.
        regions: How a box becomes a vector, see `Subject.region_vectors`.

    Raises:
        DataError: The data set has no classes, or no box.
    """
    names = getattr(samples, "class_names", None)
    if not names:
        raise DataError(f"{type(samples).__name__} has no class_names: its boxes cannot be classified.")
    classes = subject.class_vectors(names, prompts)
    parts = [_judge(vectors, classes, batch) for batch, vectors in subject.region_vectors(samples, regions)]
    if not sum(len(part["labels"]) for part in parts):
        raise DataError("no sample has a box: nothing to classify.")
    joined = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
    counts = joined.pop("counts")
    things = getattr(samples, "things", None)
    return NamedBoxes(
        **joined,
        sample=torch.arange(len(counts)).repeat_interleave(counts),
        row=torch.cat([torch.arange(n) for n in counts.tolist()]),
        class_names=names,
        things=torch.ones(len(names), dtype=torch.bool) if things is None else torch.as_tensor(things),
    )


def _judge(vectors: Tensor, classes: Tensor, batch: list[Sample]) -> dict[str, Tensor]:
    """What a batch adds to `NamedBoxes`, and the number of boxes of each of its samples."""
    labels = torch.cat([s.labels for s in batch if s.labels is not None])
    cosine = (
        l2_normalize(vectors.reshape(len(labels), -1)) @ l2_normalize(classes).T
        if len(labels)
        else torch.empty(0, len(classes))
    )
    own = cosine.gather(1, labels[:, None])
    others = cosine.scatter(1, labels[:, None], -torch.inf).amax(1, keepdim=True)
    return {
        "labels": labels,
        "guesses": cosine.topk(min(GUESSES, len(classes)), dim=1).indices,
        "margin": (own - others)[:, 0],
        "area": torch.cat([area(s) for s in batch]),
        "counts": torch.tensor([len(s.boxes) for s in batch]),
    }


def area(sample: Sample) -> Tensor:
    """The area `[R]` of each box in pixels of the sample's picture."""
    width, height = sample.size
    return (sample.boxes[:, 2:] - sample.boxes[:, :2]).prod(1) * (width * height)


def clipself_scores(boxes: NamedBoxes) -> dict[str, float]:
    """CLIPSelf's and DenseVLM's definition: the mean over classes, things and stuff apart."""
    scores = {}
    for group, chosen in (("things", boxes.things), ("stuff", ~boxes.things)):
        rows = chosen[boxes.labels]
        for k in (1, 5):
            scores[f"clipself_{group}_top{k}"] = macro(boxes.right(k)[rows], boxes.labels[rows])
    return scores


def fineclip_scores(boxes: NamedBoxes) -> dict[str, float]:
    """FineCLIP's definition: one mean over all classes, things and stuff together."""
    return {f"fineclip_top{k}": macro(boxes.right(k), boxes.labels) for k in (1, 5)}


def fgclip_scores(boxes: NamedBoxes) -> dict[str, float]:
    """FG-CLIP's definition: every box counts the same."""
    return {f"fgclip_top{k}": micro(boxes.right(k)) for k in (1, 5)}


def box_scores(boxes: NamedBoxes) -> dict[str, float]:
    """For data sets without a published definition: every box the same, and the mean over classes."""
    return {f"box_top{k}": micro(boxes.right(k)) for k in (1, 5)} | {
        "box_macro_top1": macro(boxes.right(1), boxes.labels)
    }


def size_scores(boxes: NamedBoxes) -> dict[str, float]:
    """Top-1 and number of small, medium and large boxes by COCO's limits, 32 and 96 pixels squared."""
    scores: dict[str, float] = {}
    for name, (low, high) in COCO_SIZES.items():
        rows = (boxes.area >= low) & (boxes.area < high)
        if rows.any():
            scores |= {f"{name}_top1": micro(boxes.right(1)[rows]), f"{name}_boxes": int(rows.sum())}
    return scores
