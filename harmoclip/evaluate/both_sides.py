"""Both sides of a model on one data set: does it know which caption is an image's, and what is in a box?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harmoclip.data import Sample
from harmoclip.errors import DataError
from harmoclip.evaluate.captioned import Captioned
from harmoclip.evaluate.classification import cosines
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.regions import Regions, RegionVectors
from harmoclip.evaluate.retrieval import retrieval
from harmoclip.evaluate.samples import Samples
from harmoclip.evaluate.tradeoff import trade_off
from harmoclip.segment import phrase_id

MEASURES = ("i2t_r1", "i2t_r5", "t2i_r1", "t2i_r5", "box_top1", "trade_off")
"""What `both_sides` gives."""


@dataclass(frozen=True)
class Questions:
    """Every box that has a name, and the texts it is to be named from.

    Args:
        names: K texts.
        rows: `[Q]` which of all boxes are asked.
        answers: `[Q, K]` bool, the texts that are right for each.
    """

    names: list[str]
    rows: Tensor
    answers: Tensor


def both_sides(encoder: Encoder, samples: Samples, class_names: Sequence[str] | None = None) -> Metrics:
    """Retrieval R@1 and R@5 both ways, box Top-1, and their trade-off.

    Args:
        encoder: The model.
        samples: Those of one key are captions of one image. Their boxes have labels, or linked phrases.
        class_names: The text of each label; None asks for the phrases that are linked to a box instead.

    Returns:
        The `MEASURES`, all in [0, 1].

    Raises:
        DataError: No box has a name.
        EvaluationError: Some vectors are not finite or all zeros.
    """
    sides = whole_side(encoder, samples) | region_side(encoder, samples, class_names)
    return sides | Metrics([Metric("trade_off", trade_off(sides))])


def check_both_sides(samples: Samples, class_names: Sequence[str] | None = None) -> None:
    """Raise a DataError where no sample has a caption, or no box a name: one side could not be measured."""
    Captioned.samples(samples)
    questions([samples[i] for i in range(len(samples))], class_names)


def whole_side(encoder: Encoder, samples: Samples) -> Metrics:
    """Retrieval R@1 and R@5 both ways."""
    captioned = Captioned.samples(samples)
    image = encoder.image_vectors(captioned.read, captioned.images)
    found = retrieval(image, encoder.text_vectors(captioned.captions), captioned.image_of_text, ks=(1, 5))
    return found.pick("i2t_r1", "i2t_r5", "t2i_r1", "t2i_r5")


def region_side(
    encoder: Encoder, samples: Samples, class_names: Sequence[str] | None = None, regions: Regions = "dense"
) -> Metrics:
    """The share of boxes whose most similar name is right: `box_top1`."""
    found = encoder.region_vectors(samples, regions)
    asked = questions(found.samples, class_names, found)
    guess = cosines(found.vectors[asked.rows], encoder.text_vectors(asked.names)).argmax(1)
    right = asked.answers.gather(1, guess[:, None]).double().mean().item()
    chance = asked.answers.double().mean().item()
    return Metrics([Metric("box_top1", right, chance=chance)], found.left_out)


def questions(
    samples: Sequence[Sample], class_names: Sequence[str] | None, regions: RegionVectors | None = None
) -> Questions:
    """What the boxes are asked: their class among all classes, or, without classes, a phrase linked to them.

    Raises:
        DataError: No box has a name.
    """
    right = _classes(samples) if class_names is not None else _phrases(samples)
    names = list(class_names) if class_names is not None else list(_distinct_phrases(samples).values())
    rows = [row for row, columns in enumerate(right) if columns]
    if not rows:
        left_out = regions.left_out if regions else ()
        why = f" {len(left_out)} boxes were left out, the first is {left_out[0]}." if left_out else ""
        raise DataError(
            f"no held-out box has a class or a linked phrase: the region side cannot be measured.{why}"
        )
    answers = torch.zeros(len(rows), len(names), dtype=torch.bool)
    for i, row in enumerate(rows):
        answers[i, sorted(right[row])] = True
    return Questions(names, torch.tensor(rows), answers)


def _classes(samples: Sequence[Sample]) -> list[set[int]]:
    """The class of each box, as a set."""
    return [
        set() if s.labels is None else {int(s.labels[row])} for s in samples for row in range(len(s.boxes))
    ]


def _phrases(samples: Sequence[Sample]) -> list[set[int]]:
    """The distinct phrases that are linked to each box."""
    column = {key: i for i, key in enumerate(_distinct_phrases(samples))}
    return [
        {column[phrase_id(sample.phrase_texts[p])] for r, p in sample.links if r == row}
        for sample in samples
        for row in range(len(sample.boxes))
    ]


def _distinct_phrases(samples: Sequence[Sample]) -> dict[int, str]:
    return {phrase_id(text): text for s in samples for text in s.phrase_texts}
