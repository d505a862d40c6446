"""Both sides of every objective on real photographs, with two pretrained towers.

    python benchmarks/photographs.py --quick    # captions only, FineCLIP's kind and ours, one seed
    python benchmarks/photographs.py            # every rival and every ablation, three seeds, resumable

The photographs are those of Flickr30k Entities, in the folder `--data` or `$HARMOCLIP_DATA/flickr-entities`.
A first run on captions alone makes the start of each seed; every objective goes on from it. The last line is
one JSON object; the full run also writes tables and a plot into `benchmarks/results`. A run that was stopped
goes on where it was: features, finished trainings and the rest are kept in `--work`.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from flickr.report import write_report
from flickr.study import SEVERAL, VARIANTS, PhotographStudy, Settings
from rivals.bench import Bench, bar, progress_bars
from rivals.objectives import RIVALS
from rivals.report import summary

from harmoclip.errors import DataError

QUICK = ("captions", "fineclip_kind", "harmoclip")
QUICK_SETTINGS = Settings(start_steps=150, steps=100, batch_size=32, train_photographs=1200)
SHARE = 0.8  # of the trained weights, where they are averaged with the start's
# the rivals end as they are published, CLIPSelf's in an average too
RECIPE = {"harmoclip": SHARE, "harmoclip, five captions": SHARE}
RESULTS = Path(__file__).parent / "results"


def main(
    quick: Annotated[bool, typer.Option(help="Captions only, FineCLIP's kind and ours; one seed.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder of Flickr30k Entities.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of the rivals' runs.")] = 3,
    ablation_seeds: Annotated[int, typer.Option(min=0, help="Seeds of the ablation's runs.")] = 1,
    steps: Annotated[int, typer.Option(min=5, help="Training steps after the common start.")] = 500,
    work: Annotated[Path, typer.Option(help="Folder of all that is kept.")] = Path("runs/photographs"),
    only: Annotated[list[str] | None, typer.Option(help="Train these alone, without a report.")] = None,
    report: Annotated[bool, typer.Option(help="Report what is finished, train nothing more.")] = False,
) -> None:
    """Train every objective from the same start and report both sides."""
    settings = QUICK_SETTINGS if quick else replace(Settings(), steps=steps)
    with progress_bars() as bars:
        study = PhotographStudy(settings, photographs(data), work, partial(bar, bars))
        bench = Bench(study, work, bars)
        if only:
            results: dict[str, Any] = {
                n: [bench.run(n, s, steps, RECIPE.get(n, 1.0)) for s in range(seeds)] for n in only
            }
        elif quick:
            cost = bench.cost(list(QUICK), rounds=5)
            runs = {n: {**bench.run(n, 0, settings.steps, RECIPE.get(n, 1.0)), **cost[n]} for n in QUICK}
            results = {
                n: {k: run[k] for k in ("r1", "box_top1", "ground", "step_ms")} for n, run in runs.items()
            }
        else:
            results = full(bench, settings, seeds, ablation_seeds, train=not report)
    print(json.dumps(results))


def photographs(folder: Path | None) -> Path:
    """The folder of the photographs.

    Raises:
        DataError: It is not there; the message says how to get it.
    """
    root = os.environ.get("HARMOCLIP_DATA")
    folder = folder or (Path(root) / "flickr-entities" if root else None)
    if folder is None or not (folder / "train.txt").exists():
        raise DataError(
            f"the photographs are not in {folder}: expected Flickr30k Entities, train.txt and val.txt beside "
            "Annotations, Sentences and flickr30k-images. Annotations: github.com/BryanPlummer/"
            "flickr30k_entities; images: ask at shannon.cs.illinois.edu/DenotationGraph. Name the folder "
            "with --data, or the one above flickr-entities in $HARMOCLIP_DATA."
        )
    return folder


def full(bench: Bench, settings: Settings, seeds: int, ablation_seeds: int, *, train: bool) -> dict[str, Any]:
    """Every rival at equal steps and at equal time, and every ablation; write the report."""
    steps, rivals = settings.steps, list(RIVALS)
    if not train:
        rivals = [n for n in rivals if any(bench.finished(n, seed, steps) for seed in range(seeds))]
    cost = bench.cost(rivals)
    run, start = (bench.run, bench.started) if train else (bench.finished, bench.finished_start)

    def runs(
        names: list[str], seeds: int, length: dict[str, int], shares: dict[str, float]
    ) -> dict[str, Any]:
        kept: dict[str, list[Any]] = {name: [] for name in names}
        for seed in range(seeds):
            for name in names:
                kept[name].append(run(name, seed, length[name], shares.get(name, 1.0)))
        return summaries(kept)

    same = dict.fromkeys([*RIVALS, *VARIANTS], steps)
    ours = cost["harmoclip"]["step_ms"]
    same_time = {name: round(steps * ours / cost[name]["step_ms"]) for name in rivals}
    before = summaries({"before training": [start(seed) for seed in range(seeds)]})
    equal = runs([*rivals, *SEVERAL], seeds, same, RECIPE)
    as_trained = {f"{name}, not averaged": row for name, row in runs([*RECIPE], seeds, same, {}).items()}
    averaged = dict.fromkeys([*rivals, *VARIANTS], SHARE)
    without_average = [name for name in rivals if RIVALS[name].average == 1]
    ablation = [name for name in VARIANTS if name not in SEVERAL]
    results = {
        "settings": {**asdict(settings), "share": SHARE, "seeds": seeds, "ablation_seeds": ablation_seeds},
        "equal_steps": {**before, **{n: row | cost.get(n, {}) for n, row in equal.items()}, **as_trained},
        "averaged": runs([*without_average, *SEVERAL], seeds, same, averaged),
        "equal_time": runs(rivals, seeds, same_time, RECIPE),
        "ablation": runs(["harmoclip", *ablation], ablation_seeds, same, averaged),
    }
    write_report(results, RESULTS)
    return results


def summaries(rows: dict[str, list[Any]]) -> dict[str, Any]:
    """Mean and spread of the finished runs of each row; rows without any are left out."""
    return {name: summary([run for run in every if run]) for name, every in rows.items() if any(every)}


if __name__ == "__main__":
    typer.run(main)
