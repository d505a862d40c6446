"""Train the same small CLIP on the same batches, plain and harmonized, and measure both."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from harmoclip.data import Collator, Sample
from harmoclip.data.scenes import CLASS_NAMES, Scenes
from harmoclip.evaluate import Encoder, Metrics
from harmoclip.evaluate.both_sides import region_side, whole_side
from harmoclip.grounding import Grounding
from harmoclip.harmonized import Harmonized, harmonize
from harmoclip.losses import GlobalContrastiveLoss

CONTEXT_LENGTH = 40
Advance = Callable[[int, float], None]
"""Told how far a run is, and its loss or its share."""


@dataclass(frozen=True)
class Settings:
    """How much is trained and measured."""

    steps: int = 800
    batch_size: int = 28
    train_scenes: int = 6000
    test_scenes: int = 500
    learning_rate: float = 3e-3
    curve_points: int = 4
    seed: int = 0


@dataclass
class Outcome:
    """One run: its model, its measures, and its measures on the way."""

    harmo: Harmonized
    measures: dict[str, float] = field(default_factory=dict)
    curve: list[tuple[int, Metrics]] = field(default_factory=list)


def small_clip(seed: int) -> nn.Module:
    """A small open_clip model for 64 x 64 pixels, with random weights of the seed.

    Convolutions make its patches: from so few scenes they learn shapes that a linear map never does.
    """
    from open_clip.model import CLIP

    torch.manual_seed(seed)
    model = CLIP(
        embed_dim=96,
        vision_cfg={"image_size": 64, "patch_size": 8, "layers": 3, "width": 96, "head_width": 24},
        text_cfg={
            "context_length": CONTEXT_LENGTH, "vocab_size": 49408, "layers": 2, "width": 96, "heads": 4,
        },
    )  # fmt: skip
    model.visual.conv1 = _stem(3, 24, 48, 48, 96, strides=(2, 2, 1, 2))
    return model


def _stem(*channels: int, strides: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for (before, after), stride in zip(pairwise(channels), strides, strict=True):
        convolution = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).to(memory_format=torch.channels_last)


class Split:
    """Scenes held as tensors: uint8 images, token ids, one grounding a scene."""

    def __init__(self, samples: list[Sample], collator: Collator) -> None:
        self.samples = samples
        self.images = torch.stack([torch.as_tensor(s.image) for s in samples])
        self.texts = collator.tokenizer([s.caption for s in samples])
        self.groundings = [collator.grounding(s) for s in samples]

    def __len__(self) -> int:
        return len(self.samples)

    def pixels(self, rows: Tensor | slice) -> Tensor:
        """The model's input of these rows."""
        return to_input(self.images[rows])


def to_input(image: object) -> Tensor:
    """Float values in [-1, 1] of uint8 images, one or many."""
    return torch.as_tensor(image).float() / 127.5 - 1


class Study:
    """The data of the demo, and a run over it."""

    def __init__(self, settings: Settings, progress: Advance) -> None:
        import open_clip

        self.settings = settings
        self.tokenizer = open_clip.SimpleTokenizer(context_length=CONTEXT_LENGTH)
        collator = Collator(self.tokenizer)
        total = settings.train_scenes + settings.test_scenes
        done = 0
        splits = []
        for name, length in (("train", settings.train_scenes), ("test", settings.test_scenes)):
            scenes = Scenes(name, length, seed=settings.seed)
            samples = []
            for i in range(length):
                samples += scenes.render([i])
                done += 1
                progress(done, done / total)
            splits.append(Split(samples, collator))
        self.train, self.test = splits
        self.class_ids = self.tokenizer(list(CLASS_NAMES))

    def run(self, harmonized: bool, progress: Advance) -> Outcome:
        """Train from the seed's weights on the seed's batches; measure on the way and at the end."""
        settings = self.settings
        # without pre-training, the last block's own tokens learn faster than its value path
        options: dict[str, Any] = {"dense": "plain", "weights": {"global_region": 0.5}}
        outcome = Outcome(harmonize(small_clip(settings.seed), **options))
        harmo, contrast = outcome.harmo, GlobalContrastiveLoss()
        towers = harmo.towers
        optimizer = torch.optim.AdamW(
            harmo.parameters(), lr=settings.learning_rate, weight_decay=0.1, fused=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._warm_then_cosine)
        batches = torch.Generator().manual_seed(settings.seed)
        times: list[float] = []
        for step in range(1, settings.steps + 1):
            rows = torch.randint(len(self.train), (settings.batch_size,), generator=batches)
            grounding = Grounding.collate([self.train.groundings[i] for i in rows.tolist()])
            images, texts = self.train.pixels(rows), self.train.texts[rows]
            start = time.perf_counter()
            if harmonized:
                loss = harmo(images, texts, grounding)["loss"]
            else:
                loss = contrast(towers.encode_image(images), towers.encode_text(texts), towers.logit_scale)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            times.append(time.perf_counter() - start)
            progress(step, loss.item())
            if step % math.ceil(settings.steps / settings.curve_points) == 0 or step == settings.steps:
                outcome.curve.append((step, self.measure(harmo)))
        outcome.measures = {**outcome.curve[-1][1], "step_ms": 1000 * median(times)}
        return outcome

    def measure(self, harmo: Harmonized) -> Metrics:
        """Retrieval on held-out scenes, and the name of every box among all color-shape names."""
        encoder = Encoder(harmo, to_input, self.tokenizer, batch_size=250, ready=True)
        samples = self.test.samples
        measures = whole_side(encoder, samples) | region_side(encoder, samples, CLASS_NAMES)
        harmo.train()
        return measures

    def _warm_then_cosine(self, step: int) -> float:
        warm, total = 50, self.settings.steps
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
