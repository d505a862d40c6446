"""What a run says: a bar and a status line for people, JSON lines and TensorBoard for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harmoclip.train.checkpoint import write_whole


class Report:
    """The reports of the main process; the others' say nothing.

    Args:
        folder: Of the run: `losses.jsonl` gets a line a step, `measures.jsonl` a line an evaluation.
        accelerator: Whose trackers get the same numbers.
        steps: How many steps the run has.
        step: The step it starts after; lines beyond it, of a run that was killed, are dropped.
        log_every: Steps between status lines.
    """

    def __init__(self, folder: Path, accelerator: Any, *, steps: int, step: int, log_every: int) -> None:
        self.folder, self.accelerator, self.steps, self.log_every = folder, accelerator, steps, log_every
        self.main = accelerator.is_main_process
        self.console = Console(stderr=True, quiet=not self.main)
        self.measured = ""
        self._since, self._seen = time.perf_counter(), step
        if self.main:
            for name in ("losses.jsonl", "measures.jsonl"):
                _cut(folder / name, step)
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        self.bar = Progress(*columns, console=self.console, disable=not self.console.is_terminal)
        self._task = self.bar.add_task("", total=steps, completed=step)

    def __enter__(self) -> Report:
        self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()

    def step(self, step: int, losses: Mapping[str, float], rate: float) -> None:
        """Tell of one step."""
        self._write("losses.jsonl", step, losses)
        shown = "  ".join(f"{_short(name)} {value:.4f}" for name, value in losses.items())
        self.bar.update(self._task, completed=step, description=f"{shown}{self.measured}")
        if step % self.log_every and step != self.steps:
            return
        self.accelerator.log({**losses, "learning_rate": rate}, step=step)
        if not self.console.is_terminal:
            speed = (step - self._seen) / (time.perf_counter() - self._since)
            line = f"step {step}/{self.steps}  {shown}  lr {rate:.2e}  {speed:.2f} steps/s{self.measured}"
            self.console.print(line, highlight=False, soft_wrap=True)
        self._since, self._seen = time.perf_counter(), step

    def measures(self, step: int, measures: Mapping[str, float]) -> None:
        """Tell of one evaluation."""
        self._write("measures.jsonl", step, measures)
        self.accelerator.log({f"held_out/{name}": value for name, value in measures.items()}, step=step)
        recall = (measures["i2t_r1"] + measures["t2i_r1"]) / 2
        self.measured = f"  R@1 {recall:.3f}  box Top-1 {measures['box_top1']:.3f}"

    def say(self, text: str) -> None:
        """One line for people."""
        self.console.print(text, highlight=False, soft_wrap=True)

    def _write(self, name: str, step: int, values: Mapping[str, float]) -> None:
        if self.main:
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


def _short(name: str) -> str:
    return name.removesuffix("_loss").replace("_", " ")
