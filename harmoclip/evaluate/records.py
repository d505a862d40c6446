"""The entries of a benchmark's files, each checked to have what is read of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harmoclip.data.formats.entries import Entry, Faults, Kind, complete


def checked_entries(
    entries: object, kinds: Mapping[str, Kind], *, what: str, path: Path, key: str | None = None
) -> list[Entry]:
    """A list of objects with these keys, each of its kind.

    Args:
        entries: Of a JSON file.
        kinds: What each key's value has to be.
        what: What an entry is, for messages.
        path: The file.
        key: Of the id that no two entries may share; None where they may.

    Raises:
        DataError: There is no list, or some entries are not what they should be; the first ones are named.
    """
    faults = Faults()
    found = [
        entry for _, entry in complete(entries, kinds, what=what, file=str(path), faults=faults, key=key)
    ]
    faults.raise_any()
    return found
