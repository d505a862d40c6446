"""The study of generated scenes: a small CLIP from random weights."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from harmoclip.data.scenes import CLASS_NAMES
from harmoclip.demo.scenes import to_input
from harmoclip.evaluate import Encoder, mean_recall
from harmoclip.evaluate.both_sides import region_side, whole_side
from harmoclip.harmonized import harmonize
from rivals.data import CONTEXT_LENGTH, Batch, Data
from rivals.objectives import build, identity
from rivals.study import Study
from rivals.training import State, Training


@dataclass(frozen=True)
class Settings:
    """One model, one start, one length of training for all."""

    start_steps: int = 400
    steps: int = 250
    batch_size: int = 96
    train_scenes: int = 6000
    test_scenes: int = 600
    width: int = 64
    layers: int = 3
    learning_rate: float = 1e-3
    device: str = "cpu"

    @property
    def key(self) -> str:
        """A name for files: runs of other settings do not mix."""
        return (
            f"w{self.width}l{self.layers}b{self.batch_size}n{self.train_scenes}"
            f"m{self.test_scenes}s{self.start_steps}lr{self.learning_rate:g}"
        )


def small_clip(settings: Settings, seed: int) -> nn.Module:
    """An open_clip model for 64 x 64 pixels with random weights of the seed."""
    from open_clip.model import CLIP

    torch.manual_seed(seed)
    width = settings.width
    vision = {"image_size": 64, "patch_size": 8, "layers": settings.layers, "width": width, "head_width": 32}
    text = {"context_length": CONTEXT_LENGTH, "vocab_size": 49408, "layers": 2, "width": width, "heads": 2}
    return CLIP(embed_dim=width, vision_cfg=vision, text_cfg=text)


class SceneStudy(Study):
    """Every objective on generated scenes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.key, self.start_steps, self.steps = settings.key, settings.start_steps, settings.steps
        self.device = torch.device(settings.device)
        self.data = Data(settings.train_scenes, settings.test_scenes, 0)

    def identity(self, name: str) -> str:
        """The rival's name, or a digest of all options of ours."""
        return identity(name)

    def begin(self, name: str, start: State | None, seed: int, steps: int) -> Training:
        """All weights train, at one rate."""
        model = small_clip(self.settings, seed)
        if start is not None:
            model.load_state_dict(start)
        objective = build(name, model.to(self.device), self.data.tokenizer).to(self.device)
        trained = [p for p in objective.parameters() if p.requires_grad]
        return Training(objective, [{"params": trained, "lr": self.settings.learning_rate}], steps)

    def batches(self, seed: int, skip: int = 0) -> Iterator[Batch]:
        """Random batches of distinct scenes."""
        split, size, rng = self.data.train, self.settings.batch_size, random.Random(seed)
        for _ in range(skip):
            rng.sample(range(len(split)), size)
        while True:
            yield split.batch(rng.sample(range(len(split)), size), self.device)

    def measure(self, weights: State) -> dict[str, float]:
        """Retrieval on held-out scenes, and boxes named among 64 by each dense kind.

        `r1` is the mean of both directions; `box_top1` (seen pairs) and `novel_top1` (held-out pairs) are
        those of the dense kind that names the seen pairs better.
        """
        model = small_clip(self.settings, 0).to(self.device)
        model.load_state_dict(weights)
        named = {}
        for kind in ("plain", "value"):
            with harmonize(model, dense=kind) as harmo:
                encoder = Encoder(harmo, to_input, self.data.tokenizer, batch_size=200, ready=True)
                found = whole_side(encoder, self.data.test.samples)
                named[kind] = [
                    region_side(encoder, split.samples, CLASS_NAMES)["box_top1"]
                    for split in (self.data.test, self.data.novel)
                ]
        best = max(named.values())
        return {
            "r1": mean_recall(found, 1),
            "r5": mean_recall(found, 5),
            "box_top1": best[0],
            "novel_top1": best[1],
            **{f"box_top1_{kind}": values[0] for kind, values in named.items()},
        }
