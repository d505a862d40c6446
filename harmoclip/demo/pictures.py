"""The demo's pictures: boxes and what they are asked, a similarity map a phrase, the curves of both runs."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from harmoclip.data import Sample
from harmoclip.demo.box_pictures import PICTURES, easy_first, text_vectors
from harmoclip.demo.study import Outcome, Study
from harmoclip.draw import draw_boxes, draw_similarity

GRID = 8
"""Points of a similarity map, along each side."""
WINDOWS = (0.2, 0.3, 0.4)
"""Sides of the windows around each point, of the image's."""


def save_pictures(study: Study, outcomes: dict[str, Outcome], folder: Path) -> list[Path]:
    """Write every picture into the folder and give their paths."""
    figures = {
        "boxes.png": PICTURES[study.subject.asks](study, outcomes),
        "similarity.png": _similarity(study, outcomes["harmonized"]),
        "curves.png": _curves(outcomes, len(study.subject.names)),
    }
    paths = []
    for name, figure in figures.items():
        png = BytesIO()
        figure.savefig(png, dpi=150, bbox_inches="tight", pad_inches=0.1)
        plt.close(figure)
        paths.append(folder / name)
        paths[-1].write_bytes(png.getvalue())
    return paths


@torch.no_grad()
def _similarity(study: Study, outcome: Outcome) -> Figure:
    """Where three held-out images show each of their linked phrases, among all names and held-out phrases.

    Each point tells of the windows around it. A map of the cosines of single patches may be bright where
    nothing is: a patch of background is like all stars at once.
    """
    subject, test = study.subject, study.subject.test
    texts = sorted({*subject.names, *(text for sample in test.samples for text in sample.phrase_texts)})
    vectors = text_vectors(study, outcome, texts)
    rows = easy_first(test.samples)[:3]
    asked = [_said_of_boxes(test.samples[i], subject.names) for i in rows]
    width = 1 + max(map(len, asked))
    figure, axes = plt.subplots(
        len(rows), width, figsize=(2.3 * width, 2.5 * len(rows)), layout="constrained", squeeze=False
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for row, i, said in zip(axes, rows, asked, strict=True):
        sample = test.samples[i]
        likely = _texts_of_windows(outcome, subject.pixels(test, slice(i, i + 1)), vectors)
        draw_boxes(sample.image, sample.boxes, ax=row[0])
        for ax, text in zip(row[1:], said, strict=False):
            draw_similarity(sample.image, likely[..., texts.index(text)], ax=ax)
            ax.set_title(text, fontsize=9)
    return figure


def _said_of_boxes(sample: Sample, names: Sequence[str]) -> list[str]:
    """The phrases that are linked to a box, in the order of the caption; the boxes' names where none is."""
    phrases = sorted({phrase for _, phrase in sample.links})
    if not phrases and sample.labels is not None:
        return [names[label] for label in sorted(set(sample.labels.tolist()))]
    return [sample.phrase_texts[phrase] for phrase in phrases]


def _texts_of_windows(outcome: Outcome, pixels: Tensor, vectors: Tensor) -> Tensor:
    """`[GRID, GRID, K]`, how likely each text is for the windows around each point: their mean."""
    harmo = outcome.harmo.eval()
    regions = harmo.encode_regions(pixels, [_windows()])
    likely = (harmo.towers.logit_scale.exp() * regions @ vectors.T).softmax(-1)
    return likely.reshape(len(WINDOWS), GRID, GRID, -1).mean(0)


def _windows() -> Tensor:
    """`[len(WINDOWS) * GRID * GRID, 4]` xyxy: squares around the middle of each cell, cut at the edges."""
    middle = (torch.arange(GRID) + 0.5) / GRID
    half, y, x = torch.meshgrid(torch.tensor(WINDOWS) / 2, middle, middle, indexing="ij")
    return torch.stack([x - half, y - half, x + half, y + half], -1).reshape(-1, 4).clamp(0, 1)


def _curves(outcomes: dict[str, Outcome], names: int) -> Figure:
    """Both sides against the step, both runs."""
    figure, axes = plt.subplots(1, 2, figsize=(9.2, 3.6), layout="constrained")
    for ax, keys, title in (
        (axes[0], {"i2t_r1": ", image to text", "t2i_r1": ", text to image"}, "retrieval R@1"),
        (axes[1], {"box_top1": ""}, f"box Top-1 of {names} names"),
    ):
        for color, (name, outcome) in zip(("#6e7781", "#0969da"), outcomes.items(), strict=True):
            for style, (key, side) in zip(("-", "--"), keys.items(), strict=False):
                steps, values = zip(*((step, m[key]) for step, m in outcome.curve), strict=True)
                ax.plot(steps, values, style, marker="o", color=color, label=f"{name}{side}")
        ax.set(xlabel="step", ylim=(0, 1), title=f"{title}, held out")
        ax.grid(alpha=0.3)
        ax.legend()
    return figure
