"""Draw every image of `docs/gallery.md`, from drawn scenes alone: `python tools/gallery.py`.

The starter learns from 1,200 scenes for some minutes; then it is asked about scenes that it has not seen,
beside what it was before. It needs the extras `starter`, `train` and `draw`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import torch

import harmoclip
from harmoclip.cli.progress import Progress
from harmoclip.cli.train import TrainingProgress
from harmoclip.data import Sample, write_lines
from harmoclip.data.scenes import Scenes
from harmoclip.data.tools.contact_sheet import contact_sheet
from harmoclip.draw import draw_boxes, draw_matrix, draw_phrases, draw_similarity, save
from harmoclip.harmonized import Harmonized
from harmoclip.train import load_config, train

ASSETS = Path(__file__).parents[1] / "docs" / "assets" / "gallery"
SIZE = 192
STEPS = 100
CAPTION = "A man in a red hat walks two small dogs along a wooden fence."


def main() -> None:
    """Train, and draw."""
    mpl.use("agg")
    ASSETS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        models = {
            "before": harmoclip.harmonize(harmoclip.load_model("starter")),
            "after": trained(Path(folder)),
        }
    unseen = Scenes("test", 40, size=SIZE)
    scenes = [sample for sample in unseen if 2 <= len(sample.phrases) <= 3][:4]
    contact_sheet(scenes).savefig(ASSETS / "sheet.png", dpi=60)
    phrases = harmoclip.CaptionSegmenter()(CAPTION)
    (ASSETS / "phrases.svg").write_text(draw_phrases(CAPTION, phrases), encoding="utf-8")
    named(models, scenes, list(unseen.class_names))
    heat(models, scenes[0])
    matrix(models["after"], scenes[0])


def trained(folder: Path) -> Harmonized:
    """The starter after some minutes on drawn scenes."""
    write_lines(Scenes("train", 1200, size=SIZE), folder / "scenes.jsonl")
    options = [
        "model.name=starter",
        f"data.path={folder / 'scenes.jsonl'}",
        "data.batch_size=32",
        f"steps={STEPS}",
        "optimizer.learning_rate=1e-3",
        "optimizer.layer_decay=0.7",
        "optimizer.image_blocks=5",
        "optimizer.text_blocks=1",
        "optimizer.warmup=10",
        "tracker=none",
        f"out={folder / 'run'}",
    ]
    with Progress() as progress:
        train(load_config(None, options), TrainingProgress(progress))
    return harmoclip.harmonize(harmoclip.load_model(str(folder / "run" / "final")))


def named(models: dict[str, Harmonized], scenes: list[Sample], names: list[str]) -> None:
    """Boxes with the most similar of all names, before and after; right ones in green."""
    figure, axes = plt.subplots(
        len(models), len(scenes), figsize=(3 * len(scenes), 3.1 * len(models)), layout="constrained"
    )
    for row, (when, harmo) in zip(axes, models.items(), strict=True):
        for ax, scene in zip(row, scenes, strict=True):
            labels = harmo.label(scene.image, scene.boxes, names)
            right = [names[int(i)] == label.name for i, label in zip(labels_of(scene), labels, strict=True)]
            colors = ["#1a7f37" if ok else "#cf222e" for ok in right]
            draw_boxes(scene.image, scene.boxes, [label.name for label in labels], colors=colors, ax=ax)
        row[0].set_title(when, loc="left")
    figure.savefig(ASSETS / "boxes.png", dpi=80)
    plt.close(figure)


def heat(models: dict[str, Harmonized], scene: Sample) -> None:
    """Where the phrases of a scene are, before and after."""
    texts = list(scene.phrase_texts)
    size = (3 * (len(texts) + 1), 3.1 * len(models))
    figure, axes = plt.subplots(len(models), len(texts) + 1, figsize=size, layout="constrained")
    for row, (when, harmo) in zip(axes, models.items(), strict=True):
        draw_boxes(scene.image, scene.boxes, ax=row[0]).set_title(when, loc="left")
        for ax, text, similarity in zip(row[1:], texts, harmo.heatmap(scene.image, texts), strict=True):
            draw_similarity(scene.image, similarity, ax=ax).set_title(text)
    figure.savefig(ASSETS / "heat.png", dpi=80)
    plt.close(figure)


def matrix(harmo: Harmonized, scene: Sample) -> None:
    """Every box of a scene with every phrase."""
    texts = list(scene.phrase_texts)
    labels = harmo.label(scene.image, scene.boxes, texts, prompts="name")
    cosines = torch.tensor([[label.cosines[text] for text in texts] for label in labels])
    rows = [f"box {row}" for row in range(len(labels))]
    save(draw_matrix(cosines, rows, texts), ASSETS / "matrix.png")


def labels_of(scene: Sample) -> list[int]:
    """The class of each box."""
    return [] if scene.labels is None else scene.labels.tolist()


if __name__ == "__main__":
    main()
