"""Train one objective from the common start."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rivals.objectives import Batch, Objective

Advance = Callable[[int, float], None]
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

    def step(self, batch: Batch) -> float:
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

    def run(self, batches: Iterator[Batch], steps: int, kept: Path, progress: Advance) -> State:
        """The model's weights after all steps; once a minute all is saved in the file `kept`."""
        saved = time.monotonic()
        while self.done < steps:
            progress(self.done + 1, self.step(next(batches)))
            if time.monotonic() - saved > 60:
                self.save(kept)
                saved = time.monotonic()
        kept.unlink(missing_ok=True)
        return {k: v.cpu().clone() for k, v in self.objective.model.state_dict().items()}
