"""`harmoclip inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from harmoclip.cli.progress import Progress
from harmoclip.errors import HarmoclipError, InputError

if TYPE_CHECKING:
    from harmoclip.inspect.zoo import Seen


_FAILURES = (HarmoclipError, RuntimeError, ValueError, TypeError, AttributeError, AssertionError)
"""What an architecture may raise that cannot be harmonized."""


def inspect(
    model: Annotated[
        str | None,
        typer.Argument(help="An open_clip name, hf:OWNER/NAME of transformers, or a local folder."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every architecture of open_clip, built without weights.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show what harmonizing finds in a model: towers, taps, grid, dense kinds, and what regions cost.

    An open_clip architecture is built without weights, so that nothing is downloaded.
    """
    if everything == (model is not None):
        raise InputError("expected the name of one model, or --all: harmoclip inspect ViT-B-16")
    if everything:
        _inspect_all(json)
    else:
        _show(model or "", look(model or "", cost=True), json)


def look(name: str, cost: bool = False) -> Seen:
    """What harmonizing finds in the model of a name."""
    from harmoclip.inspect import zoo
    from harmoclip.models import load_model

    if name in zoo.names():
        return zoo.run(zoo.build(name), cost=cost)
    loaded = load_model(name)
    return zoo.run(loaded.model, texts=loaded.tokenizer(["a photo of a dog"] * 2), cost=cost)


def _show(name: str, seen: Seen, json: bool) -> None:
    if json:
        print(_json({"model": name, **seen._asdict()}))
        return
    table = Table(title=name, show_header=False)
    for label, value in _rows(seen):
        table.add_row(label, value)
    Console().print(table)


def _rows(seen: Seen) -> list[tuple[str, str]]:
    kinds = ", ".join(f"{kind} (default)" if kind == seen.default_kind else kind for kind in seen.kinds)
    work = ", ".join(f"{kind} {extra:+.1%}" for kind, extra in seen.work.items())
    taps = dict(zip(("image taps", "text taps"), seen.taps, strict=False))
    return [
        ("image tower", seen.image),
        ("text tower", seen.text),
        *taps.items(),
        ("grid", " x ".join(map(str, seen.grid))),
        ("dense kinds", kinds),
        ("widths", "image {}, text {}".format(*seen.widths)),
        ("joint space", f"{seen.joint} dimensions"),
        ("parameters", f"{seen.parameters / 1e6:.1f} million"),
        ("16 regions an image", f"{work} of the image tower's multiplications"),
    ]


def _inspect_all(json: bool) -> None:
    from harmoclip.inspect import zoo

    seen, failures = {}, {}
    console = Console(stderr=True)
    with Progress(console) as progress:
        for name in progress.track(zoo.names(), "architectures"):
            try:
                seen[name] = look(name)
            except _FAILURES as error:
                failures[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    if json:
        print(_json({"models": {n: s._asdict() for n, s in seen.items()}, "failures": failures}))
    else:
        Console().print(_overview(seen))
    for name, failure in failures.items():
        console.print(f"[red]{name}[/]: {failure}")
    console.print(f"{len(seen)} of {len(seen) + len(failures)} architectures harmonize")
    if failures:
        raise typer.Exit(1)


def _overview(seen: dict[str, Seen]) -> Table:
    table = Table("model", "image tower", "text tower", "grid", "kinds", "joint")
    for name, s in seen.items():
        grid = " x ".join(map(str, s.grid))
        table.add_row(name, s.image, s.text, grid, " ".join(s.kinds), str(s.joint))
    return table


def _json(value: object) -> str:
    import json

    return json.dumps(value)
