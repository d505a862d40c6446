"""Segment a whole input into an output, resumable."""

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import Any

from harmoclip.errors import DataError, InputError
from harmoclip.segment.pool import map_batches
from harmoclip.segment.readers import Record, Source
from harmoclip.segment.segmenter import RULES_VERSION, CaptionSegmenter
from harmoclip.segment.writers import LineWriter, Row, Writer, open_writer

_LOOKED_AT = 100
"""Records of which one at least must be readable."""


def segment_source(
    source: Source,
    output: Path,
    segmenter: CaptionSegmenter,
    *,
    batch_size: int = 256,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, bad: None,
) -> int:
    """Segment every caption of an input that the output does not hold yet.

    Bad records go to a file beside the output, with their index, what is wrong and what was read. Another
    file beside it holds the options, so that a run goes on only with the same.

    Args:
        source: The input.
        output: Where to write, a name in .jsonl or .parquet; what an earlier run wrote there is kept.
        segmenter: Finds the phrases.
        batch_size: Captions parsed at a time.
        workers: Processes.
        progress: Called after each batch with how many records are done and how many were bad in this run.

    Returns:
        How many records were bad in this run.

    Raises:
        DataError: The output was made from another input or with other options, or none of the first records
            can be read.
    """
    records = _readable(source)
    with closing(open_writer(output)) as writer:
        done, bad = _resume(records, writer, output, source.options | _rules(segmenter)), 0
        _cut_aside(output, done)
        results = map_batches(functools.partial(_segment_records, segmenter), records, batch_size, workers)
        progress(done, bad)
        while batch := list(islice(results, batch_size)):
            faulty = [row for row in batch if "error" in row]
            _put_aside(output, faulty)
            writer.write([row for row in batch if "error" not in row])
            bad += len(faulty)
            done += len(batch)
            progress(done, bad)
    return bad


def bad_path(output: Path) -> Path:
    """Where bad records are kept aside."""
    return output.with_name(output.name + ".bad.jsonl")


def options_path(output: Path) -> Path:
    """Where the options that an output was made with are kept."""
    return output.with_name(output.name + ".options.json")


def _readable(source: Source) -> Iterator[Record]:
    """The records; an error if none of the first ones is of use."""
    records = source.records()
    first = list(islice(records, _LOOKED_AT))
    if first and all(record.error for record in first):
        raise DataError(f"None of the first {len(first)} records can be read; record 0: {first[0].error}.")
    for name in source.options["keep"]:
        if first and all(record.kept.get(name) is None for record in first):
            raise DataError(
                f"None of the first {len(first)} records has the field {name!r} that is to be kept."
            )
    return chain(first, records)


def _rules(segmenter: CaptionSegmenter) -> dict[str, Any]:
    return {"keep_all": segmenter.keep_all, "pipeline": segmenter.pipeline, "rules": RULES_VERSION}


def _resume(records: Iterator[Record], writer: Writer, output: Path, options: dict[str, Any]) -> int:
    """How many records of the input are done; they are passed over."""
    last, path = writer.last(), options_path(output)
    if last is None:
        path.write_text(json.dumps(options) + "\n")
        return 0
    before = json.loads(path.read_text()) if path.exists() else {}
    for name, value in options.items():
        if before.get(name) != value:
            raise DataError(
                f"{str(output)!r} was made with another option: {name} was {before.get(name, 'unknown')!r} "
                f"and is {value!r}. Give another output, or remove this one."
            )
    record = next(islice(records, last["index"], None), None)
    if record is None or record.caption != last["caption"]:
        raise DataError(
            f"{str(output)!r} was made from another input: its caption {last['index']} is "
            f"{last['caption']!r}. Give another output, or remove this one."
        )
    return int(last["index"]) + 1


def _cut_aside(output: Path, done: int) -> None:
    """Remove bad records that come again."""
    path = bad_path(output)
    if path.exists():
        with closing(LineWriter(path)) as aside:
            aside.keep_below(done)
        if path.stat().st_size == 0:
            path.unlink()


def _put_aside(output: Path, faulty: list[Row]) -> None:
    if faulty:
        with closing(LineWriter(bad_path(output))) as aside:
            aside.write(faulty)


def _segment_records(segmenter: CaptionSegmenter, records: list[Record]) -> list[Row]:
    errors = [record.error or _fault(segmenter, record.caption) for record in records]
    good = [record.caption for record, error in zip(records, errors, strict=True) if error is None]
    phrases = iter(_phrases(segmenter, good))
    return [
        {**_row(record), "phrases": next(phrases)} if error is None else _bad(record, error)
        for record, error in zip(records, errors, strict=True)
    ]


def _phrases(segmenter: CaptionSegmenter, captions: list[str]) -> Iterator[list[dict[str, Any]]]:
    for phrases in segmenter.pipe(captions, batch_size=max(len(captions), 1)):
        yield [asdict(phrase) for phrase in phrases]


def _fault(segmenter: CaptionSegmenter, caption: Any) -> str | None:
    try:
        segmenter.check(caption)
    except InputError as error:
        return str(error)
    return None


def _row(record: Record) -> Row:
    return {"index": record.index, "caption": record.caption, **record.kept}


def _bad(record: Record, error: str) -> Row:
    raw = record.caption if record.raw is None else record.raw
    return {"index": record.index, "error": error, "raw": raw if isinstance(raw, str) else repr(raw)}
