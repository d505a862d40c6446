"""Segment a whole input into an output, resumable."""

import functools
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from harmoclip.errors import DataError, InputError
from harmoclip.segment.pool import map_batches
from harmoclip.segment.readers import Record, Source
from harmoclip.segment.segmenter import CaptionSegmenter
from harmoclip.segment.writers import JsonLines, Row, Writer, open_writer

Progress = Callable[[int, int], None]
"""Called with how many records are done and how many of them were bad in this run."""


def segment_source(
    source: Source,
    output: Path,
    segmenter: CaptionSegmenter,
    *,
    batch_size: int = 256,
    workers: int = 1,
    progress: Progress = lambda done, bad: None,
) -> int:
    """Segment every caption of an input that the output does not hold yet.

    Bad records go to a file beside the output, with their index, what is wrong and what was read.

    Args:
        source: The input.
        output: Where to write, a name in .jsonl or .parquet; what an earlier run wrote there is kept.
        segmenter: Finds the phrases.
        batch_size: Captions parsed at a time.
        workers: Processes.
        progress: Called after each batch.

    Returns:
        How many records were bad in this run.

    Raises:
        DataError: The output was made from another input.
    """
    with closing(open_writer(output)) as writer, closing(JsonLines(bad_path(output))) as aside:
        done, bad = _resume(source, writer, output), 0
        aside.keep_below(done)
        records = islice(source.records(), done, None)
        results = map_batches(functools.partial(_segment_records, segmenter), records, batch_size, workers)
        progress(done, bad)
        while batch := list(islice(results, batch_size)):
            faulty = [row for row in batch if "error" in row]
            aside.write(faulty)
            writer.write([row for row in batch if "error" not in row])
            bad += len(faulty)
            done += len(batch)
            progress(done, bad)
    return bad


def bad_path(output: Path) -> Path:
    """Where bad records are kept aside."""
    return output.with_name(output.name + ".bad.jsonl")


def _resume(source: Source, writer: Writer, output: Path) -> int:
    """How many records of the input are done."""
    last = writer.last()
    if last is None:
        return 0
    index = last["index"]
    record = next(islice(source.records(), index, None), None)
    if record is None or record.caption != last["caption"]:
        raise DataError(
            f"{str(output)!r} was made from another input: its caption {index} is {last['caption']!r}. "
            "Give another output, or remove this one."
        )
    return index + 1


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
