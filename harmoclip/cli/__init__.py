"""The command line: `harmoclip COMMAND`. The module of a command is imported when it is asked for."""

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
    """What a command does, and its functions with examples; a group has several."""

    summary: str
    functions: dict[str, tuple[str, ...]]


COMMANDS = {
    "demo": Command(
        "Train the same small CLIP twice, plain and harmonized, and compare.",
        {"demo": ("harmoclip demo", "harmoclip demo --out pictures --json")},
    ),
    "segment": Command(
        "Find the phrases of every caption of a file.",
        {
            "segment": (
                "harmoclip segment captions.txt phrases.jsonl",
                "harmoclip segment captions_train2017.json phrases.parquet --workers 8 --keep image_id",
            )
        },
    ),
    "data": Command(
        "Check a data set; make it ready for training; write it as webdataset shards.",
        {
            "check": (
                "harmoclip data check coco",
                "harmoclip data check mine.jsonl --unit pixel --box-format xywh --json",
            ),
            "prepare": (
                "harmoclip data prepare mine.jsonl ready.jsonl --unit pixel --names dog,cat",
                "harmoclip data prepare mine.jsonl shards --link similarity --model my-clip",
            ),
            "convert": ("harmoclip data convert coco shards --split train2017 --workers 4",),
        },
    ),
    "inspect": Command(
        "Show what harmonizing finds in a model.",
        {"inspect": ("harmoclip inspect ViT-B-16", "harmoclip inspect --all --json")},
    ),
    "train": Command(
        "Train a CLIP with region alignment, on Accelerate.",
        {
            "train": (
                "harmoclip train --print-config > run.yaml",
                "harmoclip train run.yaml data.path=coco optimizer.learning_rate=1e-5",
                "accelerate launch --num_processes 4 -m harmoclip train run.yaml data.path=coco",
            )
        },
    ),
    "label": Command(
        "Name the boxes of a photograph.",
        {
            "label": (
                "harmoclip label photo.jpg --boxes boxes.json --unit pixel --names dog,cat",
                "harmoclip label photo.jpg --boxes boxes.json --names names.txt --model runs/a/best --json",
            )
        },
    ),
    "heatmap": Command(
        "Show where texts are in a photograph.",
        {
            "heatmap": (
                'harmoclip heatmap photo.jpg "a red hat" --model runs/a/best',
                'harmoclip heatmap photo.jpg "a red hat" "a dog" --short-side 896 --json',
            )
        },
    ),
    "evaluate": Command(
        "Measure both sides of a model, before and after.",
        {
            "evaluate": (
                "harmoclip evaluate ViT-B-32-quickgelu --pretrained openai --after w.pt --on scenes=500",
                "harmoclip evaluate hf:openai/clip-vit-base-patch32 --on coco=coco --json",
                "harmoclip evaluate runs/a/best --on own=mine.jsonl --option unit=pixel",
            )
        },
    ),
}


def examples(*lines: str) -> str:
    """The end of a help text."""
    return "\n\n".join(["[bold]Examples[/]", *lines])


class Commands(TyperGroup):
    """The commands by name, with a summary of each that costs no import."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, known in COMMANDS.items():
            self.add_command(TyperCommand(name, help=known.summary, callback=lambda: None))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command itself, imported."""
        name, stub, rest = super().resolve_command(ctx, args)
        return name, stub and load(name or ""), rest


def load(name: str) -> Any:
    """Import a command and everything that belongs to its options."""
    summary, functions = COMMANDS[name]
    found = importlib.import_module(f"harmoclip.cli.{name}")
    group = typer.Typer(help=summary, rich_markup_mode="rich", no_args_is_help=True, add_completion=False)
    for function, lines in functions.items():
        group.command(function, epilog=examples(*lines))(getattr(found, function))
    if len(functions) > 1:
        group.callback()(lambda: None)
    return typer.main.get_command(group)


app = typer.Typer(
    cls=Commands,
    help="Region alignment for any CLIP that keeps its image understanding.",
    epilog=examples(*(lines[0] for known in COMMANDS.values() for lines in known.functions.values())),
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
    except (HarmoclipError, OSError) as error:
        if isinstance(error, OSError) and error.filename is None:  # of no file that a user named
            raise
        console.print(f"[bold red]{type(error).__name__}:[/] ", end="")
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("interrupted")
        sys.exit(130)


if __name__ == "__main__":
    main()
