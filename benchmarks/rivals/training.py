"""Train one objective from the common start, measure both sides, and time a step."""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import torch
from torch import Tensor, nn

from harmoclip.data.scenes import CLASS_NAMES
from harmoclip.evaluate import Encoder, mean_recall
from harmoclip.evaluate.both_sides import region_side, whole_side
from harmoclip.harmonized import harmonize
from harmoclip.interpolation import interpolate
from rivals.data import CONTEXT_LENGTH, Batch, Data, Split, to_input
from rivals.objectives import Objective, build

Progress = Callable[[int, float], None]
State = dict[str, Tensor]


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


def batches(split: Split, size: int, seed: int, device: torch.device, skip: int = 0) -> Iterator[Batch]:
    """Random batches of distinct scenes, the same for every objective of a seed; the first ones skipped."""
    rng = random.Random(seed)
    for _ in range(skip):
        rng.sample(range(len(split)), size)
    while True:
        yield split.batch(rng.sample(range(len(split)), size), device)


class Training:
    """An objective, its optimiser and its schedule; every call of `step` is one update."""

    def __init__(self, name: str, start: State | None, data: Data, settings: Settings, seed: int, steps: int):
        self.device = torch.device(settings.device)
        model = small_clip(settings, seed)
        if start is not None:
            model.load_state_dict(start)
        self.objective: Objective = build(name, model.to(self.device), data.tokenizer).to(self.device)
        trained = [p for p in self.objective.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=0.1, fused=True)
        warm = max(1, min(40, steps // 5))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            lambda i: (
                (i + 1) / warm if i < warm else 0.5 + 0.5 * math.cos(math.pi * (i - warm) / (steps - warm))
            ),
        )

        self.done = 0

    def step(self, batch: Batch) -> float:
        """One update; the loss."""
        torch.manual_seed(self.done)
        self.objective.rng.seed(self.done)
        loss: Tensor = self.objective(batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        self.done += 1
        return loss.item()

    def save(self, path: Path) -> None:
        """Keep all that the next steps depend on."""
        parts = {name: getattr(self, name).state_dict() for name in ("objective", "optimizer", "schedule")}
        torch.save({**parts, "done": self.done}, path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)

    def resume(self, path: Path) -> None:
        """Go on from what `save` kept, if there is something."""
        if path.exists():
            kept = torch.load(path)
            self.done = kept.pop("done")
            for name, state in kept.items():
                getattr(self, name).load_state_dict(state)


def train(
    name: str,
    start: State | None,
    data: Data,
    settings: Settings,
    seed: int,
    steps: int,
    kept: Path,
    progress: Progress,
) -> State:
    """The model's weights after training from `start` (from random weights where it is None).

    Once a minute all is saved in the file `kept`, from which a stopped run goes on.
    """
    training = Training(name, start, data, settings, seed, steps)
    training.resume(kept)
    other = 0 if start is None else 1000  # the start saw other batches
    stream = batches(data.train, settings.batch_size, seed + other, training.device, training.done)
    saved = time.monotonic()
    while training.done < steps:
        progress(training.done + 1, training.step(next(stream)))
        if time.monotonic() - saved > 60:
            training.save(kept)
            saved = time.monotonic()
    weights = {k: v.cpu().clone() for k, v in training.objective.model.state_dict().items()}
    kept.unlink(missing_ok=True)
    share = training.objective.average
    return interpolate(start, weights, share) if start else weights


def measure(weights: State, data: Data, settings: Settings) -> dict[str, float]:
    """Retrieval on held-out scenes, and boxes named among 64, seen and held-out pairs, by each dense kind.

    `r1` is the mean of both directions; `box_top1` and `novel_top1` are those of the dense kind that names
    the seen pairs better.
    """
    model = small_clip(settings, 0).to(settings.device)
    model.load_state_dict(weights)
    named = {}
    for kind in ("plain", "value"):
        with harmonize(model, dense=kind) as harmo:
            encoder = Encoder(harmo, to_input, data.tokenizer, batch_size=200, ready=True)
            found = whole_side(encoder, data.test.samples)
            named[kind] = [
                region_side(encoder, split.samples, CLASS_NAMES)["box_top1"]
                for split in (data.test, data.novel)
            ]
    best = max(named.values())
    return {
        "r1": mean_recall(found, 1),
        "r5": mean_recall(found, 5),
        "box_top1": best[0],
        "novel_top1": best[1],
        **{f"box_top1_{kind}": values[0] for kind, values in named.items()},
    }


def step_times(
    names: list[str], start: State, data: Data, settings: Settings, rounds: int, progress: Progress
) -> dict[str, dict[str, float]]:
    """Milliseconds of one update, the objectives taking turns on the same batches: median, p20 and p80."""
    runs = {name: Training(name, copy.deepcopy(start), data, settings, 0, 1000) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    stream = batches(data.train, settings.batch_size, 0, torch.device(settings.device))
    for i in range(rounds + 2):
        batch = next(stream)
        for name, run in runs.items():
            begin = time.perf_counter()
            run.step(batch)
            if i >= 2:
                times[name].append(1000 * (time.perf_counter() - begin))
        progress(i + 1, 0.0)
    return {
        name: {"step_ms": median(t), "p20": quantiles(t, n=5)[0], "p80": quantiles(t, n=5)[3]}
        for name, t in times.items()
    }


def held_megabytes(name: str, start: State, data: Data, settings: Settings) -> float:
    """What one step's graph keeps for the backward pass, without the weights, in MB."""
    run = Training(name, start, data, settings, 0, 1000)
    weights = {p.untyped_storage().data_ptr() for p in run.objective.parameters()}
    held: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = next(batches(data.train, settings.batch_size, 0, run.device))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = run.objective(batch)
    del loss
    return sum(held.values()) / 1e6
