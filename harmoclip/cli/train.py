"""`harmoclip train`."""

from __future__ import annotations

from typing import Annotated

import typer


def train(
    config: Annotated[str | None, typer.Argument(help="A YAML file.", show_default=False)] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Values in place of the file's.")
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the whole configuration, and do nothing else.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the last losses and measures as JSON.")] = False,
) -> None:
    """Train a CLIP with region alignment, on Accelerate.

    The same command takes up a run that was stopped or killed, with the same losses as one that was not.
    """
    from harmoclip.errors import InputError
    from harmoclip.train.config import load_config, to_yaml

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
    _require_accelerate()
    from harmoclip.train.loop import train as run

    result = run(chosen)
    if json:
        import json as writer

        print(writer.dumps(result))


def _require_accelerate() -> None:
    from harmoclip.errors import MissingDependencyError

    try:
        import accelerate  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            'harmoclip train needs Accelerate: pip install "harmoclip[train]".'
        ) from error
