"""The demo's pictures: named boxes, a similarity map a phrase, the curves of both runs."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from harmoclip.data import Sample
from harmoclip.demo.study import Outcome, Study
from harmoclip.draw import draw_boxes, draw_similarity
from harmoclip.tensors import l2_normalize

IMAGES = 4


def save_pictures(study: Study, outcomes: dict[str, Outcome], folder: Path) -> list[Path]:
    """Write every picture into the folder and give their paths."""
    figures = {
        "boxes.png": _named_boxes(study, outcomes),
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
def _named_boxes(study: Study, outcomes: dict[str, Outcome]) -> Figure:
    """Held-out images, each box with the most similar of all names, a row a run; wrong names in red."""
    subject = study.subject
    shown = _some(subject.test.samples)
    figure, axes = plt.subplots(
        len(outcomes),
        IMAGES,
        figsize=(2.3 * IMAGES, 2.55 * len(outcomes)),
        layout="constrained",
        squeeze=False,
    )
    for row, (name, outcome) in zip(axes, outcomes.items(), strict=True):
        harmo = outcome.harmo.eval()
        classes = _text_vectors(study, outcome, subject.names)
        for i, ax in zip(shown, row, strict=False):
            sample = subject.test.samples[i]
            regions = harmo.encode_regions(subject.pixels(subject.test, slice(i, i + 1)), [sample.boxes])
            guess = (regions @ classes.T).argmax(1)
            names = [subject.names[g].removeprefix("a ").removeprefix("an ") for g in guess]
            right = torch.eq(guess, torch.as_tensor(sample.labels))
            colors = ["#1a7f37" if ok else "#cf222e" for ok in right]
            draw_boxes(sample.image, sample.boxes, names, colors=colors, ax=ax)
        row[0].set_title(f"{name}: nearest name of each box (green: right)", loc="left", fontsize=11)
    return figure


@torch.no_grad()
def _similarity(study: Study, outcome: Outcome) -> Figure:
    """Where three held-out images look like each of their phrases, among all names.

    A map of cosines alone may be bright where nothing is: a patch of background is like all stars at once.
    """
    subject, harmo = study.subject, outcome.harmo
    names = _text_vectors(study, outcome, subject.names)
    scale = harmo.towers.logit_scale.exp()
    test = subject.test
    rows = _some(test.samples)[:3]
    width = 1 + max(len(test.samples[i].phrases) for i in rows)
    figure, axes = plt.subplots(
        len(rows), width, figsize=(2.3 * width, 2.5 * len(rows)), layout="constrained"
    )
    for row, i in zip(axes, rows, strict=True):
        sample = test.samples[i]
        dense = harmo.encode_dense(subject.pixels(test, slice(i, i + 1)))[0]
        phrases = _text_vectors(study, outcome, sample.phrase_texts)
        draw_boxes(sample.image, sample.boxes, ax=row[0])
        for ax in row[1:]:
            ax.set_axis_off()
        for ax, vector, text in zip(row[1:], phrases, sample.phrase_texts, strict=False):
            logits = scale * dense @ torch.cat([vector[None], names]).T
            draw_similarity(sample.image, logits.softmax(-1)[..., 0], ax=ax)
            ax.set_title(text, fontsize=9)
    return figure


def _text_vectors(study: Study, outcome: Outcome, texts: Sequence[str]) -> Tensor:
    """`[K, D]`, normalised."""
    return l2_normalize(outcome.harmo.towers.encode_text(study.subject.tokenizer(list(texts))))


def _some(samples: Sequence[Sample]) -> list[int]:
    """The first samples that are easy to read: a few boxes, a few phrases."""
    easy = [i for i, s in enumerate(samples) if 2 <= len(s.boxes) <= 5 and 2 <= len(s.phrases) <= 4]
    return [*easy, *(i for i in range(len(samples)) if i not in easy)][:IMAGES]


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
