"""The command line: `harmoclip COMMAND`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

import harmoclip
from harmoclip.demo.command import demo
from harmoclip.errors import HarmoclipError

app = typer.Typer(
    help="Region alignment for any CLIP that keeps its image understanding.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"harmoclip {harmoclip.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command()(demo)


def main() -> None:
    """Run the command line; a user's mistake is one red line and exit code 2, an interrupt 130."""
    console = Console(stderr=True)
    try:
        app()
    except HarmoclipError as error:
        console.print(f"[bold red]{type(error).__name__}:[/] ", end="")
        console.print(str(error), markup=False, highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("interrupted")
        sys.exit(130)


if __name__ == "__main__":
    main()
