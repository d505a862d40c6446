"""Names of a package that load when they are first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence


def lazily(
    package: str, home: Mapping[str, str], also: Sequence[str] = ()
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package.

    Args:
        package: Its name.
        home: The module of each name, counted from the package; an empty one for a module itself.
        also: Names that are there already.

    Example:
        >>> get, listed = lazily("harmoclip", {"Grounding": "grounding", "errors": ""}, ["__version__"])
        >>> get("Grounding").__name__, listed()
        ('Grounding', ['Grounding', '__version__', 'errors'])
    """

    def get(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{home[name] or name}")
        value: object = getattr(module, name) if home[name] else module
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted({*home, *also})
