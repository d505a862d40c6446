"""`harmoclip data`: check a data set, and write it as webdataset shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmoclip.cli.progress import Progress

if TYPE_CHECKING:
    from harmoclip.data.sample import Sample
    from harmoclip.data.tools.check import Report

Source = Annotated[str, typer.Argument(help="Folder, .jsonl file, or shards 'x-{000..009}.tar'")]
Form = Annotated[str | None, typer.Option("--format", help="Format, where the files do not tell it")]
Split = Annotated[str | None, typer.Option(help="Such as train2017 or val")]
Images = Annotated[Path | None, typer.Option(help="Folder of the pictures, where it is another")]
Unit = Annotated[str | None, typer.Option(help="Of boxes in a .jsonl file: fraction or pixel")]
Cache = Annotated[Path | None, typer.Option(help="SQLite file that keeps the phrases that were found")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that read")]

_SHOWN = 10
"""Messages and phrases that are printed of each kind."""


def check(
    source: Source,
    form: Form = None,
    split: Split = None,
    images: Images = None,
    unit: Unit = None,
    cache: Cache = None,
    workers: Workers = 0,
    sheet: Annotated[Path, typer.Option(help="Where to draw a contact sheet")] = Path("contact_sheet.png"),
    pictures: Annotated[int, typer.Option(min=0, help="Samples on the sheet; 0 draws none")] = 12,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line")] = False,
) -> None:
    """Read every sample, count, and draw some; exit with 1 when something is wrong."""
    import json

    from harmoclip.data.tools.check import check_dataset

    dataset = _open(source, form, split, images, unit, cache)
    with Progress() as progress:
        report = check_dataset(dataset, workers=workers, progress=progress.task("check", _length(dataset)))
    _print(report)
    if pictures and report.samples:
        _draw(_some(dataset, pictures), sheet)
    if as_json:
        typer.echo(json.dumps(report.as_dict()))
    if not report.fine:
        raise typer.Exit(1)


def convert(
    source: Source,
    folder: Annotated[Path, typer.Argument(help="Where to write 00000.tar and on")],
    form: Form = None,
    split: Split = None,
    images: Images = None,
    unit: Unit = None,
    cache: Cache = None,
    workers: Workers = 0,
    samples_per_shard: Annotated[int, typer.Option(min=1, help="Samples a shard")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line")] = False,
) -> None:
    """Write webdataset shards. Run it again after an interruption, and it goes on where it was."""
    import json

    from harmoclip.data.tools.convert import write_shards

    dataset = _open(source, form, split, images, unit, cache)
    with Progress() as progress:
        advance = progress.task("convert", _length(dataset))
        broken = write_shards(
            dataset, folder, samples_per_shard=samples_per_shard, workers=workers, progress=advance
        )
    _list("Left out", broken)
    if as_json:
        typer.echo(json.dumps({"samples": len(dataset) - len(broken), "left_out": broken}))
    if broken:
        raise typer.Exit(1)


def _open(
    source: str,
    form: str | None,
    split: str | None,
    images: Path | None,
    unit: str | None,
    cache: Path | None,
) -> Any:
    from harmoclip.data.formats.registry import open_dataset

    return open_dataset(source, form, split=split, images=images, unit=unit, cache=cache)


def _length(dataset: Any) -> int | None:
    return len(dataset) if hasattr(dataset, "__len__") else None


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("count", "", show_header=False)
    for name, value in report.as_dict().items():
        table.add_row(name.replace("_", " "), f"{value:.1%}" if isinstance(value, float) else str(value))
    Console(stderr=True).print(table)
    _list("Frequent phrases", [f"{count:>7} {text}" for text, count in report.frequent.most_common(_SHOWN)])
    _list("Broken", list(dict.fromkeys(report.broken)))  # a picture has several captions
    _list("Impossible boxes", report.impossible)


def _list(title: str, lines: list[str]) -> None:
    if lines:
        typer.echo(f"{title}:", err=True)
        for line in lines[:_SHOWN]:
            typer.echo(f"  {line}", err=True)
        if len(lines) > _SHOWN:
            typer.echo(f"  and {len(lines) - _SHOWN} more", err=True)


def _some(dataset: Any, count: int) -> list[Sample]:
    """Samples from everywhere in a data set, or the first ones of a stream; broken ones are passed over."""
    from itertools import islice

    from harmoclip.errors import DataError

    if not hasattr(dataset, "__len__"):
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
    from harmoclip.errors import MissingDependencyError

    if not samples:
        return
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingDependencyError('Pictures need Matplotlib: pip install "harmoclip[draw]"') from error
    mpl.use("agg")
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(samples).savefig(path, dpi=90)
    typer.echo(f"Pictures: {path}", err=True)
