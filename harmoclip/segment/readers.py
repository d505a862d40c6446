"""Read captions as a stream: text lines, JSON lines, CSV, Parquet, COCO caption files, webdataset shards."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harmoclip.errors import DataError, InputError, MissingDependencyError


@dataclass(frozen=True, slots=True)
class Record:
    """One caption of an input.

    Attributes:
        index: Position in the input, from 0; in a file of lines, the line number less 1.
        caption: The caption; anything but a str where the input is bad.
        kept: Other fields to be written with the phrases.
        error: What is wrong with the record; None if nothing is.
        raw: The record as read, for a bad one.
    """

    index: int
    caption: Any
    kept: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    raw: Any = None


@dataclass(frozen=True, slots=True)
class Source:
    """An input that can be read from its beginning.

    Attributes:
        records: Opens the input and yields its records.
        total: About how many there are; None where counting means reading everything.
    """

    records: Callable[[], Iterator[Record]]
    total: int | None


def open_source(path: str, *, form: str | None, column: str, keep: tuple[str, ...]) -> Source:
    """Find out how to read an input.

    Args:
        path: A file, a folder of Parquet files, or a webdataset pattern such as "shard-{000..009}.tar".
        form: One of `FORMATS`; None goes by the name's ending.
        column: The field that holds the caption.
        keep: Other fields to keep.

    Raises:
        InputError: The format is not known.
        DataError: The input does not exist.
    """
    form = form or _ENDINGS.get(Path(path).suffix.lower())
    if form not in FORMATS:
        raise InputError(
            f"Cannot tell the format of {path!r}; name it .txt, .jsonl, .csv, .tsv, .parquet, .json or .tar, "
            f"or give one of {', '.join(FORMATS)}."
        )
    if form != "webdataset" and not Path(path).exists():
        raise DataError(f"There is no input {path!r}.")
    return FORMATS[form](path, column, keep)


def _text(path: str, column: str, keep: tuple[str, ...]) -> Source:
    def records() -> Iterator[Record]:
        for index, line in enumerate(_lines(path)):
            yield Record(index, line.rstrip("\r\n"))

    return Source(records, _count_lines(path))


def _json_lines(path: str, column: str, keep: tuple[str, ...]) -> Source:
    def records() -> Iterator[Record]:
        for index, line in enumerate(_lines(path)):
            try:
                row = json.loads(line)
            except ValueError as error:
                yield Record(index, None, error=f"not JSON: {error}", raw=line)
            else:
                yield _from_row(index, row, column, keep)

    return Source(records, _count_lines(path))


def _csv(path: str, column: str, keep: tuple[str, ...]) -> Source:
    delimiter = "\t" if path.endswith(".tsv") else ","

    def records() -> Iterator[Record]:
        rows = csv.DictReader(_lines(path), delimiter=delimiter)
        if column not in (rows.fieldnames or ()):
            raise DataError(f"{path!r} has no column {column!r}; it has {rows.fieldnames}.")
        for index, row in enumerate(rows):
            yield _from_row(index, row, column, keep)

    return Source(records, max(_count_lines(path) - 1, 0))


def _parquet(path: str, column: str, keep: tuple[str, ...]) -> Source:
    try:
        import pyarrow.dataset
    except ImportError as error:
        raise MissingDependencyError('Parquet needs pyarrow: pip install "harmoclip[data]"') from error
    table = pyarrow.dataset.dataset(path, format="parquet")
    missing = [name for name in (column, *keep) if name not in table.schema.names]
    if missing:
        raise DataError(f"{path!r} has no column {missing[0]!r}; it has {table.schema.names}.")

    def records() -> Iterator[Record]:
        index = 0
        for batch in table.to_batches(columns=[column, *keep], batch_size=4096, batch_readahead=1):
            for row in batch.to_pylist():
                yield _from_row(index, row, column, keep)
                index += 1

    return Source(records, table.count_rows())


def _coco(path: str, column: str, keep: tuple[str, ...]) -> Source:
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))["annotations"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path!r} is not a COCO caption file: expected JSON with 'annotations'.") from error
    kept = keep or ("id", "image_id")
    return Source(lambda: (_from_row(i, row, column, kept) for i, row in enumerate(rows)), len(rows))


def _webdataset(path: str, column: str, keep: tuple[str, ...]) -> Source:
    try:
        import webdataset
    except ImportError as error:
        raise MissingDependencyError('Shards need webdataset: pip install "harmoclip[data]"') from error

    def records() -> Iterator[Record]:
        samples = webdataset.WebDataset(path, shardshuffle=False, empty_check=False)
        for index, sample in enumerate(samples):
            yield _from_sample(index, sample, column, keep)

    return Source(records, None)


def _from_sample(index: int, sample: dict[str, Any], column: str, keep: tuple[str, ...]) -> Record:
    """The caption is the member named by the column, else that of the .json member, else the .txt member."""
    key = {"key": sample["__key__"]}
    member = column if column in sample else "txt"
    if column not in sample and "json" in sample:
        try:
            found = _from_row(index, json.loads(sample["json"]), column, keep)
        except ValueError as error:
            return Record(index, None, key, f"not JSON: {error}", sample["__key__"])
        return Record(index, found.caption, {**key, **found.kept}, found.error, found.raw)
    if member not in sample:
        return Record(index, None, key, f"no member .{column}, .json or .txt", sample["__key__"])
    return Record(index, sample[member].decode("utf-8", "surrogateescape"), key)


def _from_row(index: int, row: Any, column: str, keep: Iterable[str]) -> Record:
    if not isinstance(row, dict) or column not in row:
        return Record(index, None, error=f"no field {column!r}", raw=row)
    return Record(index, row[column], {name: row.get(name) for name in keep})


def _lines(path: str) -> Iterator[str]:
    # bytes that are no UTF-8 become lone surrogates, by which a bad caption is told from a good one
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        yield from file


def _count_lines(path: str) -> int:
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


FORMATS: dict[str, Callable[[str, str, tuple[str, ...]], Source]] = {
    "text": _text,
    "jsonl": _json_lines,
    "csv": _csv,
    "parquet": _parquet,
    "coco": _coco,
    "webdataset": _webdataset,
}
_ENDINGS = {
    ".txt": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".json": "coco",
    ".tar": "webdataset",
}
