"""A warning that our code causes is an error; one inside somebody else's package is only shown.

pytest's filters know the line that a warning is attributed to. That is often not enough: a function that a
decorator deprecates warns from a line of its own package, whoever called it. So the call stack decides.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from linecache import getline
from pathlib import Path
from types import FrameType
from typing import Any

import harmoclip

OURS = [
    Path(harmoclip.__file__).parent,
    *(Path(__file__).parents[2] / name for name in ("tests", "examples")),
]
NEUTRAL = sys.stdlib_module_names | {"typing_extensions"}  # homes of decorators


def is_ours(filename: str) -> bool:
    """Whether the file is of harmoclip, of its tests or of its examples."""
    return any(Path(filename).is_relative_to(home) for home in OURS)


def caused_by_us(filename: str, line: int, frame: FrameType | None) -> bool:
    """Whether a warning attributed to this line is of ours, or about a call that a line of ours makes.

    It is about our call where our line called the function that the warning is attributed to, and nothing but
    that function's own package has run since. Compiled code has no frame: it warned where the innermost line
    is not a warning itself.

    Args:
        filename: The file that the warning is attributed to.
        line: The line of it.
        frame: The innermost frame; the frames around it are followed.
    """
    if is_ours(filename):
        return True
    packages = set()
    while frame:
        warned_by_compiled_code = packages <= {"warnings"} and "warn" not in getline(filename, line)
        packages.add(frame.f_globals.get("__name__", "").partition(".")[0])
        if (frame.f_code.co_filename, frame.f_lineno) == (filename, line):
            caller = frame.f_back
            called_by_us = caller is not None and is_ours(caller.f_code.co_filename)
            return called_by_us and len(packages - NEUTRAL) == 1 and not warned_by_compiled_code
        frame = frame.f_back
    return False


@contextmanager
def ours_are_errors() -> Iterator[None]:
    """Raise the warnings that our code causes, instead of showing them."""
    show = warnings.showwarning

    def raise_or_show(message: Any, category: Any, filename: str, lineno: int, *rest: Any) -> None:
        if caused_by_us(filename, lineno, sys._getframe(1)):
            raise message
        show(message, category, filename, lineno, *rest)

    warnings.showwarning = raise_or_show
    try:
        yield
    finally:
        warnings.showwarning = show
