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


def evaluate(
    model: Annotated[str, typer.Argument(help="An open_clip name, hf:NAME, or a local folder.")],
    pretrained: Annotated[str | None, typer.Option(help="Weights before: a tag or a file.")] = None,
    after: Annotated[
        str | None, typer.Option(help="Weights after: a file, a tag or an exported folder.")
    ] = None,
    scenes: Annotated[int, typer.Option(min=0, help="Measure on this many generated scenes.")] = 0,
    coco: Annotated[Path | None, typer.Option(help="COCO's folder; all that lies there is measured.")] = None,
    coco_split: Annotated[str, typer.Option(help="COCO's split for captions and boxes.")] = "val2017",
    flickr: Annotated[Path | None, typer.Option(help="Flickr30k's folder with Karpathy's JSON.")] = None,
    refer: Annotated[Path | None, typer.Option(help="RefCOCO's folder, or that of + or g.")] = None,
    refer_images: Annotated[Path, typer.Option(help="The pictures of RefCOCO.")] = Path("train2014"),
    refer_split: Annotated[str, typer.Option(help="RefCOCO's split.")] = "val",
    classes: Annotated[
        Path | None, typer.Option(help="A folder with one folder of pictures a class.")
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
    """Measure both sides of a model, before and after training, and write a report with pictures."""
    from rich.console import Console

    from harmoclip.errors import InputError
    from harmoclip.evaluate import suite
    from harmoclip.evaluate.cache import VectorCache
    from harmoclip.evaluate.comparison import Comparison
    from harmoclip.evaluate.encoder import Encoder, checked_regions
    from harmoclip.evaluate.report import terminal_table, write_report
    from harmoclip.harmonized import harmonize
    from harmoclip.models import load_model

    way = checked_regions(regions)
    tasks = suite.scene_tasks(scenes, way) if scenes else []
    tasks += suite.coco_tasks(coco, coco_split, way) if coco else []
    tasks += suite.flickr_tasks(flickr) if flickr else []
    tasks += suite.refer_tasks(refer, refer_images, refer_split, way) if refer else []
    tasks += [suite.class_folder_task(classes)] if classes else []
    if not tasks:
        raise InputError("nothing to measure: give --scenes, --coco, --flickr, --refer or --classes.")
    loaded = load_model(model, pretrained, device=device)
    later = _weights(loaded, after) if after else None
    harmo = harmonize(loaded.model, dense=dense, tokenizer=loaded.tokenizer)
    with Progress() as progress:
        encoder = Encoder(
            harmo, loaded.preprocess, loaded.tokenizer, batch_size, progress.track, cache=VectorCache(cache)
        )
        evaluated = Comparison(encoder, later).evaluate(
            _title(model, pretrained, after), tasks, _shares(shares)
        )
    page = write_report(out, evaluated)
    console = Console(stderr=json)
    for name, columns in evaluated.scores.items():
        console.print(terminal_table(name, columns))
    console.print(f"report: {page}", highlight=False)
    if json:
        import json as writer

        print(writer.dumps(evaluated.as_json()))


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
