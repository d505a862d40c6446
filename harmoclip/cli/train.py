"""`harmoclip train`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from harmoclip.cli.progress import Advance, Progress

if TYPE_CHECKING:
    from harmoclip.train.log import Status


def train(
    config: Annotated[str | None, typer.Argument(help="A YAML file.", show_default=False)] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Values in place of the file's.")
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the whole configuration, and do nothing else.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the last losses and measures as JSON.")
    ] = False,
) -> None:
    """Train a CLIP with region alignment, on Accelerate.

    The same command takes up a run that was stopped or killed, with the same losses as one that was not.
    """
    _require_accelerate()
    from harmoclip.errors import InputError
    from harmoclip.train.config_file import load_config, to_yaml

    overrides = list(overrides or ())
    if config is not None and "=" in config:
        overrides.insert(0, config)
        config = None
    if config is None and not overrides and not print_config:
        raise InputError(
            "give a configuration file; `harmoclip train --print-config` prints one to begin with."
        )
    chosen = load_config(config, overrides)
    if print_config:
        print(to_yaml(chosen), end="")
        return
    from harmoclip.train.loop import train as run

    with Progress() as progress:
        result = run(chosen, TrainingProgress(progress))
    if as_json:
        print(json.dumps(result))


class TrainingProgress:
    """A run on a terminal: a bar with loss, scores, rate and speed; elsewhere a line now and then."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.advance: Advance

    def begin(self, step: int, steps: int) -> None:
        """The run starts after a step."""
        self.advance = self.progress.task("" if self.progress.live else "step", steps, step)

    def step(self, status: Status) -> None:
        """A step was made."""
        short = [f"loss {status.losses['loss']:.3f}", *scores(status.measures)]
        pace = [f"lr {status.rate:.1e}", f"{_two_digits(status.images_per_second)} img/s"]
        if self.progress.live:
            self.advance(status.step, " ".join([*short, *pace]))
        else:
            parts = [f"{_short(name)} {value:.3f}" for name, value in status.losses.items()]
            line = "  ".join([*parts, *scores(status.measures), *pace])
            self.advance(status.step, line, speak=status.worth_a_line)

    def say(self, text: str) -> None:
        """One line for people."""
        self.progress.say(text)


def scores(measures: Mapping[str, float]) -> list[str]:
    """The last scores of both sides, in per cent."""
    if "i2t_r1" not in measures:  # no held-out samples: the numbers that stand for the yardsticks
        return [f"{name} {value:.1%}" for name, value in measures.items() if "/" not in name][:2]
    recall = (measures["i2t_r1"] + measures["t2i_r1"]) / 2
    return [f"R@1 {recall:.1%}", f"box {measures['box_top1']:.1%}"]


def _two_digits(value: float) -> str:
    """A rate as people read it: 120, 12, 1.2."""
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def _short(name: str) -> str:
    return name.removesuffix("_loss").replace("_", " ")


def _require_accelerate() -> None:
    from harmoclip.errors import MissingDependencyError

    try:
        import accelerate  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            'harmoclip train needs Accelerate: pip install "harmoclip[train]".'
        ) from error
