"""`harmoclip segment`: captions of a file to phrases."""

from pathlib import Path
from typing import Annotated

import typer

from harmoclip.cli.progress import Progress


def segment(
    source: Annotated[
        str,
        typer.Argument(
            help=".txt, .jsonl, .csv, .tsv, .parquet, COCO .json, shards 'x-{00..9}.tar', - for stdin"
        ),
    ],
    output: Annotated[Path, typer.Argument(help="Where to write: a .jsonl file or a .parquet folder")],
    column: Annotated[str, typer.Option(help="Field that holds the caption, or its number")] = "caption",
    keep: Annotated[list[str] | None, typer.Option(help="Another field to write along; repeatable")] = None,
    format: Annotated[str | None, typer.Option(help="Format, where the name does not say it")] = None,
    pipeline: Annotated[str | None, typer.Option(help="spaCy pipeline, by name or folder")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes")] = 1,
    batch_size: Annotated[int, typer.Option(min=1, help="Captions parsed at a time")] = 256,
    keep_all: Annotated[bool, typer.Option(help="Write phrases that cannot be grounded too")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line")] = False,
) -> None:
    """Find the phrases of every caption. Run it again after an interruption, and it goes on where it was."""
    import json

    from harmoclip.segment.readers import open_source
    from harmoclip.segment.run import bad_path, segment_source
    from harmoclip.segment.segmenter import CaptionSegmenter

    captions = open_source(source, format=format, column=column, keep=tuple(keep or ()))
    segmenter = CaptionSegmenter(pipeline, keep_all=keep_all)
    with Progress() as progress:
        advance = progress.task("segment", captions.total)
        bad = segment_source(
            captions,
            output,
            segmenter,
            batch_size=batch_size,
            workers=workers,
            progress=lambda done, bad: advance(done, f"bad {bad}"),
        )
    if bad:
        typer.echo(f"{bad} bad records are kept aside in {bad_path(output)}.", err=True)
    if as_json:
        typer.echo(json.dumps({"output": str(output), "bad": bad}))
