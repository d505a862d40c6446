"""`harmoclip evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harmoclip.cli.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from harmoclip.models import LoadedModel


def _list_yardsticks(asked: bool) -> None:
    if not asked:
        return
    from rich.console import Console
    from rich.table import Table

    from harmoclip.evaluate.registry import YARDSTICKS

    table = Table("yardstick", "measures", "files expected", "arXiv")
    for name, yardstick in YARDSTICKS.items():
        table.add_row(name, yardstick.measures, yardstick.layout, yardstick.paper)
    Console().print(table)
    raise typer.Exit


def evaluate(
    model: Annotated[str, typer.Argument(help="An open_clip name, hf:NAME, or a local folder.")],
    pretrained: Annotated[str | None, typer.Option(help="Weights before: a tag or a file.")] = None,
    after: Annotated[
        str | None, typer.Option(help="Weights after: a file, a tag or an exported folder.")
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(help="Another model to stand beside: NAME or NAME,WEIGHTS; repeatable."),
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option(help="What to measure: YARDSTICK=FOLDER or YARDSTICK:SPLIT=FOLDER; repeatable."),
    ] = None,
    list_yardsticks: Annotated[
        bool,
        typer.Option(
            "--list",
            help="Show every yardstick with the files it expects, and end.",
            is_eager=True,
            callback=_list_yardsticks,
        ),
    ] = False,
    scenes: Annotated[int, typer.Option(min=0, help="Measure on this many generated scenes.")] = 0,
    coco: Annotated[Path | None, typer.Option(help="COCO's folder; all that lies there is measured.")] = None,
    coco_split: Annotated[str, typer.Option(help="COCO's split for captions and boxes.")] = "val2017",
    flickr: Annotated[Path | None, typer.Option(help="Flickr30k's folder with Karpathy's JSON.")] = None,
    refer: Annotated[Path | None, typer.Option(help="RefCOCO's folder, or that of + or g.")] = None,
    refer_images: Annotated[Path, typer.Option(help="The images of RefCOCO.")] = Path("train2014"),
    refer_split: Annotated[str, typer.Option(help="RefCOCO's split.")] = "val",
    classes: Annotated[Path | None, typer.Option(help="A folder with one folder of images a class.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="The images of --on, where not in their usual place.")
    ] = None,
    proposals: Annotated[
        Path | None, typer.Option(help="A detector's boxes for --on, in the format of COCO's results.")
    ] = None,
    dense: Annotated[str | None, typer.Option(help="Kind of dense feature; the model's default.")] = None,
    regions: Annotated[str, typer.Option(help="Boxes as `dense` pooling, `crops`, or `masks`.")] = "dense",
    shares: Annotated[
        str, typer.Option(help="Shares of the weights after in the averaging sweep; empty for none.")
    ] = "0.2,0.4,0.6,0.8",
    cache: Annotated[
        Path | None, typer.Option(help="A file that keeps vectors from one run to the next.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1)] = 64,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("harmoclip-evaluation"),
    json: Annotated[bool, typer.Option("--json", help="Print the scores as one JSON object.")] = False,
) -> None:
    """Measure both sides of models, before and after training, and write a report."""
    from rich.console import Console

    from harmoclip.errors import InputError
    from harmoclip.evaluate.cache import VectorCache
    from harmoclip.evaluate.comparison import Comparison
    from harmoclip.evaluate.encoder import Encoder
    from harmoclip.evaluate.regions import checked_regions
    from harmoclip.evaluate.registry import tasks_of
    from harmoclip.evaluate.report import write_report
    from harmoclip.evaluate.tables import terminal_table
    from harmoclip.evaluate.task import Request
    from harmoclip.files import check_writable
    from harmoclip.harmonized import harmonize
    from harmoclip.models import load_model

    way = checked_regions(regions)
    asked = [
        (name, Request(source, split, images, way, proposals))
        for name, split, source in map(_parse, on or [])
    ]
    if scenes:
        asked.append(("scenes", Request(str(scenes), regions=way)))
    if coco:
        asked.append(("coco", Request(str(coco), coco_split, regions=way)))
    if flickr:
        asked.append(("flickr30k", Request(str(flickr))))
    if refer:
        asked.append(("refcoco", Request(str(refer), refer_split, refer_images, way)))
    if classes:
        asked.append(("class-folders", Request(str(classes))))
    if not asked:
        raise InputError(
            "nothing to measure: give --on YARDSTICK=FOLDER (--list shows which there are), --scenes, "
            "--coco, --flickr, --refer or --classes."
        )
    check_writable(out, "--out")
    tasks = [task for name, request in asked for task in tasks_of(name, request)]
    loaded = load_model(model, pretrained, device=device)
    later = _weights(loaded, after) if after else None
    with Progress() as progress:
        kept = VectorCache(cache)

        def encoder(loaded: LoadedModel) -> Encoder:
            harmo = harmonize(loaded.model, dense=dense, tokenizer=loaded.tokenizer)
            parts = (loaded.preprocess, loaded.tokenizer, batch_size, progress.track)
            return Encoder(harmo, *parts, cache=kept)

        others = {
            name: encoder(load_model(*_name_and_weights(name), device=device)) for name in against or []
        }
        comparison = Comparison(encoder(loaded), later, others)
        evaluated = comparison.evaluate(_title(model, pretrained, after), tasks, _shares(shares))
    page = write_report(out, evaluated)
    console = Console(stderr=json)
    for name, columns in evaluated.scores.items():
        console.print(terminal_table(name, columns))
    console.print(f"report: {page}", highlight=False)
    if json:
        import json as writer

        print(writer.dumps(evaluated.as_json()))


def _parse(asked: str) -> tuple[str, str | None, str]:
    """The name, the split and the source of `NAME[:SPLIT]=SOURCE`."""
    from harmoclip.errors import InputError

    name, sign, source = asked.partition("=")
    name, _, split = name.partition(":")
    if not (name and sign and source):
        raise InputError(f"--on is {asked!r}: expected YARDSTICK=FOLDER or YARDSTICK:SPLIT=FOLDER.")
    return name, split or None, source


def _name_and_weights(text: str) -> tuple[str, str | None]:
    name, _, weights = text.partition(",")
    return name, weights or None


def _title(model: str, pretrained: str | None, after: str | None) -> str:
    """The models' names; only an architecture without weights of its own is random."""
    brings_weights = Path(model).is_dir() or ":" in model
    before = model if brings_weights else f"{model}: {pretrained or 'random weights'}"
    return before + (f" and {after}" if after else "")


def _shares(text: str) -> list[float]:
    """Numbers in [0, 1] that commas separate."""
    from harmoclip.errors import InputError

    try:
        shares = [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise InputError(f"--shares is {text!r}: expected numbers with commas, such as 0.2,0.5.") from error
    if not all(0 <= share <= 1 for share in shares):
        raise InputError(f"--shares is {text!r}: expected numbers from 0 (before) to 1 (after).")
    return shares


def _weights(loaded: LoadedModel, after: str) -> Mapping[str, Tensor]:
    """The state of a folder's model, or of the named model with a file's or a tag's weights."""
    from harmoclip.interpolation import check_same_weights
    from harmoclip.models import load_model, load_weights

    if Path(after).is_file():
        return load_weights(loaded, after)
    later = load_model(after) if Path(after).is_dir() else load_model(loaded.name, after)
    state: Mapping[str, Tensor] = later.model.state_dict()
    check_same_weights(loaded.model.state_dict(), state, (repr(loaded.name), repr(after)))
    return state
