"""Writing that leaves a whole file or none, and folders that can be written to."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from harmoclip.errors import InputError

PARTIAL = ".partial"
"""The end of a name that is not whole yet."""


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there in full or not at all."""
    partial = path.with_name(path.name + PARTIAL)
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def remove_whole(folder: Path) -> None:
    """Remove a folder so that a kill in between leaves a name that says it is partial."""
    if folder.exists():
        old = folder.with_name(f"{folder.name}.old{PARTIAL}")
        os.replace(folder, old)
        shutil.rmtree(old)


def sweep(folder: Path) -> None:
    """Remove what a killed process left half-written in a folder."""
    for partial in folder.glob(f"*{PARTIAL}"):
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink()


def check_writable(folder: str | Path, name: str) -> None:
    """Find out before the work whether a folder can be made and written to; nothing stays behind.

    Args:
        folder: It need not exist.
        name: What the user calls it, for the message.

    Raises:
        InputError: It cannot.

    Example:
        >>> check_writable("/dev/null/run", "out")
        Traceback (most recent call last):
        harmoclip.errors.InputError: out is '/dev/null/run', where nothing can be written (Not a direct...
    """
    folder = Path(folder)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{name} is {str(folder)!r}, where nothing can be written ({error.strerror}): "
            "expected a folder of your own, or a path where one can be made."
        ) from error
    finally:
        for path in made:
            if path.is_dir():
                path.rmdir()
