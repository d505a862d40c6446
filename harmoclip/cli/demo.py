"""`harmoclip demo`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from harmoclip.cli.progress import Progress

if TYPE_CHECKING:
    from harmoclip.demo.study import Outcome, Settings, Study, Subject

COLUMNS = {
    "i2t_r1": "image to text R@1",
    "i2t_r5": "image to text R@5",
    "t2i_r1": "text to image R@1",
    "t2i_r5": "text to image R@5",
    "box_top1": "box Top-1 of {names}",
    "referring": "phrase to its box",
    "step_ms": "step (ms)",
}


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the images.")] = Path("harmoclip-demo"),
    photographs: Annotated[
        str | None,
        typer.Option(help="Photographs with captions and boxes, in any format, in place of scenes."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of the photographs, such as val2017.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps of each run: 720, on photographs 110.")
    ] = None,
    examples: Annotated[
        int | None, typer.Option(min=200, help="Scenes (6000) or photographs (1600) to train on.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the scenes, the weights and the batches.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the table as one JSON object instead.")] = False,
) -> None:
    """Train the same small CLIP twice, plain and harmonized, and compare both sides of it.

    Scenes are generated, nothing is downloaded; two CPU cores need four to nine minutes. With --photographs
    two pretrained towers that have never met learn from yours; that needs the extra `starter`.
    """
    import time

    from harmoclip.demo.pictures import save_pictures
    from harmoclip.demo.study import Study
    from harmoclip.files import check_writable

    check_writable(out, "--out")
    start = time.perf_counter()
    with Progress() as progress:
        study = Study(*_subject(photographs, split, progress, steps=steps, examples=examples, seed=seed))
        if study.settings.share < 1:
            study.begin(_follow(progress, "captions alone", study.settings.steps))
        outcomes = {
            "plain": study.run(False, _follow(progress, "plain CLIP", study.settings.steps)),
            "harmonized": study.run(True, _follow(progress, "harmonized", study.settings.steps)),
        }
    out.mkdir(parents=True, exist_ok=True)
    pictures = save_pictures(study, outcomes, out)
    table = {name: outcome.measures for name, outcome in outcomes.items()}
    seconds = time.perf_counter() - start
    _show(Console(stderr=json), study, outcomes, pictures, seconds)
    if json:
        import json as writer

        print(writer.dumps({**table, "seconds": round(seconds, 1)}))


def _subject(
    photographs: str | None,
    split: str | None,
    progress: Progress,
    *,
    steps: int | None,
    examples: int | None,
    seed: int,
) -> tuple[Settings, Subject]:
    """What is asked for: how much of it, and scenes or photographs with the model that learns from them."""
    from harmoclip.errors import InputError

    if photographs is None:
        from harmoclip.demo.scenes import SETTINGS, scenes_subject

        if split is not None:
            raise InputError(f"--split is {split!r}, but scenes have none: expected --photographs beside it.")
        settings = _changed(SETTINGS, steps, examples, seed)
        drawing = progress.task("drawing scenes", settings.train + settings.test)
        return settings, scenes_subject(settings, drawing)

    from harmoclip.data.dataset import Indexed
    from harmoclip.data.formats.registry import open_dataset
    from harmoclip.demo.photographs import SETTINGS as OF_PHOTOGRAPHS
    from harmoclip.demo.photographs import photographs_subject

    settings = _changed(OF_PHOTOGRAPHS, steps, examples, seed)
    dataset = open_dataset(photographs, split=split)
    if not isinstance(dataset, Indexed):
        raise InputError("the photographs are a stream: expected data with a length, such as a folder.")
    reading = progress.task("reading photographs", settings.train + settings.test)
    return settings, photographs_subject(dataset, settings, reading)


def _changed(settings: Settings, steps: int | None, examples: int | None, seed: int) -> Settings:
    from dataclasses import replace

    train = examples or settings.train
    return replace(
        settings,
        steps=steps or settings.steps,
        train=train,
        test=min(settings.test, train // 2),
        seed=seed,
    )


def _follow(progress: Progress, title: str, total: int) -> Callable[[int, float], None]:
    """A callback that moves a bar, and shows the loss beside it."""
    advance = progress.task(title, total)
    return lambda done, loss: advance(done, f"loss {loss:.3f}")


def _show(
    console: Console, study: Study, outcomes: dict[str, Outcome], pictures: list[Path], seconds: float
) -> None:
    from rich.table import Table

    from harmoclip.evaluate.metrics import show

    table = Table(title="the same model, seed and batches; held out")
    table.add_column("")
    for name in outcomes:
        table.add_column(name, justify="right")
    measured = outcomes["plain"].measures.keys()  # without a phrase to ask for, no referring
    for key, title in ((key, title) for key, title in COLUMNS.items() if key in measured):
        values = [outcome.measures[key] for outcome in outcomes.values()]
        shown = [f"{v:.0f}" if key == "step_ms" else show(v, "fraction") for v in values]
        table.add_row(title.format(names=len(study.subject.names)), *shown)
    console.print(table)
    console.print(f"{seconds:.0f} s. Images:")
    for path in pictures:
        console.print(f"  {path}", highlight=False)
