"""Train one objective from the common start, time a step, and weigh what it holds."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rivals.objectives import Objective

if TYPE_CHECKING:
    from rivals.study import Study

Progress = Callable[[int, float], None]
State = dict[str, Tensor]


class Training:
    """An objective, its optimizer and its schedule; every call of `step` is one update.

    Args:
        objective: What is trained.
        groups: The optimizer's parameter groups, each with its `lr`.
        steps: After a short warm-up the rate falls to 0 along a cosine.
        bfloat16: Run the towers in it; losses stay in float32.
    """

    def __init__(
        self, objective: Objective, groups: list[dict[str, Any]], steps: int, *, bfloat16: bool = False
    ) -> None:
        self.objective, self.bfloat16, self.done = objective, bfloat16, 0
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0.1, fused=True)
        warm = max(1, min(40, steps // 5))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            lambda i: (
                (i + 1) / warm if i < warm else 0.5 + 0.5 * math.cos(math.pi * (i - warm) / (steps - warm))
            ),
        )

    def step(self, batch: Any) -> float:
        """One update; the loss."""
        torch.manual_seed(self.done)
        self.objective.rng.seed(self.done)
        with torch.autocast("cpu", torch.bfloat16) if self.bfloat16 else nullcontext():
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

    def run(self, batches: Iterator[Any], steps: int, kept: Path, progress: Progress) -> State:
        """The model's weights after all steps; once a minute all is saved in the file `kept`."""
        saved = time.monotonic()
        while self.done < steps:
            progress(self.done + 1, self.step(next(batches)))
            if time.monotonic() - saved > 60:
                self.save(kept)
                saved = time.monotonic()
        kept.unlink(missing_ok=True)
        return {k: v.cpu().clone() for k, v in self.objective.model.state_dict().items()}


def step_times(
    study: Study, names: list[str], start: State, rounds: int, progress: Progress
) -> dict[str, dict[str, float]]:
    """Milliseconds of one update, the objectives taking turns on the same batches: median, p20 and p80.

    Each takes every batch twice, and the second time counts: what is computed once for a text or a crop, and
    kept, belongs to no step.
    """
    runs = {name: study.begin(name, copy.deepcopy(start), 0, 1000) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    stream = study.batches(0)
    for i in range(rounds + 2):
        batch = next(stream)
        for name, run in runs.items():
            run.step(batch)
            run.done -= 1  # the same random choices again
            begin = time.perf_counter()
            run.step(batch)
            if i >= 2:
                times[name].append(1000 * (time.perf_counter() - begin))
        progress(i + 1, 0.0)
    return {
        name: {"step_ms": median(t), "p20": quantiles(t, n=5)[0], "p80": quantiles(t, n=5)[3]}
        for name, t in times.items()
    }


def held_megabytes(study: Study, name: str, start: State) -> float:
    """What one step's graph keeps for the backward pass, without the weights, in MB."""
    run = study.begin(name, start, 0, 1000)
    weights = {p.untyped_storage().data_ptr() for p in run.objective.parameters()}
    held: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = next(study.batches(0))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = run.objective(batch)
    del loss
    return sum(held.values()) / 1e6
