"""`harmoclip evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harmoclip.cli.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor


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
    batch_size: Annotated[int, typer.Option(min=1)] = 64,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("harmoclip-evaluation"),
    json: Annotated[bool, typer.Option("--json", help="Print the scores as one JSON object.")] = False,
) -> None:
    """Measure both sides of a model, before and after training, and write a report with pictures."""
    from rich.console import Console

    from harmoclip.errors import InputError
    from harmoclip.evaluate import suite
    from harmoclip.evaluate.comparison import Comparison
    from harmoclip.evaluate.report import terminal_table
    from harmoclip.evaluate.subject import Subject, checked_regions
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
    later = _weights(model, after) if after else None
    harmo = harmonize(loaded.model, dense=dense)
    title = f"{model}: {pretrained or 'random weights'}" + (f" and {after}" if after else "")
    with Progress() as progress:
        subject = Subject(harmo, loaded.preprocess, loaded.tokenizer, batch_size, progress.track)
        comparison = Comparison(subject, later)
        scores = comparison.scores(tasks)
        sweep = comparison.sweep(tasks, [float(s) for s in shares.split(",") if s])
        page = comparison.report(out, title, tasks, scores, sweep)
    console = Console(stderr=json)
    for name, columns in scores.items():
        console.print(terminal_table(name, columns))
    console.print(f"report: {page}", highlight=False)
    if json:
        import json as writer

        print(writer.dumps({"scores": scores, "sweep": sweep}))


def _weights(model: str, after: str) -> dict[str, Tensor]:
    """The state of a folder's model, or of the named model with a file's or a tag's weights."""
    from harmoclip.models import load_model

    loaded = load_model(after) if Path(after).is_dir() else load_model(model, after)
    return loaded.model.state_dict()
