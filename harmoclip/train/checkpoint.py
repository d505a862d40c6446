"""Whole-state checkpoints: written beside, then renamed, so that each one that exists is complete."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

PARTIAL = ".partial"


class Progress:
    """How far a run is; kept in its checkpoints."""

    def __init__(self) -> None:
        self.step = 0
        self.best: float | None = None

    def state_dict(self) -> dict[str, Any]:
        """The state as plain values."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state up again."""
        self.__dict__.update(state)


class Checkpoints:
    """The newest `keep` checkpoints of a run, `step-00000100` and so on.

    Args:
        folder: Where they are.
        accelerator: Saves and loads model (safetensors), optimiser, gradient scaler, random states and what
            is registered with it.
        keep: How many stay.
    """

    def __init__(self, folder: Path, accelerator: Any, keep: int) -> None:
        self.folder, self.accelerator, self.keep = folder, accelerator, keep

    def newest(self) -> Path | None:
        """The newest complete checkpoint."""
        return max(self._complete(), default=None)

    def save(self, step: int) -> None:
        """Write the state as of a step, then drop the oldest."""
        target = self.folder / f"step-{step:08d}"
        partial = target.with_name(target.name + PARTIAL)
        self.accelerator.save_state(str(partial))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            remove_whole(target)
            os.replace(partial, target)
            for old in sorted(self._complete())[: -self.keep]:
                remove_whole(old)
        self.accelerator.wait_for_everyone()

    def resume(self) -> bool:
        """Load the newest checkpoint; False where there is none."""
        newest = self.newest()
        if newest is not None:
            self.accelerator.load_state(str(newest))
        return newest is not None

    def _complete(self) -> list[Path]:
        return [path for path in self.folder.glob("step-*") if path.suffix != PARTIAL]


def sweep(folder: Path) -> None:
    """Remove what a killed run left half-written in a folder."""
    for partial in folder.glob(f"*{PARTIAL}"):
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink()


def remove_whole(folder: Path) -> None:
    """Remove a folder so that a kill in between leaves a name that says it is partial."""
    if folder.exists():
        old = folder.with_name(f"{folder.name}.old{PARTIAL}")
        os.replace(folder, old)
        shutil.rmtree(old)


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there in full or not at all."""
    partial = path.with_name(path.name + PARTIAL)
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
