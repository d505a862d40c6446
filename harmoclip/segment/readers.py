"""Read captions as a stream: text lines, JSON lines, CSV, Parquet, COCO caption files, webdataset shards."""

import codecs
import csv
import functools
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from harmoclip.errors import DataError, InputError, MissingDependencyError

STANDARD_INPUT = "-"


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


Opened = tuple[Callable[[], Iterator[Record]], int | None]
"""What opens an input, and about how many records there are."""


@dataclass(frozen=True, slots=True)
class Source:
    """An input that can be read from its beginning, but for standard input only once.

    Attributes:
        records: Opens the input and yields its records.
        total: About how many there are; None where counting means reading everything.
        options: How it is read: format, column and kept fields.
    """

    records: Callable[[], Iterator[Record]]
    total: int | None
    options: dict[str, Any]


def open_source(path: str, *, format: str | None, column: str, keep: tuple[str, ...] = ()) -> Source:
    """Find out how to read an input.

    Args:
        path: A file, a folder of Parquet files, a webdataset pattern such as "shard-{000..009}.tar", or "-"
            for standard input, which holds text lines unless the format says otherwise.
        format: One of `FORMATS`, or an ending such as "txt"; None goes by the name's ending.
        column: The field that holds the caption; in CSV and TSV without a header its number, from 1.
        keep: Other fields to keep.

    Raises:
        InputError: The format is not known.
        DataError: The input does not exist, or has no such column.
    """
    name = _format_of(path, format)
    if path != STANDARD_INPUT and name != "webdataset" and not Path(path).exists():
        raise DataError(f"There is no input {path!r}.")
    records, total = FORMATS[name](path, column, keep)
    return Source(records, total, {"format": name, "column": column, "keep": list(keep)})


def _format_of(path: str, format: str | None) -> str:
    asked = format or ("text" if path == STANDARD_INPUT else Path(path).suffix.lower().removeprefix("."))
    name = _ENDINGS.get(asked, asked)
    if name not in FORMATS:
        what = f"There is no format {format!r}" if format else f"Cannot tell the format of {path!r}"
        raise InputError(
            f"{what}: expected one of {', '.join(FORMATS)}, or an ending: {', '.join(_ENDINGS)}."
        )
    if path == STANDARD_INPUT and name not in ("text", "jsonl", "csv", "tsv"):
        raise InputError(f"Standard input cannot be {name}: expected text, jsonl, csv or tsv.")
    return name


def _text(path: str, column: str, keep: tuple[str, ...]) -> Opened:
    def records() -> Iterator[Record]:
        for index, line in enumerate(_lines(path)):
            yield Record(index, line.rstrip("\r\n"))

    return records, _count_lines(path)


def _json_lines(path: str, column: str, keep: tuple[str, ...]) -> Opened:
    def records() -> Iterator[Record]:
        for index, line in enumerate(_lines(path)):
            try:
                row = json.loads(line)
            except ValueError as error:
                yield Record(index, None, error=f"not JSON: {error}", raw=line)
            else:
                yield _from_row(index, row, column, keep)

    return records, _count_lines(path)


def _csv(path: str, column: str, keep: tuple[str, ...], delimiter: str = ",") -> Opened:
    def records() -> Iterator[Record]:
        rows: Iterator[list[str]] = csv.reader(_lines(path), delimiter=delimiter)
        header = next(rows, [])
        if column.isdigit() and column not in header:
            rows, header = chain([header], rows), [str(number) for number, _ in enumerate(header, 1)]
        _check_columns(path, header, column, keep)
        for index, row in enumerate(filter(None, rows)):
            yield _from_row(index, dict(zip(header, row, strict=False)), column, keep)

    total = _count_lines(path)
    return records, total if total is None else max(total - (not column.isdigit()), 0)


def _parquet(path: str, column: str, keep: tuple[str, ...]) -> Opened:
    try:
        import pyarrow.dataset
    except ImportError as error:
        raise MissingDependencyError('Parquet needs pyarrow: pip install "harmoclip[data]"') from error
    table = pyarrow.dataset.dataset(path, format="parquet")
    _check_columns(path, table.schema.names, column, keep)

    def records() -> Iterator[Record]:
        index = 0
        for batch in table.to_batches(columns=[column, *keep], batch_size=4096, batch_readahead=1):
            for row in batch.to_pylist():
                yield _from_row(index, row, column, keep)
                index += 1

    return records, table.count_rows()


def _coco(path: str, column: str, keep: tuple[str, ...]) -> Opened:
    try:
        rows = json.loads(Path(path).read_bytes())["annotations"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path!r} is not a COCO caption file: expected JSON with 'annotations'.") from error
    kept = keep or ("id", "image_id")
    return lambda: (_from_row(i, row, column, kept) for i, row in enumerate(rows)), len(rows)


def _webdataset(path: str, column: str, keep: tuple[str, ...]) -> Opened:
    try:
        import webdataset
    except ImportError as error:
        raise MissingDependencyError('Shards need webdataset: pip install "harmoclip[data]"') from error

    def records() -> Iterator[Record]:
        samples = webdataset.WebDataset(path, shardshuffle=False, empty_check=False)
        for index, sample in enumerate(samples):
            yield _from_sample(index, sample, column, keep)

    return records, None


def _from_sample(index: int, sample: dict[str, Any], column: str, keep: tuple[str, ...]) -> Record:
    """The caption is the member named by the column, else a field of .json; a "caption" may be .txt."""
    key = {"key": sample["__key__"]}
    member = "txt" if column == "caption" and column not in sample else column
    if column not in sample and "json" in sample:
        try:
            found = _from_row(index, json.loads(sample["json"]), column, keep)
        except ValueError as error:
            return Record(index, None, key, f"not JSON: {error}", sample["__key__"])
        return Record(index, found.caption, {**key, **found.kept}, found.error, found.raw)
    if member not in sample:
        return Record(index, None, key, f"no member .{member} or .json", sample["__key__"])
    return Record(index, sample[member].decode("utf-8", "surrogateescape"), key)


def _from_row(index: int, row: Any, column: str, keep: Iterable[str]) -> Record:
    if not isinstance(row, dict) or column not in row:
        has = f"; it has {', '.join(map(str, row))}" if isinstance(row, dict) else ""
        return Record(index, None, error=f"no field {column!r}{has}", raw=row)
    return Record(index, row[column], {name: row.get(name) for name in keep})


def _check_columns(path: str, names: Sequence[str], column: str, keep: Iterable[str]) -> None:
    missing = [name for name in (column, *keep) if name not in names]
    if missing:
        raise DataError(
            f"{path!r} has no column {missing[0]!r}; it has {', '.join(map(repr, names))}. "
            "Columns of a CSV or TSV without a header are given by number, from 1."
        )


def _lines(path: str) -> Iterator[str]:
    file = sys.stdin.buffer if path == STANDARD_INPUT else open(path, "rb")  # noqa: SIM115
    # bytes that are no text become lone surrogates, by which a bad caption is told from a good one
    with io.TextIOWrapper(file, _encoding(file), errors="surrogateescape", newline="\n") as text:
        yield from text


def _encoding(file: Any) -> str:
    """UTF-16 has a byte order mark, or zeros in its first letters."""
    first = file.peek(4)[:4]
    if first[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    zeros = "".join("0" if byte == 0 else "x" for byte in first)
    return {"x0x0": "utf-16-le", "0x0x": "utf-16-be"}.get(zeros, "utf-8-sig")


def _count_lines(path: str) -> int | None:
    if path == STANDARD_INPUT:
        return None
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


FORMATS: dict[str, Callable[[str, str, tuple[str, ...]], Opened]] = {
    "text": _text,
    "jsonl": _json_lines,
    "csv": _csv,
    "tsv": functools.partial(_csv, delimiter="\t"),
    "parquet": _parquet,
    "coco": _coco,
    "webdataset": _webdataset,
}
_ENDINGS = {"txt": "text", "ndjson": "jsonl", "json": "coco", "tar": "webdataset"}
