"""Train the same model on the same batches, plain and harmonized, and measure both."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

import torch
from torch import Tensor, nn

from harmoclip.data import Collator, Sample
from harmoclip.evaluate import Encoder, Metrics
from harmoclip.evaluate.both_sides import region_side, whole_side
from harmoclip.evaluate.referring import linked_boxes, referring
from harmoclip.grounding import Grounding
from harmoclip.harmonized import Harmonized, harmonize
from harmoclip.interpolation import interpolate
from harmoclip.losses import GlobalContrastiveLoss
from harmoclip.modes import evaluation_mode
from harmoclip.tokenizers import Tokenizer

Advance = Callable[[int, float], None]
"""Told how far a run is, and its loss."""
_START = 1000  # the seed of its batches: others than those of the runs


@dataclass(frozen=True)
class Settings:
    """How much is trained and measured.

    With a `share` below 1 the model first takes as many steps on captions alone, and both runs go on from
    there; each ends with an average of so much of its weights and the rest of the start's.
    """

    steps: int
    batch_size: int
    train: int  # scenes or photographs
    test: int
    learning_rate: float
    warmup: int
    curve_points: int = 4
    seed: int = 0
    share: float = 1.0


@dataclass
class Outcome:
    """One run: its model, its measures, and its measures on the way."""

    harmo: Harmonized
    measures: dict[str, float]
    curve: list[tuple[int, Metrics]]


class Split:
    """Samples whose images are held as tensors: ids and a grounding for each.

    Args:
        samples: To ask about, and to draw.
        images: `[N, ...]` what `Subject.to_input` takes, each image once.
        collator: Makes ids and groundings.
        image_of: Which image each sample has; by default each has its own.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        images: Tensor,
        collator: Collator,
        image_of: Sequence[int] | None = None,
    ) -> None:
        self.samples, self.images = samples, images
        self.image_of = torch.arange(len(samples)) if image_of is None else torch.tensor(image_of)
        self.texts = collator.tokenizer([s.caption for s in samples])
        self.groundings = [collator.grounding(s) for s in samples]

    def __len__(self) -> int:
        return len(self.samples)

    def asked(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples, as many as the split has, with the images that the model takes."""
        return [s.replace(image=self.images[i]) for s, i in zip(samples, self.image_of.tolist(), strict=True)]


@dataclass(frozen=True)
class Subject:
    """What is trained, and on what.

    Attributes:
        train: To learn from.
        test: Held out.
        named: The same samples, each with the boxes alone that have a name; labels count the names.
        names: What a box may be called.
        tokenizer: The model's.
        start: Makes the model that every run starts from.
        to_input: From images of a split to what the model takes.
        options: Of `harmonize`.
        groups: The parameters that learn, for the optimizer; each group may have a rate of its own.
        asks: What the picture of boxes shows: the nearest of all names for each box, or for each phrase
            the nearest of the image's boxes.
    """

    train: Split
    test: Split
    named: Sequence[Sample]
    names: Sequence[str]
    tokenizer: Tokenizer
    start: Callable[[], nn.Module]
    to_input: Callable[[Any], Tensor]
    options: Mapping[str, Any] = field(default_factory=dict)
    groups: Callable[[Harmonized], list[dict[str, Any]]] = lambda harmo: [{"params": harmo.parameters()}]
    asks: Literal["names", "phrases"] = "names"

    def pixels(self, split: Split, rows: Tensor | slice) -> Tensor:
        """The model's input of these samples."""
        return self.to_input(split.images[split.image_of[rows]])


def is_asked(sample: Sample) -> bool:
    """Whether the sample has a phrase with a box, and a box that is not the phrase's."""
    return not linked_boxes(sample).all()


class Study:
    """Runs over a subject, from the same start and on the same batches."""

    def __init__(self, settings: Settings, subject: Subject) -> None:
        self.settings, self.subject = settings, subject
        self.curve: list[tuple[int, Metrics]] = []  # of the start
        self._start: dict[str, Tensor] | None = None

    def begin(self, progress: Advance) -> None:
        """Train the start on captions alone, and measure it."""
        harmo = harmonize(self.subject.start())
        for _ in self._train(harmo, False, _START, progress):
            pass
        self._start = {name: weight.clone() for name, weight in harmo.model.state_dict().items()}
        self.curve = [(0, self.measure(harmo))]

    def run(self, harmonized: bool, progress: Advance) -> Outcome:
        """Train; measure on the way and at the end."""
        settings = self.settings
        model = self.subject.start()
        if self._start is not None:
            model.load_state_dict(self._start)
        harmo = harmonize(model, **self.subject.options)
        curve, times = [*self.curve], []
        for step, seconds in self._train(harmo, harmonized, settings.seed, progress):
            times.append(seconds)
            if step == settings.steps and self._start is not None:
                model.load_state_dict(interpolate(self._start, model, settings.share))
            if step % math.ceil(settings.steps / settings.curve_points) == 0 or step == settings.steps:
                curve.append((step, self.measure(harmo)))
        return Outcome(harmo, {**curve[-1][1], "step_ms": 1000 * median(times)}, curve)

    def _train(
        self, harmo: Harmonized, harmonized: bool, seed: int, progress: Advance
    ) -> Iterator[tuple[int, float]]:
        """All steps; each gives its number and the seconds that it took."""
        settings, subject = self.settings, self.subject
        towers, contrast = harmo.towers, GlobalContrastiveLoss()
        optimizer = torch.optim.AdamW(
            subject.groups(harmo), lr=settings.learning_rate, weight_decay=0.1, fused=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._warm_then_cosine)
        batches = torch.Generator().manual_seed(seed)
        for step in range(1, settings.steps + 1):
            rows = torch.randint(len(subject.train), (settings.batch_size,), generator=batches)
            grounding = Grounding.collate([subject.train.groundings[i] for i in rows.tolist()])
            images, texts = subject.pixels(subject.train, rows), subject.train.texts[rows]
            start = time.perf_counter()
            if harmonized:
                loss = harmo(images, texts, grounding)["loss"]
            else:
                loss = contrast(towers.encode_image(images), towers.encode_text(texts), towers.logit_scale)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            seconds = time.perf_counter() - start
            progress(step, loss.item())
            yield step, seconds

    def measure(self, harmo: Harmonized) -> Metrics:
        """Of what was held out: retrieval, each box's name among all, and each phrase's box in its image."""
        subject = self.subject
        with evaluation_mode(harmo):
            encoder = Encoder(harmo, subject.to_input, subject.tokenizer, batch_size=250, ready=True)
            samples, named = (subject.test.asked(s) for s in (subject.test.samples, subject.named))
            measures = whole_side(encoder, samples) | region_side(encoder, named, subject.names)
            if any(is_asked(sample) for sample in samples):
                measures |= referring(encoder, samples).pick("referring")
        return measures

    def _warm_then_cosine(self, step: int) -> float:
        warm, total = self.settings.warmup, self.settings.steps
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
