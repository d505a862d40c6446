"""`harmoclip demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress

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
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("harmoclip-demo"),
    steps: Annotated[int, typer.Option(min=1, help="Training steps of each run.")] = 720,
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

    out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    console = Console(stderr=True)
    settings = Settings(steps=steps, train_scenes=scenes, test_scenes=min(500, scenes // 2), seed=seed)
    with _progress(console) as bars:
        study = Study(settings, _follow(bars, "drawing scenes", settings.train_scenes + settings.test_scenes))
        outcomes = {
            "plain": study.run(False, _follow(bars, "plain CLIP, loss", steps)),
            "harmonized": study.run(True, _follow(bars, "harmonized, loss", steps)),
        }
    pictures = save_pictures(study, outcomes, out)
    table = {name: outcome.measures for name, outcome in outcomes.items()}
    seconds = time.perf_counter() - start
    _show(Console(stderr=json), outcomes, pictures, seconds)
    if json:
        import json as writer

        print(writer.dumps({**table, "seconds": round(seconds, 1)}))


def _progress(console: Console) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, refresh_per_second=4)


def _follow(bars: Progress, title: str, total: int):  # type: ignore[no-untyped-def]
    """A callback that moves a bar, and shows the loss beside a title that ends in "loss"."""
    task = bars.add_task(title, total=total)

    def advance(done: int, value: float) -> None:
        shown = f"{title} {value:6.3f}" if title.endswith("loss") else title
        bars.update(task, completed=done, description=shown)

    return advance


def _show(console: Console, outcomes: dict[str, Outcome], pictures: list[Path], seconds: float) -> None:
    from rich.table import Table

    table = Table(title="the same model, seed and batches; held-out scenes")
    table.add_column("")
    for name in outcomes:
        table.add_column(name, justify="right")
    for key, title in COLUMNS.items():
        form = "{:.0f}" if key == "step_ms" else "{:.3f}"
        table.add_row(title, *(form.format(outcome.measures[key]) for outcome in outcomes.values()))
    console.print(table)
    console.print(f"{seconds:.0f} s. Pictures:")
    for path in pictures:
        console.print(f"  {path}", highlight=False)
