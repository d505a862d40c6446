"""`harmoclip heatmap`: where texts are in a photograph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmoclip.cli.looking import MODEL, AsJson, Dense, Device, Model, Photo, Pretrained, load, output

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor


def heatmap(
    photo: Photo,
    texts: Annotated[list[str], typer.Argument(help="What to look for; several are drawn side by side")],
    short_side: Annotated[
        int | None, typer.Option(min=1, help="Pixels that windows slide over; more shows smaller things")
    ] = None,
    prompts: Annotated[str, typer.Option(help="Sentences of a text: name, photo, vild or imagenet")] = "name",
    model: Model = MODEL,
    pretrained: Pretrained = None,
    dense: Dense = None,
    device: Device = "cpu",
    out: Annotated[Path | None, typer.Option(help="The drawing; PHOTO.heatmap.png in this folder")] = None,
    as_json: AsJson = False,
) -> None:
    """Show where texts are in a photograph: the similarity of every pixel, on the photograph itself."""
    from harmoclip.images import open_image
    from harmoclip.windows import Windows

    path = output(photo, out, "heatmap")
    image = open_image(photo)
    windows = Windows(short_side) if short_side else None
    harmo = load(model, pretrained, dense, device)
    maps = harmo.heatmap(image, texts, windows=windows, prompts=prompts)  # type: ignore[arg-type]
    _draw(image, texts, maps, path)
    _print(texts, maps, path, as_json)


def _draw(image: Image.Image, texts: list[str], maps: Tensor, path: Path) -> None:
    from harmoclip.draw import draw_similarity, row_of_axes, save

    axes = row_of_axes(len(texts), image.width / image.height)
    for ax, text, similarity in zip(axes, texts, maps, strict=True):
        draw_similarity(image, similarity, ax=ax).set_title(text)
    save(axes[0], path)


def _print(texts: list[str], maps: Tensor, path: Path, as_json: bool) -> None:
    import json

    found: list[dict[str, Any]] = []
    for text, similarity in zip(texts, maps, strict=True):
        row, column = divmod(int(similarity.argmax()), similarity.shape[1])
        low, high = (float(value) for value in similarity.aminmax())
        found.append({"text": text, "most_similar_pixel": [column, row], "lowest": low, "highest": high})
    if as_json:
        typer.echo(json.dumps({"size": [maps.shape[2], maps.shape[1]], "texts": found, "image": str(path)}))
        return
    for seen in found:
        x, y = seen["most_similar_pixel"]
        between = f"cosine {seen['lowest']:.3f} to {seen['highest']:.3f}"
        typer.echo(f"{seen['text']}: {between}, highest at x {x}, y {y}")
    typer.echo(f"drawn: {path}")
