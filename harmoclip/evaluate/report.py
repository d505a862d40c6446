"""What an evaluation leaves behind: one HTML page with all in it, JSON, CSV, LaTeX and a model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import harmoclip
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.notebook import grid

Columns = Mapping[str, Metrics]
"""The metrics of one task for each model, such as `before` and `after`."""


@dataclass(frozen=True)
class Evaluated:
    """All that was measured.

    Args:
        title: The models' names.
        scores: For each task the metrics of each model.
        headlines: For each task the one number of each model that stands for it, in [0, 1].
        sweep: For each share of the weights after, the whole-image and the region headline of the average.
        figures: From a caption to a PNG image.
    """

    title: str
    scores: Mapping[str, Columns]
    headlines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sweep: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    figures: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        """The name of every model that was measured."""
        return list(dict.fromkeys(name for columns in self.scores.values() for name in columns))

    def _repr_html_(self) -> str:
        from harmoclip.evaluate.tables import cells_of, head_of

        shown = ""
        for task, columns in self.scores.items():
            rows = [[metric.name, *cells_of(columns, metric)] for metric in metrics_of(columns)]
            shown += grid(task, ["", *head_of(columns)], rows)
        return shown

    def as_json(self) -> dict[str, object]:
        """Values as fractions, ranks and counts, with the unit and the chance level of each."""
        tasks = self.scores.items()
        return {
            "title": self.title,
            "version": harmoclip.__version__,
            "scores": {task: {name: dict(m) for name, m in columns.items()} for task, columns in tasks},
            "headlines": {task: dict(values) for task, values in self.headlines.items()},
            "units": {task: {m.name: m.unit for m in metrics_of(columns)} for task, columns in tasks},
            "chance": {
                task: {m.name: m.chance for m in metrics_of(columns) if m.chance is not None}
                for task, columns in tasks
            },
            "left_out": {task: out for task, columns in tasks if (out := left_out_of(columns))},
            "sweep": dict(self.sweep),
        }


def write_report(folder: Path, evaluated: Evaluated) -> Path:
    """Write `report.html`, `.json`, `.csv`, `.tex` and `model_card.md`, and give the page's path.

    Args:
        folder: Where to; it is made.
        evaluated: What was measured.
    """
    from harmoclip.evaluate.page import html_page
    from harmoclip.evaluate.tables import csv_table, latex_table, model_card

    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "report.json": json.dumps(evaluated.as_json(), indent=1) + "\n",
        "report.csv": csv_table(evaluated),
        "report.tex": latex_table(evaluated),
        "model_card.md": model_card(evaluated),
        "report.html": html_page(evaluated),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "report.html"


def metrics_of(columns: Columns) -> list[Metric]:
    """Every metric that some model has, in order."""
    found = {name: column.metric(name) for column in reversed(list(columns.values())) for name in column}
    order = dict.fromkeys(name for column in columns.values() for name in column)
    return [found[name] for name in order]


def left_out_of(columns: Columns) -> list[str]:
    """What could not be measured of a task, each once."""
    return list(dict.fromkeys(text for column in columns.values() for text in column.left_out))


def change(columns: Columns, metric: str) -> float | None:
    """After less before; None where there is no pair, or where more is neither better nor worse.

    Example:
        >>> pair = {"before": Metrics([Metric("r1", 0.25)]), "after": Metrics([Metric("r1", 0.5)])}
        >>> change(pair, "r1")
        0.25
    """
    if any(metric not in columns.get(name, ()) for name in ("before", "after")):
        return None
    before, after = columns["before"].metric(metric), columns["after"].metric(metric)
    return after.value - before.value if after.sign else None


def best_of(columns: Columns, metric: str) -> set[str]:
    """The models with the best value; none where there is one model, or no better and worse.

    Example:
        >>> best_of({"a": Metrics([Metric("r1", 0.25)]), "b": Metrics([Metric("r1", 0.5)])}, "r1")
        {'b'}
    """
    values = {name: column.metric(metric) for name, column in columns.items() if metric in column}
    sign = next(iter(values.values())).sign if len(values) > 1 else 0
    best = max((m.value * sign for m in values.values()), default=0.0)
    return {name for name, m in values.items() if m.value * sign == best} if sign else set()
