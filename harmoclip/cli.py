"""The command line: `harmoclip COMMAND`. A command's module is imported when it is asked for."""

from __future__ import annotations

import importlib
import sys
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup

import harmoclip
from harmoclip.errors import HarmoclipError


class Command(NamedTuple):
    """Where a command's functions are; a group has the names of several."""

    module: str
    functions: tuple[str, ...]
    summary: str


COMMANDS = {
    "demo": Command("demo", ("demo",), "Train the same small CLIP twice, plain and harmonized, and compare."),
    "segment": Command("segment", ("segment",), "Find the phrases of every caption of a file."),
    "data": Command("data", ("check", "convert"), "Check a data set; write it as webdataset shards."),
    "inspect": Command("towers", ("inspect",), "Show what harmonizing finds in a model."),
    "train": Command("train", ("train",), "Train a CLIP with region alignment, on Accelerate."),
    "evaluate": Command("evaluate", ("evaluate",), "Measure both sides of a model, before and after."),
}

EXAMPLES = """[bold]Examples[/]

harmoclip demo                                       see it work, in five minutes\n
harmoclip segment captions.txt phrases.jsonl         phrases with offsets, in quantity\n
harmoclip data check coco                            is this data set what it should be?\n
harmoclip train --print-config > run.yaml            every option of a training run\n
harmoclip train run.yaml data.path=coco              train; run it again to go on\n
harmoclip evaluate ViT-B-32 --after w.pt --scenes 500   both sides, before and after"""


class Commands(TyperGroup):
    """The commands by name, with a summary of each that costs no import."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every name, in the order of a first acquaintance."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What the list of commands shows of one."""
        known = COMMANDS.get(cmd_name)
        return known and TyperCommand(cmd_name, help=known.summary, callback=lambda: None)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command itself, imported."""
        name, stub, rest = super().resolve_command(ctx, args)
        return name, stub and load(name or ""), rest


def load(name: str) -> Any:
    """Import a command and everything that belongs to its options."""
    module, functions, summary = COMMANDS[name]
    found = importlib.import_module(f"harmoclip.{module}.command")
    group = typer.Typer(help=summary, rich_markup_mode="rich", no_args_is_help=True, add_completion=False)
    for function in functions:
        group.command(function)(getattr(found, function))
    if len(functions) > 1:
        group.callback()(lambda: None)
    return typer.main.get_command(group)


app = typer.Typer(
    cls=Commands,
    help="Region alignment for any CLIP that keeps its image understanding.",
    epilog=EXAMPLES,
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


def main() -> None:
    """Run the command line; a user's mistake is one message and exit code 2, an interrupt 130."""
    console = Console(stderr=True)
    try:
        app()
    except HarmoclipError as error:
        console.print(f"[bold red]{type(error).__name__}:[/] ", end="")
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("interrupted")
        sys.exit(130)


if __name__ == "__main__":
    main()
