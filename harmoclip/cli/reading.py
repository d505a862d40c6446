"""The options by which every command of `harmoclip data` reads its source: written once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

OpenData = Callable[..., Any]
"""Opens the source of a command, with further arguments of its format."""


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `_source`, and hand it a function that opens what they name.

    A command is a function whose first parameter is `open_data: OpenData`.
    """
    own, shared = (_parameters(function) for function in (command, _source))
    del own["open_data"]
    arguments = {"source": shared.pop("source"), **own}

    def with_options(**given: Any) -> None:
        named = {name: given.pop(name) for name in shared}
        command(partial(_open, given.pop("source"), **named), **given)

    required = [p for p in arguments.values() if p.default is p.empty]
    optional = [p for p in arguments.values() if p.default is not p.empty]
    with_options.__signature__ = inspect.Signature([*required, *shared.values(), *optional])  # type: ignore[attr-defined]
    with_options.__annotations__ = {}
    with_options.__name__, with_options.__doc__ = command.__name__, command.__doc__
    return with_options


def _source(
    source: Annotated[
        str, typer.Argument(help="Folder, .jsonl file, or shards 'x-{000..009}.tar', 'x-*.tar'")
    ],
    format: Annotated[str | None, typer.Option(help="Where the files do not tell it")] = None,
    split: Annotated[str | None, typer.Option(help="Such as train2017 or val")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images, where it is another")] = None,
    unit: Annotated[str | None, typer.Option(help="Of boxes: fraction of the image's size, or pixel")] = None,
    box_format: Annotated[str | None, typer.Option(help="Of boxes: xyxy, xywh or cxcywh")] = None,
    upright: Annotated[
        bool | None,
        typer.Option("--upright/--as-stored", help="Turn images as their EXIF orientation says, or do not"),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", metavar="KEY=VALUE", help="More options of the format; repeatable"),
    ] = None,
) -> None:
    """What a command is told of its source."""


def _open(source: str, format: str | None, option: list[str] | None, **named: Any) -> Any:
    """The data set, with options that have a name on the command line and more of its format."""
    from harmoclip.data.formats.registry import open_dataset, read_options, recognize

    form = format or recognize(source)
    return open_dataset(source, form, **{**named, **read_options(form, option or ())})


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    return {
        name: parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(function).parameters.items()
    }
