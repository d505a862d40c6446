"""What the frozen layers of the text tower gave, kept on disk from run to run."""

from __future__ import annotations

from pathlib import Path

import torch

from harmoclip.text_memory import TextMemory


class KeptTexts:
    """The files of a memory: each holds the texts that were new when it was written.

    Args:
        memory: A new one; it gets the texts of the files.
        folder: Of the files.
    """

    def __init__(self, memory: TextMemory, folder: Path) -> None:
        self.memory, self.folder = memory, folder
        while (path := self._file(len(memory.kept))).exists():
            content = torch.load(path)
            memory.kept.update(zip(content["keys"], content["states"].split(content["lengths"]), strict=True))
        self.saved = len(memory.kept)

    def save(self) -> None:
        """Write the texts that are new since the last time."""
        kept = self.memory.kept
        new = list(kept)[self.saved :]
        if new:
            lengths = [len(kept[key]) for key in new]
            content = {"keys": new, "lengths": lengths, "states": torch.cat([kept[key] for key in new])}
            torch.save(content, self._file(self.saved))
            self.saved = len(kept)

    def _file(self, first: int) -> Path:
        return self.folder / f"texts-{first}.pt"
