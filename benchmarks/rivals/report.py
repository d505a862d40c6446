"""The table and the plot of the full run."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

TITLES = {"r1": "R@1", "r5": "R@5", "box_top1": "box Top-1", "novel_top1": "held-out pairs"}
COST = (
    "`step` is one update on the same batches in turns (median, 20th and 80th percentile); `held` is what "
    "the graph keeps for the backward pass."
)
EQUAL_TIME = "As many steps as ours takes time for."

Summary = dict[str, Any]


def summary(runs: list[dict[str, float]]) -> Summary:
    """Mean and standard deviation over seeds, and each seed's own values."""
    values = {key: [run[key] for run in runs] for key in runs[0]}
    spread = {f"{key}_sd": stdev(v) if len(v) > 1 else 0.0 for key, v in values.items()}
    return {**{key: mean(v) for key, v in values.items()}, **spread, "seeds": values}


def write_report(results: dict[str, Any], folder: Path) -> None:
    """Write `tradeoff.json`, `tradeoff.md` and `tradeoff.png`."""
    write_files(
        results, markdown(results), folder / "tradeoff", "box Top-1 of 64 names", "same start, same steps"
    )


def write_files(results: dict[str, Any], text: str, stem: Path, boxes: str, title: str) -> None:
    """Write results as JSON, their text as Markdown, and both sides at equal steps as a plot.

    Args:
        results: With `equal_steps`, a `Summary` for each objective.
        text: In Markdown.
        stem: The files without their suffixes.
        boxes: The label of the axis of boxes.
        title: Of the plot.
    """
    from harmoclip.evaluate.figures import draw_tradeoff

    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    stem.with_suffix(".md").write_text(text)
    rows = results["equal_steps"]
    figure = draw_tradeoff(
        {name: (row["r1"], row["box_top1"]) for name, row in rows.items()},
        spread={name: (row["r1_sd"], row["box_top1_sd"]) for name, row in rows.items()},
        xlabel="retrieval R@1",
        ylabel=boxes,
        title=title,
    )
    figure.savefig(stem.with_suffix(".png"), dpi=120)


def markdown(results: dict[str, Any]) -> str:
    """The tables as Markdown."""
    s = results["settings"]
    parts = [
        "# Both sides of every objective\n",
        f"{s['layers']} layers, width {s['width']}, batch {s['batch_size']}, {s['train_scenes']} scenes "
        f"of 64 x 64 pixels; {s['start_steps']} steps on captions alone make the start, then {s['steps']} "
        f"steps of each objective at learning rate {s['learning_rate']:g}. Mean and standard deviation over "
        f"seeds; R@1 and R@5 are the mean of both directions among {s['test_scenes']} held-out "
        "scenes, boxes are named among 64 color-shape names (chance 0.016).\n",
        "## Equal steps\n",
        table(results["equal_steps"], cost=True),
        f"\n{COST}\n",
        *section("Equal time", EQUAL_TIME, results["equal_time"]),
        *section("Ablation", "One change each to the first row.", results["ablation"]),
    ]
    return "\n".join(parts) + "\n"


def section(title: str, note: str, rows: dict[str, Summary], *, titles: dict[str, str] = TITLES) -> list[str]:
    """A table with its title; nothing where a row has none to be compared with."""
    return [f"## {title}\n\n{note}\n", table(rows, titles=titles), ""] if len(rows) > 1 else []


def table(rows: dict[str, Summary], *, titles: dict[str, str] = TITLES, cost: bool = False) -> str:
    """One row an objective; the best of each column in bold."""
    costs = ["step (ms)", "held (MB)"] if cost else []
    head = ["objective", "seeds", *titles.values(), *costs]
    best = {side: max((row[side] for row in rows.values() if side in row), default=0.0) for side in titles}
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    for name, row in rows.items():
        seeds = len(row["seeds"]["r1"])
        cells = [name, str(seeds)]
        for side in titles:
            if side not in row:  # of an earlier run
                cells.append("")
                continue
            value = f"{row[side]:.3f}"
            spread = f" ± {row[f'{side}_sd']:.3f}" if seeds > 1 else ""
            cells.append((f"**{value}**" if row[side] == best[side] else value) + spread)
        if cost:
            cells += _cost(row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cost(row: Summary) -> list[str]:
    if "step_ms" not in row:
        return ["", ""]
    return [f"{row['step_ms']:.0f} ({row['p20']:.0f}-{row['p80']:.0f})", f"{row['held_mb']:.0f}"]
