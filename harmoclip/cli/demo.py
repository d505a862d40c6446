"""`harmoclip demo`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from harmoclip.cli.progress import Progress

if TYPE_CHECKING:
    from harmoclip.demo.study import Outcome

COLUMNS = {
    "i2t_r1": "image to text R@1",
    "i2t_r5": "image to text R@5",
    "t2i_r1": "text to image R@1",
    "t2i_r5": "text to image R@5",
    "box_top1": "box Top-1 of 64",
    "step_ms": "step (ms)",
}


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the images.")] = Path("harmoclip-demo"),
    steps: Annotated[int, typer.Option(min=1, help="Training steps of each run.")] = 800,
    scenes: Annotated[int, typer.Option(min=200, help="Scenes to train on.")] = 6000,
    seed: Annotated[int, typer.Option(help="Seed of the scenes, the weights and the batches.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the table as one JSON object instead.")] = False,
) -> None:
    """Train the same small CLIP twice, plain and harmonized, and compare both sides of it.

    Scenes are generated, nothing is downloaded; two CPU cores need about four minutes.
    """
    import time

    from harmoclip.demo.pictures import save_pictures
    from harmoclip.demo.study import Settings, Study
    from harmoclip.files import check_writable

    check_writable(out, "--out")
    start = time.perf_counter()
    settings = Settings(steps=steps, train_scenes=scenes, test_scenes=min(500, scenes // 2), seed=seed)
    with Progress() as progress:
        study = Study(
            settings, _follow(progress, "drawing scenes", settings.train_scenes + settings.test_scenes)
        )
        outcomes = {
            "plain": study.run(False, _follow(progress, "plain CLIP", steps)),
            "harmonized": study.run(True, _follow(progress, "harmonized", steps)),
        }
    out.mkdir(parents=True, exist_ok=True)
    pictures = save_pictures(study, outcomes, out)
    table = {name: outcome.measures for name, outcome in outcomes.items()}
    seconds = time.perf_counter() - start
    _show(Console(stderr=json), outcomes, pictures, seconds)
    if json:
        import json as writer

        print(writer.dumps({**table, "seconds": round(seconds, 1)}))


def _follow(progress: Progress, title: str, total: int) -> Callable[[int, float], None]:
    """A callback that moves a bar, and shows the loss of a training run beside it."""
    advance = progress.task(title, total)
    return lambda done, value: advance(done, "" if title == "drawing scenes" else f"loss {value:.3f}")


def _show(console: Console, outcomes: dict[str, Outcome], pictures: list[Path], seconds: float) -> None:
    from rich.table import Table

    from harmoclip.evaluate.metrics import show

    table = Table(title="the same model, seed and batches; held-out scenes")
    table.add_column("")
    for name in outcomes:
        table.add_column(name, justify="right")
    for key, title in COLUMNS.items():
        values = [outcome.measures[key] for outcome in outcomes.values()]
        table.add_row(title, *(f"{v:.0f}" if key == "step_ms" else show(v, "fraction") for v in values))
    console.print(table)
    console.print(f"{seconds:.0f} s. Images:")
    for path in pictures:
        console.print(f"  {path}", highlight=False)
