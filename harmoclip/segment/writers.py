"""Write results so that a run can be killed at any moment and goes on where it was."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from harmoclip.errors import InputError, MissingDependencyError

Row = dict[str, Any]
"""What is written for one caption; `row["index"]` is its position in the input."""


class Writer(Protocol):
    """A growing output whose rows stand in the order of the input."""

    def last(self) -> Row | None:
        """The last row that is wholly written; what was half written is removed."""
        ...

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        ...

    def close(self) -> None:
        """Write what waits."""
        ...


def open_writer(path: Path) -> Writer:
    """A writer of JSON lines (.jsonl) or of a folder of Parquet files (.parquet).

    Raises:
        InputError: The name ends otherwise.
    """
    if path.suffix == ".jsonl":
        return LineWriter(path)
    if path.suffix == ".parquet":
        return ParquetWriter(path)
    raise InputError(f"The output must be named .jsonl or .parquet, got {str(path)!r}.")


class LineWriter:
    """One JSON object a line; a line counts once its newline is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab+")

    def last(self) -> Row | None:
        """The last whole line; a line without its newline is cut off."""
        end = self._before_newline(self._file.seek(0, os.SEEK_END))
        self._file.truncate(end)
        if end == 0:
            return None
        start = self._before_newline(end - 1)
        self._file.seek(start)
        return json.loads(self._file.read(end - start))

    def write(self, rows: Sequence[Row]) -> None:
        """Add a line for each row."""
        self._file.write("".join(json.dumps(row) + "\n" for row in rows).encode())
        self._file.flush()

    def keep_below(self, index: int) -> None:
        """Remove the lines from this index of the input on."""
        self.last()
        self._file.seek(0)
        end = 0
        for line in self._file:
            if json.loads(line)["index"] >= index:
                break
            end += len(line)
        self._file.truncate(end)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _before_newline(self, end: int) -> int:
        """One past the last newline before `end`; 0 if there is none."""
        while end > 0:
            start = max(end - (1 << 16), 0)
            self._file.seek(start)
            found = self._file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return 0


class ParquetWriter:
    """A folder of Parquet files; a file counts once it has its final name."""

    rows_per_part = 20_000

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise MissingDependencyError('Parquet needs pyarrow: pip install "harmoclip[data]"') from error
        self._pyarrow = pyarrow
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._waiting: list[Row] = []

    def last(self) -> Row | None:
        """The last row of the last file; unfinished files are removed."""
        for unfinished in self.path.glob("*.tmp"):
            unfinished.unlink()
        parts = self._parts()
        if not parts:
            return None
        return self._pyarrow.parquet.read_table(parts[-1]).to_pylist()[-1]

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows; they reach the disk when a file is full."""
        self._waiting.extend(rows)
        while len(self._waiting) >= self.rows_per_part:
            self._write_part(self._waiting[: self.rows_per_part])
            del self._waiting[: self.rows_per_part]

    def close(self) -> None:
        """Write the last, shorter file."""
        if self._waiting:
            self._write_part(self._waiting)
            self._waiting = []

    def _parts(self) -> list[Path]:
        return sorted(self.path.glob("part-*.parquet"))

    def _write_part(self, rows: list[Row]) -> None:
        final = self.path / f"part-{len(self._parts()):06d}.parquet"
        unfinished = final.with_suffix(".tmp")
        # phrases as JSON text: files of one folder have one schema, also where a list is empty
        table = self._pyarrow.Table.from_pylist(
            [{**row, "phrases": json.dumps(row["phrases"])} for row in rows]
        )
        self._pyarrow.parquet.write_table(table, unfinished)
        unfinished.replace(final)
