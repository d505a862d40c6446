"""Held-out images with their boxes, a row a run: the name of each box, or the box of each phrase."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import shorten

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from harmoclip.data import Sample
from harmoclip.demo.study import Outcome, Study, is_asked
from harmoclip.draw import PALETTE, draw_boxes
from harmoclip.evaluate.referring import linked_boxes, linked_phrases
from harmoclip.tensors import l2_normalize

IMAGES = {"names": 4, "phrases": 6}
SMALLEST = 0.01
"""Area of a box that is drawn by choice, of the image's."""
LINE = 30
"""Characters of a phrase below its image."""
RIGHT, WRONG, OTHER = "#1a7f37", "#cf222e", "#d0d7de"

Draw = Callable[[str, int, Axes], list[bool]]
"""Draws what the run of this name answers for one held-out image, and says which answers are right."""


def named_boxes(study: Study, outcomes: dict[str, Outcome]) -> Figure:
    """Each box with the most similar of all names, wrong ones in red."""
    subject = study.subject
    classes = {run: text_vectors(study, outcome, subject.names) for run, outcome in outcomes.items()}

    def draw(run: str, i: int, ax: Axes) -> list[bool]:
        sample = subject.named[i]
        guess = (_region_vectors(study, outcomes[run], i, sample.boxes) @ classes[run].T).argmax(1)
        names = [subject.names[g].removeprefix("a ").removeprefix("an ") for g in guess]
        right: list[bool] = torch.eq(guess, torch.as_tensor(sample.labels)).tolist()
        colors = [RIGHT if ok else WRONG for ok in right]
        draw_boxes(sample.image, sample.boxes, names, colors=colors, ax=ax)
        return right

    shown = easy_first(subject.named)[: IMAGES["names"]]
    return _row_a_run(outcomes, shown, draw, "nearest name of each box")


def boxes_of_phrases(study: Study, outcomes: dict[str, Outcome]) -> Figure:
    """Each linked phrase with the most similar of the image's boxes, in its color."""
    samples = study.subject.test.samples

    def draw(run: str, i: int, ax: Axes) -> list[bool]:
        sample, outcome = samples[i], outcomes[run]
        texts = [sample.phrase_texts[p] for p in linked_phrases(sample)]
        regions = _region_vectors(study, outcome, i, sample.boxes)
        chosen = (regions @ text_vectors(study, outcome, texts).T).argmax(0)
        right: list[bool] = linked_boxes(sample).gather(1, chosen[:, None])[:, 0].tolist()
        colors = [PALETTE[p % len(PALETTE)] for p in range(len(texts))]
        draw_boxes(sample.image, sample.boxes, colors=[OTHER] * len(sample.boxes), ax=ax)
        draw_boxes(sample.image, _one_inside_another(sample.boxes, chosen), colors=colors, ax=ax)
        for line, (text, ok, color) in enumerate(zip(texts, right, colors, strict=True), start=1):
            said = shorten(f"{'✓' if ok else '✗'} {text}", LINE, placeholder=" ...")
            ax.annotate(
                said, (0, 0), (0, -11 * line), "axes fraction", "offset points", color=color, fontsize=8
            )
        return right

    asked = [i for i in easy_first(samples) if is_asked(samples[i])]
    return _row_a_run(outcomes, asked[: IMAGES["phrases"]], draw, "nearest box of each phrase, in its color")


PICTURES = {"names": named_boxes, "phrases": boxes_of_phrases}
"""By what the boxes are asked."""


def easy_first(samples: Sequence[Sample]) -> list[int]:
    """All samples, those that are easy to read first: a few phrases, and a few boxes, none of them tiny."""
    easy = [i for i, s in enumerate(samples) if 2 <= len(s.phrases) <= 4 and _readable(s.boxes)]
    return [*easy, *(i for i in range(len(samples)) if i not in easy)]


@torch.no_grad()
def text_vectors(study: Study, outcome: Outcome, texts: Sequence[str]) -> Tensor:
    """`[K, D]`, normalised."""
    return l2_normalize(outcome.harmo.towers.encode_text(study.subject.tokenizer(list(texts))))


def _row_a_run(outcomes: dict[str, Outcome], shown: Sequence[int], draw: Draw, title: str) -> Figure:
    """The same images for every run."""
    figure, axes = plt.subplots(
        len(outcomes),
        len(shown),
        figsize=(2.3 * len(shown), 2.55 * len(outcomes)),
        layout="constrained",
        squeeze=False,
    )
    for row, run in zip(axes, outcomes, strict=True):
        for ax in row:
            ax.set_axis_off()
        right = [ok for i, ax in zip(shown, row, strict=False) for ok in draw(run, i, ax)]
        row[0].set_title(f"{run}: {title}; {sum(right)} of {len(right)} right", loc="left", fontsize=11)
    return figure


@torch.no_grad()
def _region_vectors(study: Study, outcome: Outcome, i: int, boxes: Tensor) -> Tensor:
    """`[R, D]` of boxes of a held-out image, normalised."""
    pixels = study.subject.pixels(study.subject.test, slice(i, i + 1))
    return outcome.harmo.eval().encode_regions(pixels, [boxes])


def _one_inside_another(boxes: Tensor, chosen: Tensor) -> Tensor:
    """The chosen boxes `[P, 4]`; where one is chosen again, a little smaller each time."""
    times = torch.tensor([chosen[:p].eq(box).sum() for p, box in enumerate(chosen)])
    inwards = torch.tensor([1.0, 1.0, -1.0, -1.0])
    return boxes[chosen] + 0.012 * times[:, None] * inwards


def _readable(boxes: Tensor) -> bool:
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return 2 <= len(boxes) <= 5 and areas.min().item() >= SMALLEST
