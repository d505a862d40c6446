"""What a run writes down and says: JSON lines, a tracker's curves, and word to whoever watches."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from accelerate import Accelerator

from harmoclip.files import write_whole

LOSSES, MEASURES = "losses.jsonl", "measures.jsonl"


class Status(NamedTuple):
    """Where a run is."""

    step: int
    steps: int
    losses: Mapping[str, float]
    rate: float
    """The learning rate of the step."""
    images_per_second: float
    """Over all processes, since the last status that was worth a line."""
    measures: Mapping[str, float]
    """The last measures of both sides; empty before the first."""
    worth_a_line: bool
    """Whether this step is one that is logged."""


class Watch(Protocol):
    """Whoever follows a run on the main process."""

    def begin(self, step: int, steps: int) -> None:
        """The run starts after a step."""

    def step(self, status: Status) -> None:
        """A step was made."""

    def say(self, text: str) -> None:
        """One line for people."""


class Unwatched:
    """Nobody follows."""

    def begin(self, step: int, steps: int) -> None:
        """Nothing."""

    def step(self, status: Status) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


class Log:
    """What the main process writes down and says; the others write and say nothing.

    Args:
        folder: Of the run: `losses.jsonl` gets a line a step, `measures.jsonl` a line an evaluation.
        accelerator: Whose trackers get the same numbers.
        watch: Who follows.
        steps: How many steps the run has.
        step: The step it starts after; lines beyond it, of a run that was killed, are dropped.
        log_every: Steps between points of the trackers.
    """

    def __init__(
        self, folder: Path, accelerator: Accelerator, watch: Watch, *, steps: int, step: int, log_every: int
    ) -> None:
        self.folder, self.accelerator = folder, accelerator
        self.steps, self.log_every = steps, log_every
        self.watch = watch if accelerator.is_main_process else Unwatched()
        self._since, self._images = time.perf_counter(), 0
        self._measures: Mapping[str, float] = {}
        if accelerator.is_main_process:
            for name in (LOSSES, MEASURES):
                _cut(folder / name, step or -1)  # a new run measures before its first step
            self._measures = dict((read_lines(folder / MEASURES) or [{}])[-1])
        self.watch.begin(step, steps)

    def step(self, step: int, losses: Mapping[str, float], rate: float, images: int) -> None:
        """Tell of one step over this many images of all processes."""
        self._write(LOSSES, step, losses)
        self._images += images
        speed = self._images / (time.perf_counter() - self._since)
        due = step % self.log_every == 0 or step == self.steps
        self.watch.step(Status(step, self.steps, losses, rate, speed, self._measures, due))
        if due:
            self.accelerator.log({**losses, "learning_rate": rate, "images_per_second": speed}, step=step)
            self._since, self._images = time.perf_counter(), 0

    def measures(self, step: int, measures: Mapping[str, float]) -> None:
        """Tell of one evaluation."""
        self._measures = dict(measures)
        self._write(MEASURES, step, measures)
        self.accelerator.log({f"held_out/{name}": value for name, value in measures.items()}, step=step)

    def say(self, text: str) -> None:
        """One line for people."""
        self.watch.say(text)

    def _write(self, name: str, step: int, values: Mapping[str, float]) -> None:
        if self.accelerator.is_main_process:
            with (self.folder / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **values}) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a JSON-lines file; one cut short by a kill is left out."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def _cut(path: Path, step: int) -> None:
    kept = [line for line in read_lines(path) if line["step"] <= step]
    write_whole(path, "".join(json.dumps(line) + "\n" for line in kept))
