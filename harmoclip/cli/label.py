"""`harmoclip label`: the boxes of a photograph named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmoclip.cli.looking import MODEL, AsJson, Dense, Device, Model, Photo, Pretrained, load, output

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from harmoclip.photographs import Label


Unit = Annotated[str, typer.Option(help="Of the boxes: fraction of the image's size, or pixel")]
BoxFormat = Annotated[str, typer.Option(help="Of the boxes: xyxy, xywh or cxcywh")]
Prompts = Annotated[str, typer.Option(help="Sentences of a name: name, photo, vild or imagenet")]


def label(
    photo: Photo,
    boxes: Annotated[
        str,
        typer.Option(help="A file: JSON, a list or {'boxes': list}, or four numbers a line; - is stdin"),
    ],
    names: Annotated[str, typer.Option(help="What they may be called: dog,cat or a file with one a line")],
    unit: Unit = "fraction",
    box_format: BoxFormat = "xyxy",
    prompts: Prompts = "photo",
    model: Model = MODEL,
    pretrained: Pretrained = None,
    dense: Dense = None,
    device: Device = "cpu",
    out: Annotated[Path | None, typer.Option(help="The drawing; PHOTO.labels.png in this folder")] = None,
    as_json: AsJson = False,
) -> None:
    """Name the boxes of a photograph, and draw them."""
    from harmoclip.data.formats.boxes import check_box_options
    from harmoclip.images import open_image

    check_box_options(box_format, unit)
    path = output(photo, out, "labels")
    image = open_image(photo)
    placed = _place(boxes, image.size, box_format, unit)
    harmo = load(model, pretrained, dense, device)
    labels = harmo.label(image, placed, read_names(names), prompts=prompts)  # type: ignore[arg-type]
    _draw(image, placed, labels, path)
    _print(placed, labels, path, as_json)


def _place(source: str, size: tuple[int, int], box_format: Any, unit: Any) -> Tensor:
    """The boxes of a file as fractions of the image; one that is no box of it is an error."""
    from harmoclip.data.formats.boxes import declared_boxes
    from harmoclip.errors import DataError

    placed = declared_boxes(read_boxes(source), size, box_format, unit, where=source)
    if placed.left_out:
        raise DataError(" ".join(placed.left_out))
    for message in placed.cut:
        typer.echo(message, err=True)
    return placed.boxes


def read_boxes(source: str) -> list[object]:
    """The boxes of a file: JSON, or four numbers a line.

    Raises:
        DataError: There is no such file, or it holds no boxes.
    """
    import json
    import sys

    from harmoclip.errors import DataError

    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--boxes is {source!r}, which cannot be read: {error}.") from error
    try:
        found = json.loads(text)
        found = found.get("boxes") if isinstance(found, dict) else found
    except json.JSONDecodeError:
        found = [
            _numbers(line, number, source) for number, line in enumerate(text.splitlines(), 1) if line.strip()
        ]
    if not isinstance(found, list) or not found:
        raise DataError(f'{source} holds no boxes: expected [[x, y, x, y], ...], {{"boxes": ...}} or lines.')
    return found


def read_names(source: str) -> list[str]:
    """Names with commas between them, or the lines of a file."""
    # unlike Path's, it takes a long list of names, which can be no path
    is_file = os.path.isfile(source)
    given = Path(source).read_text(encoding="utf-8").splitlines() if is_file else source.split(",")
    return [name.strip() for name in given if name.strip()]


def _numbers(line: str, number: int, source: str) -> list[float]:
    from harmoclip.errors import DataError

    try:
        return [float(part) for part in line.replace(",", " ").split()]
    except ValueError as error:
        raise DataError(f"{source}, line {number} is {line!r:.80}: expected four numbers.") from error


def _draw(image: Image.Image, boxes: Tensor, labels: list[Label], path: Path) -> None:
    from harmoclip.draw import draw_boxes, save

    save(draw_boxes(image, boxes, [str(found) for found in labels]), path)


def _print(boxes: Tensor, labels: list[Label], path: Path, as_json: bool) -> None:
    import json

    if as_json:
        rows = [
            {
                "box": box,
                "name": found.name,
                "score": found.score,
                "scores": found.scores,
                "cosines": found.cosines,
            }
            for box, found in zip(boxes.tolist(), labels, strict=True)
        ]
        typer.echo(json.dumps({"unit": "fraction", "boxes": rows, "image": str(path)}))
        return
    for row, found in enumerate(labels):
        ranked = ", ".join(f"{name} {score:.0%}" for name, score in list(found.scores.items())[:3])
        typer.echo(f"box {row}: {ranked}")
    typer.echo(f"drawn: {path}")
