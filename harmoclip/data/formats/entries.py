"""Entries of a data set's files that refer to each other by id, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from harmoclip.data.formats.boxes import is_box, is_number
from harmoclip.errors import DataError

Entry = dict[str, Any]
Id = int | str
OnBroken = Callable[[DataError], object]

_SHOWN = 10


class Kind(NamedTuple):
    """What a value of an entry has to be."""

    holds: Callable[[Any], bool]
    expected: str


ID = Kind(
    lambda value: isinstance(value, int | str) and not isinstance(value, bool), "a whole number or text"
)
TEXT = Kind(lambda value: isinstance(value, str) and bool(value.strip()), "text")
STRING = Kind(lambda value: isinstance(value, str), "text")
"""Text that may be empty."""
SIZE = Kind(lambda value: is_number(value) and value > 0, "a number over 0")
NUMBER = Kind(lambda value: is_number(value), "a number")
LIST = Kind(lambda value: isinstance(value, list), "a list")
BOX = Kind(is_box, "four numbers")


class Faults:
    """What is wrong with the entries of files: told to whoever asks, or raised all at once.

    Args:
        on_broken: Called with an error for each entry that is left out; None keeps them for `raise_any`.
    """

    def __init__(self, on_broken: OnBroken | None = None) -> None:
        self._on_broken = on_broken
        self._first: list[str] = []
        self._count = 0

    def add(self, message: str) -> None:
        """Tell of one entry, which is then left out."""
        if self._on_broken is not None:
            self._on_broken(DataError(message))
            return
        self._count += 1
        if self._count <= _SHOWN:
            self._first.append(message)

    def raise_any(self) -> None:
        """Raise a DataError that names the first entries, where nobody was told of them."""
        if self._count == 1:
            raise DataError(self._first[0])
        if self._count:
            more = [f"and {self._count - _SHOWN} more"] if self._count > _SHOWN else []
            raise DataError("\n  ".join([f"{self._count} entries cannot be used:", *self._first, *more]))


def complete(
    entries: object,
    kinds: Mapping[str, Kind],
    *,
    what: str,
    file: str,
    faults: Faults,
    key: str | None = "id",
) -> Iterator[tuple[str, Entry]]:
    """The entries of a list that are objects with these keys, each of its kind, and a name of each.

    Args:
        entries: Of a JSON file.
        kinds: What each key's value has to be.
        what: What an entry is, such as "caption".
        file: The name of their file.
        faults: Told of every other entry.
        key: Of the id that no two entries may share; None where they may.

    Raises:
        DataError: There is no list.
    """
    if not isinstance(entries, list):
        raise DataError(f"{file}: expected a list of {what} objects, not {entries!r:.60}.")
    seen: set[object] = set()
    for row, entry in enumerate(entries):
        own = entry.get(key) if isinstance(entry, dict) else None
        name = f"{file}: {what} {row}" if own is None else f"{file}: {what} {own!r} (row {row})"
        fault = _fault(entry, kinds)
        if fault is None and own is not None and own in seen:
            fault = f"has the {key} of an earlier {what}"
        if fault is None:
            seen.add(own)
            yield name, entry
        else:
            faults.add(f"{name} {fault}.")


def _fault(entry: object, kinds: Mapping[str, Kind]) -> str | None:
    if not isinstance(entry, dict):
        return f"is {entry!r:.80}: expected an object with {', '.join(kinds)}"
    missing = [key for key in kinds if key not in entry]
    if missing:
        return f"has no {', '.join(missing)}: it is {entry!r:.120}"
    for key, kind in kinds.items():
        if not kind.holds(entry[key]):
            return f"has the {key} {entry[key]!r:.60}: expected {kind.expected}"
    return None


def labels_of(ids: Iterable[Id]) -> dict[Id, int]:
    """The label of each class: its place in the order of the categories' ids.

    Example:
        >>> labels_of([7, "a", 3])
        {3: 0, 7: 1, 'a': 2}
    """
    order = sorted(ids, key=lambda key: (isinstance(key, str), key))
    return {key: label for label, key in enumerate(order)}


def not_listed(value: Id, known: Container[Id], what: str) -> str:
    """The words for an id that no entry has; says so where one has it in another type."""
    other = twin(value, known)
    if other is not None:
        return f"{value!r}, which no {what} has; there is {other!r}: write ids in one type."
    return f"{value!r}, but no {what} with this id is listed."


def twin(value: Id, known: Container[Id]) -> Id | None:
    """The id that is the same number in the other type, text or a whole number, where one is known."""
    if isinstance(value, int):
        return str(value) if str(value) in known else None
    return int(value) if value.strip().isdecimal() and int(value) in known else None
