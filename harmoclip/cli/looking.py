"""What the commands that look at a photograph share: the model, and the drawing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from harmoclip.harmonized import Harmonized

Photo = Annotated[Path, typer.Argument(help="The photograph; it is turned as its EXIF orientation says")]
Model = Annotated[str, typer.Option(help="An open_clip name, hf:NAME, starter, or a folder")]
Pretrained = Annotated[
    str | None, typer.Option(help="Its weights: a tag or a file; openai where no model is named")
]
Dense = Annotated[str | None, typer.Option(help="Kind of dense feature; the model's default")]
Device = Annotated[str, typer.Option(help="cpu or cuda")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object")]

MODEL = "ViT-B-16-quickgelu"
"""The model where none is named."""


def use_pictures() -> None:
    """Draw into files, without a window.

    Raises:
        MissingDependencyError: Matplotlib is not installed.
    """
    from harmoclip.errors import MissingDependencyError

    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingDependencyError('Pictures need Matplotlib: pip install "harmoclip[draw]"') from error
    mpl.use("agg")


def load(model: str, pretrained: str | None, dense: str | None, device: str) -> Harmonized:
    """The harmonized model of a command's options."""
    from harmoclip.harmonized import harmonize
    from harmoclip.models import load_model

    if model == MODEL and pretrained is None:
        pretrained = "openai"
    return harmonize(load_model(model, pretrained, device=device), dense=dense)


def output(photo: Path, out: Path | None, what: str) -> Path:
    """Where the drawing goes: beside the working folder's files, named after the photograph."""
    from harmoclip.files import check_writable

    use_pictures()
    path = out or Path(f"{photo.stem}.{what}.png")
    check_writable(path.parent, "--out")
    return path
