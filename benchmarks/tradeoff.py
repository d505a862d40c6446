"""Both sides of every objective: one small model, the same start, data, steps and optimiser.

    python benchmarks/tradeoff.py --quick    # captions only, FineCLIP's kind and ours, one seed
    python benchmarks/tradeoff.py            # every rival and every ablation, three seeds, resumable

A first run on captions alone makes the start of each seed; every objective goes on from it. The last line
is one JSON object; the full run also writes a table and a plot into `benchmarks/results`. A run that was
stopped goes on where it was: finished trainings are kept in `--work`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rivals.bench import Bench, progress_bars
from rivals.objectives import ABLATION, RIVALS
from rivals.report import summary, write_report
from rivals.scenes import SceneStudy, Settings

QUICK = ("captions", "fineclip_kind", "harmoclip")
RESULTS = Path(__file__).parent / "results"


def main(
    quick: Annotated[bool, typer.Option(help="Captions only, FineCLIP's kind and ours; one seed.")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of the rivals' runs.")] = 3,
    ablation_seeds: Annotated[int, typer.Option(min=0, help="Seeds of the ablation's runs.")] = 3,
    steps: Annotated[int, typer.Option(min=5, help="Training steps after the common start.")] = 250,
    device: Annotated[str, typer.Option(help="Where to train: cpu or cuda.")] = "cpu",
    work: Annotated[Path, typer.Option(help="Folder of finished trainings.")] = Path("runs/tradeoff"),
    only: Annotated[list[str] | None, typer.Option(help="Train these alone, without a report.")] = None,
) -> None:
    """Train every objective from the same start and report both sides."""
    settings = replace(Settings(), steps=steps, device=device)
    with progress_bars() as bars:
        bench = Bench(SceneStudy(settings), work, bars)
        if only:
            results: dict[str, Any] = {n: [bench.run(n, s, steps) for s in range(seeds)] for n in only}
        elif quick:
            cost = bench.cost(list(QUICK))
            results = {n: {**bench.run(n, 0, steps), **cost[n]} for n in QUICK}
            results = {n: {k: results[n][k] for k in ("r1", "box_top1", "step_ms")} for n in QUICK}
        else:
            results = full(bench, settings, seeds, ablation_seeds)
    print(json.dumps(results))


def full(bench: Bench, settings: Settings, seeds: int, ablation_seeds: int) -> dict[str, Any]:
    """Every rival at equal steps and at equal time, and every ablation; write the report."""
    cost, steps = bench.cost(list(RIVALS)), settings.steps
    ours = cost["harmoclip"]["step_ms"]
    rivals, timed = {"before training": [bench.started(s) for s in range(seeds)]}, {}
    for name in RIVALS:
        rivals[name] = [bench.run(name, s, steps) for s in range(seeds)]
    for name in RIVALS:
        same_time = round(steps * ours / cost[name]["step_ms"])
        timed[name] = [bench.run(name, s, same_time) for s in range(seeds)]
    ablation = {n: [bench.run(n, s, steps) for s in range(ablation_seeds)] for n in ABLATION}
    results = {
        "settings": {**asdict(settings), "seeds": seeds, "ablation_seeds": ablation_seeds},
        "equal_steps": {name: {**summary(runs), **cost.get(name, {})} for name, runs in rivals.items()},
        "equal_time": {name: summary(runs) for name, runs in timed.items()},
        "ablation": {name: summary(runs) for name, runs in ablation.items()} if ablation_seeds else {},
    }
    write_report(results, RESULTS)
    return results


if __name__ == "__main__":
    typer.run(main)
