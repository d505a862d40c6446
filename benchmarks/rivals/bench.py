"""Trainings of one study, each done once and kept as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harmoclip.interpolation import interpolate
from rivals.cost import held_megabytes, step_times
from rivals.study import Study
from rivals.training import Advance, State


def progress_bars() -> Progress:
    """Bars on the error stream."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), refresh_per_second=1)


def bar(bars: Progress, title: str, total: int) -> Advance:
    """A new bar's callback `(done, loss)`."""
    task = bars.add_task(title, total=total)
    return lambda done, loss: bars.update(task, completed=done, description=f"{title} {loss:6.3f}")


class Bench:
    """Every run of a study, read from its file where it was done before.

    A run that was stopped goes on where it was.
    """

    def __init__(self, study: Study, work: Path, bars: Progress) -> None:
        self.study, self.bars = study, bars
        self.folder = work / study.key
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(1)  # sums in one order: the same figures whatever the number of cores

    def start(self, seed: int) -> State:
        """The weights that every objective of a seed starts from."""
        path = self.folder / f"start-{seed}.pt"
        if not path.exists():
            weights = self.train("captions", None, seed, self.study.start_steps, path)
            torch.save(weights, path.with_suffix(".part"))
            path.with_suffix(".part").rename(path)
        state: State = torch.load(path)
        return state

    def run(self, name: str, seed: int, steps: int, share: float = 1.0) -> dict[str, float]:
        """Train and measure, or read what an earlier run measured.

        With a `share` below 1 the trained weights make up this share of an average with the start's.
        """

        def work() -> dict[str, float]:
            weights = self.trained(name, seed, steps)
            return self.study.measure(
                weights if share == 1 else interpolate(self.start(seed), weights, share)
            )

        return self.kept(self._key(name, seed, steps, share), work)

    def trained(self, name: str, seed: int, steps: int) -> State:
        """The weights after training, from their file where there is one."""
        path = self.folder / f"{self._key(name, seed, steps)}.pt"
        if not path.exists():
            torch.save(self.train(name, self.start(seed), seed, steps, path), path.with_suffix(".part"))
            path.with_suffix(".part").rename(path)
        state: State = torch.load(path)
        return state

    def finished(self, name: str, seed: int, steps: int, share: float = 1.0) -> dict[str, float] | None:
        """What a run measured, where it was done before; None where it was not."""
        return self._read(self._key(name, seed, steps, share))

    def finished_start(self, seed: int) -> dict[str, float] | None:
        """What the start was measured to be, where it was; None where it was not."""
        return self._read(f"before_training-{seed}-0")

    def _key(self, name: str, seed: int, steps: int, share: float = 1.0) -> str:
        averaged = "" if share == 1 else f"-average-{share}"
        return f"{self.study.identity(name)}-{seed}-{steps}{averaged}"

    def _read(self, key: str) -> dict[str, float] | None:
        path = self.folder / f"{key}.json"
        found: dict[str, float] | None = json.loads(path.read_text()) if path.exists() else None
        return found

    def train(self, name: str, start: State | None, seed: int, steps: int, path: Path) -> State:
        """The weights after training; what a stop would lose is kept beside `path`."""
        kept = path.with_suffix(".resume")
        training = self.study.begin(name, start, seed, steps)
        training.resume(kept)
        other = 0 if start is None else 1000  # the start saw other batches
        batches = self.study.batches(seed + other, training.done)
        show = bar(self.bars, f"{name if start else 'start'}, seed {seed}", steps)
        weights = training.run(batches, steps, kept, show)
        return interpolate(start, weights, training.objective.average) if start else weights

    def started(self, seed: int) -> dict[str, float]:
        """The start itself, measured."""
        return self.kept(f"before_training-{seed}-0", lambda: self.study.measure(self.start(seed)))

    def cost(self, names: list[str], rounds: int = 12) -> dict[str, dict[str, float]]:
        """Step time and memory of each objective, measured in turns."""

        def work() -> dict[str, Any]:
            show = bar(self.bars, "step times", rounds + 2)
            times = step_times(self.study, names, self.start(0), rounds, show)
            held = {n: held_megabytes(self.study, n, self.start(0)) for n in names}
            return {n: {**times[n], "held_mb": held[n]} for n in names}

        return self.kept(f"cost-{'-'.join(map(self.study.identity, names))}", work)

    def kept(self, name: str, work: Any) -> Any:
        """The result of `work`, from its file where there is one."""
        path = self.folder / f"{name}.json"
        if not path.exists():
            text = json.dumps(work())
            path.with_suffix(".part").write_text(text)
            path.with_suffix(".part").rename(path)
            self.study.after_run()
        return json.loads(path.read_text())
