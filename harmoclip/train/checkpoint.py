"""Whole-state checkpoints: written beside, then renamed, so that each one that exists is complete."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from accelerate import Accelerator

from harmoclip.files import PARTIAL, remove_whole

STATE = "state.json"


class Stateful(Protocol):
    """What has a state of plain values."""

    def state_dict(self) -> dict[str, Any]:
        """The state; every process asks."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state up again."""


class Checkpoints:
    """The newest `keep` checkpoints of a run, `step-00000100` and so on.

    Args:
        folder: Where they are.
        accelerator: Saves and loads model (safetensors), optimizer, gradient scaler and random states.
        keep: How many stay.
        parts: What else has a state; it is kept as JSON, which unlike a pickle cannot run code.
    """

    def __init__(
        self, folder: Path, accelerator: Accelerator, keep: int, parts: Mapping[str, Stateful] | None = None
    ) -> None:
        self.folder, self.accelerator, self.keep = folder, accelerator, keep
        self.parts = parts or {}

    def newest(self) -> Path | None:
        """The newest complete checkpoint."""
        return max(self._complete(), default=None)

    def newest_step(self) -> int:
        """How many steps the newest checkpoint has made; 0 where there is none."""
        newest = self.newest()
        return 0 if newest is None else int(newest.name.removeprefix("step-"))

    def save(self, step: int) -> None:
        """Write the state as of a step, then drop the oldest."""
        target = self.folder / f"step-{step:08d}"
        partial = target.with_name(target.name + PARTIAL)
        self.accelerator.save_state(str(partial))
        states = {name: part.state_dict() for name, part in self.parts.items()}
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            (partial / STATE).write_text(json.dumps(states), encoding="utf-8")
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
            states = json.loads((newest / STATE).read_text(encoding="utf-8"))
            for name, part in self.parts.items():
                part.load_state_dict(states[name])
        return newest is not None

    def _complete(self) -> list[Path]:
        return [path for path in self.folder.glob("step-*") if path.suffix != PARTIAL]
