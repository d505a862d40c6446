"""Reading the files of data sets, with errors that name the file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harmoclip.data.formats.entries import Faults
from harmoclip.errors import DataError, unknown_name


def first_existing(folder: Path, *names: str, expected: str) -> Path:
    """The first of these names that the folder has.

    Raises:
        DataError: It has none of them; `expected` says what the layout is.
    """
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise DataError(f"{folder} has no {' or '.join(names)}: expected {expected}.")


def check_split(split: str, known: Iterable[str], folder: Path) -> None:
    """Raise a DataError that suggests the nearest split where a folder with splits has not this one."""
    found = sorted(set(known))
    if found and split not in found:
        raise DataError(f"{unknown_name(f'{folder} has no split', split, found)}")


def read_json(path: Path, *keys: str, expected: str) -> Any:
    """The content of a JSON file, which is an object with these keys.

    Raises:
        DataError: The file is missing, is not JSON, or has no such keys.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: expected {expected}.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} is not JSON ({error}): expected {expected}.") from error
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:
        raise DataError(f"{path} has no {', '.join(map(repr, missing))}: expected {expected}.")
    return content


def read_lines(path: Path, faults: Faults, *, expected: str) -> list[Any]:
    """The values of a file of JSON lines; a line that is not JSON is told of, and left out.

    Raises:
        DataError: The file is missing.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist: expected {expected}.")
    rows = []
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            try:
                rows += [json.loads(line)] if line.strip() else []
            except ValueError as error:
                faults.add(f"{path.name} line {number} is not JSON: {error}.")
    return rows
