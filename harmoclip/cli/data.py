"""`harmoclip data`: check a data set, make it ready for training, write it as webdataset shards."""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harmoclip.cli.looking import use_pictures
from harmoclip.cli.progress import Progress
from harmoclip.cli.reading import OpenData, reads_data

if TYPE_CHECKING:
    from harmoclip.data.dataset import Indexed, SampleDataset, SampleStream
    from harmoclip.data.sample import Sample
    from harmoclip.data.tools.check import DataReport
    from harmoclip.data.tools.phrase_cache import PhraseCache
    from harmoclip.data.tools.prepare import Step
    from harmoclip.errors import DataError
    from harmoclip.segment import CaptionSegmenter

Cache = Annotated[Path | None, typer.Option(help="SQLite file that keeps the phrases that were found")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that read")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line")]

_SHOWN = 10
"""Messages and phrases that are printed of each kind."""


@reads_data
def check(
    open_data: OpenData,
    cache: Cache = None,
    workers: Workers = 0,
    sheet: Annotated[Path | None, typer.Option(help="Where to draw some samples")] = None,
    shown: Annotated[int, typer.Option(min=0, help="How many of them")] = 12,
    as_json: AsJson = False,
) -> None:
    """Read every sample, count, and draw some; exit with 1 when something is wrong."""
    import json

    from harmoclip.data.tools.check import check_dataset

    broken: list[DataError] = []
    dataset = open_data(cache=cache, on_broken=broken.append)
    with Progress() as progress:
        advance = progress.task("check", _length(dataset))
        report = check_dataset(dataset, broken=broken, workers=workers, progress=advance)
    _print(report, to_stderr=as_json)
    if sheet and shown and report.samples:
        _draw(_some(dataset, shown), sheet)
    if as_json:
        typer.echo(json.dumps(report.as_dict()))
    if not report.fine:
        raise typer.Exit(1)


@reads_data
def convert(
    open_data: OpenData,
    folder: Annotated[Path, typer.Argument(help="Where to write 00000.tar and on")],
    cache: Cache = None,
    workers: Workers = 0,
    samples_per_shard: Annotated[int, typer.Option(min=1, help="Samples a shard")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Write webdataset shards. Run it again after an interruption, and it goes on where it was."""
    import json

    from harmoclip.data.tools.convert import write_shards

    dataset = open_data(cache=cache)
    with Progress() as progress:
        advance = progress.task("convert", _length(dataset))
        left_out = write_shards(
            dataset, folder, samples_per_shard=samples_per_shard, workers=workers, progress=advance
        )
    _list("Left out", list(dict.fromkeys(left_out)), to_stderr=True)
    written, shards = (_length(dataset) or 0) - len(left_out), len(list(folder.glob("*.tar")))
    if as_json:
        typer.echo(json.dumps({"samples": written, "shards": shards, "left_out": left_out}))
    else:
        typer.echo(f"{written} samples in {shards} shards: {folder}")
    if left_out:
        raise typer.Exit(1)


@reads_data
def prepare(
    open_data: OpenData,
    out: Annotated[Path, typer.Argument(help="Where to write: a .jsonl file, or a folder for shards")],
    link: Annotated[
        str, typer.Option(help="Phrases to boxes by `words` for their classes, by `similarity`, or `none`")
    ] = "words",
    names: Annotated[
        str | None, typer.Option(help="Names of the classes, with commas, where the data has none")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model that says what is similar")] = None,
    pretrained: Annotated[str | None, typer.Option(help="Its weights: a tag or a file")] = None,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Confidence from which a link by similarity counts")
    ] = 0.5,
    negatives: Annotated[
        int, typer.Option(min=0, help="Hard negatives of a linked phrase, at most; altered words")
    ] = 0,
    cache: Cache = None,
    sheet: Annotated[Path | None, typer.Option(help="Where to draw some of what was linked")] = None,
    shown: Annotated[int, typer.Option(min=0, help="How many of them")] = 12,
    as_json: AsJson = False,
) -> None:
    """Find the phrases of captions, link them to boxes, and write what train, evaluate and check read."""
    import json

    from harmoclip.data.dataset import Indexed
    from harmoclip.data.formats.registry import open_dataset
    from harmoclip.data.tools.check import check_dataset
    from harmoclip.data.tools.convert import write_shards
    from harmoclip.data.tools.hard_negatives import HardNegatives
    from harmoclip.data.tools.phrase_cache import PhraseCache
    from harmoclip.data.tools.prepare import Prepared, write_lines
    from harmoclip.errors import InputError
    from harmoclip.segment import CaptionSegmenter

    dataset = open_data()
    if not isinstance(dataset, Indexed):
        raise InputError("the source is a stream: expected data with a length. Shards are ready as they are.")
    segment = CaptionSegmenter() if cache is None else PhraseCache(cache)
    prepared = Prepared(dataset, *_steps(dataset, link, names, segment, (model, pretrained), threshold))
    with Progress() as progress:
        if negatives:
            read = progress.task("read", _length(dataset))
            prepared = Prepared(prepared, HardNegatives(prepared, segment, count=negatives, progress=read))
        advance = progress.task("prepare", _length(dataset))
        write = write_lines if out.suffix == ".jsonl" else write_shards
        left_out = write(prepared, out, progress=advance)
        written = open_dataset(out, "json_lines" if out.suffix == ".jsonl" else "shards")
        report = check_dataset(written, progress=progress.task("check", _length(written)))
    report.unread.update(getattr(dataset, "unread", {}))
    _print(report, to_stderr=as_json)
    _list("Left out", left_out, to_stderr=True)
    if sheet and shown:
        _draw(_some(written, shown), sheet)
    if as_json:
        typer.echo(json.dumps({**report.as_dict(), "left_out": left_out}))
    if left_out or not report.fine:
        raise typer.Exit(1)


def _steps(
    dataset: Indexed[Sample],
    link: str,
    names: str | None,
    segment: CaptionSegmenter | PhraseCache,
    model: tuple[str | None, str | None],
    threshold: float,
) -> list[Step]:
    """What finds the phrases and the links of samples that come without."""
    from harmoclip.data import GroundingFinder, SimilarityLinker, transform_for
    from harmoclip.errors import InputError

    classes = names.split(",") if names else getattr(dataset, "class_names", None)
    if link == "words" and not classes:
        raise InputError(
            "--link is words, but the data does not name the classes of its boxes: expected --names, or "
            "--link similarity --model NAME, or --link none."
        )
    name, pretrained = model
    if link == "similarity" and name is None:
        raise InputError("--link is similarity: expected --model NAME, and --pretrained for its weights.")
    if link not in ("words", "similarity", "none"):
        raise InputError(f"--link is {link!r}: expected words, similarity or none.")
    steps: list[Step] = [GroundingFinder(segment, classes if link == "words" else None)]
    if link == "similarity" and name is not None:
        from harmoclip.harmonized import harmonize
        from harmoclip.models import load_model

        loaded = load_model(name, pretrained)
        harmo = harmonize(loaded.model, tokenizer=loaded.tokenizer).eval()
        steps.append(SimilarityLinker(harmo, loaded.tokenizer, transform_for(loaded), threshold))
    return steps


def _length(dataset: object) -> int | None:
    return len(dataset) if isinstance(dataset, Sized) else None


def _print(report: DataReport, *, to_stderr: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("count", "", show_header=False)
    for name, value in report.as_dict().items():
        if not isinstance(value, list | dict):
            shown = f"{value:.1%}" if isinstance(value, float) else str(value)
            table.add_row(name.replace("_", " "), shown)
    Console(stderr=to_stderr).print(table)
    frequent = [f"{count:>7} {text}" for text, count in report.frequent.most_common(_SHOWN)]
    _list("Frequent phrases", frequent, to_stderr=to_stderr)
    _list("Broken", report.broken, to_stderr=to_stderr)
    for title, counts in (("Boxes that were left out", report.dropped), ("Keys not read", report.unread)):
        _list(title, [f"{count:>7} {what}" for what, count in counts.items()], to_stderr=to_stderr)
    _list("Impossible boxes", report.impossible, to_stderr=to_stderr)
    _list("Remarks", report.remarks, to_stderr=to_stderr)


def _list(title: str, lines: list[str], *, to_stderr: bool) -> None:
    if lines:
        typer.echo(f"{title}:", err=to_stderr)
        for line in lines[:_SHOWN]:
            typer.echo(f"  {line}", err=to_stderr)
        if len(lines) > _SHOWN:
            typer.echo(f"  and {len(lines) - _SHOWN} more", err=to_stderr)


def _some(dataset: SampleDataset | SampleStream, count: int) -> list[Sample]:
    """Samples from everywhere in a data set, or the first ones of a stream; broken ones are passed over."""
    from itertools import islice

    from harmoclip.data.dataset import Indexed
    from harmoclip.errors import DataError

    if not isinstance(dataset, Indexed):
        return list(islice(dataset, count))
    found = []
    for index in dict.fromkeys(len(dataset) * i // count for i in range(count)):
        try:
            found.append(dataset[index])
        except DataError:  # the report names it
            continue
    return found


def _draw(samples: list[Sample], path: Path) -> None:
    from harmoclip.data.tools.contact_sheet import contact_sheet

    if not samples:
        return
    use_pictures()
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(samples).savefig(path, dpi=90)
    typer.echo(f"Samples: {path}", err=True)
