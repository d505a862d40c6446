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

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rivals.data import Data
from rivals.objectives import ABLATION, RIVALS, identity
from rivals.report import summary, write_report
from rivals.training import Settings, State, held_megabytes, measure, step_times, train

QUICK = ("captions", "fineclip_kind", "harmoclip")
RESULTS = Path(__file__).parent / "results"


class Bench:
    """Trainings of these settings, each done once and kept as a file."""

    def __init__(self, settings: Settings, work: Path, bars: Progress) -> None:
        self.settings, self.bars = settings, bars
        self.folder = work / settings.key
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = Data(settings.train_scenes, settings.test_scenes, 0)
        torch.set_num_threads(1)  # sums in one order: the same figures whatever the number of cores

    def start(self, seed: int) -> State:
        """The weights that every objective of a seed starts from."""
        path = self.folder / f"start-{seed}.pt"
        if not path.exists():
            weights = self.train("captions", None, seed, self.settings.start_steps, path)
            torch.save(weights, path.with_suffix(".part"))
            path.with_suffix(".part").rename(path)
        state: State = torch.load(path)
        return state

    def run(self, name: str, seed: int, steps: int) -> dict[str, float]:
        """Train and measure, or read what an earlier run measured."""
        key = f"{identity(name)}-{seed}-{steps}"

        def work() -> dict[str, float]:
            weights = self.train(name, self.start(seed), seed, steps, self.folder / key)
            return measure(weights, self.data, self.settings)

        return self.kept(key, work)

    def train(self, name: str, start: State | None, seed: int, steps: int, path: Path) -> State:
        """The weights after training; what a stop would lose is kept beside `path`."""
        show = self.bar(f"{name if start else 'start'}, seed {seed}", steps)
        return train(name, start, self.data, self.settings, seed, steps, path.with_suffix(".resume"), show)

    def started(self, seed: int) -> dict[str, float]:
        """The start itself, measured."""
        return self.kept(
            f"before_training-{seed}-0", lambda: measure(self.start(seed), self.data, self.settings)
        )

    def cost(self, names: list[str], rounds: int = 12) -> dict[str, dict[str, float]]:
        """Step time and memory of each objective, measured in turns."""

        def work() -> dict[str, Any]:
            show = self.bar("step times", rounds + 2)
            times = step_times(names, self.start(0), self.data, self.settings, rounds, show)
            held = {n: held_megabytes(n, self.start(0), self.data, self.settings) for n in names}
            return {n: {**times[n], "held_mb": held[n]} for n in names}

        return self.kept(f"cost-{'-'.join(map(identity, names))}", work)

    def kept(self, name: str, work: Any) -> Any:
        """The result of `work`, from its file where there is one."""
        path = self.folder / f"{name}.json"
        if not path.exists():
            text = json.dumps(work())
            path.with_suffix(".part").write_text(text)
            path.with_suffix(".part").rename(path)
        return json.loads(path.read_text())

    def bar(self, title: str, total: int) -> Any:
        """A progress bar's callback."""
        task = self.bars.add_task(title, total=total)
        return lambda done, loss: self.bars.update(task, completed=done, description=f"{title} {loss:6.3f}")


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
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=1) as bars:
        bench = Bench(replace(Settings(), steps=steps, device=device), work, bars)
        if only:
            results: dict[str, Any] = {n: [bench.run(n, s, steps) for s in range(seeds)] for n in only}
        elif quick:
            cost = bench.cost(list(QUICK))
            results = {n: {**bench.run(n, 0, steps), **cost[n]} for n in QUICK}
            results = {n: {k: results[n][k] for k in ("r1", "box_top1", "step_ms")} for n in QUICK}
        else:
            results = full(bench, seeds, ablation_seeds, steps)
    print(json.dumps(results))


def full(bench: Bench, seeds: int, ablation_seeds: int, steps: int) -> dict[str, Any]:
    """Every rival at equal steps and at equal time, and every ablation; write the report."""
    cost = bench.cost(list(RIVALS))
    ours = cost["harmoclip"]["step_ms"]
    rivals, timed = {"before training": [bench.started(s) for s in range(seeds)]}, {}
    for name in RIVALS:
        rivals[name] = [bench.run(name, s, steps) for s in range(seeds)]
    for name in RIVALS:
        same_time = round(steps * ours / cost[name]["step_ms"])
        timed[name] = [bench.run(name, s, same_time) for s in range(seeds)]
    ablation = {n: [bench.run(n, s, steps) for s in range(ablation_seeds)] for n in ABLATION}
    results = {
        "settings": {**asdict(bench.settings), "seeds": seeds, "ablation_seeds": ablation_seeds},
        "equal_steps": {name: {**summary(runs), **cost.get(name, {})} for name, runs in rivals.items()},
        "equal_time": {name: summary(runs) for name, runs in timed.items()},
        "ablation": {name: summary(runs) for name, runs in ablation.items()} if ablation_seeds else {},
    }
    write_report(results, RESULTS)
    return results


if __name__ == "__main__":
    typer.run(main)
