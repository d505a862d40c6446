"""All that an evaluation measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import harmoclip
from harmoclip.evaluate.columns import Columns, cells_of, head_of, left_out_of, metrics_of
from harmoclip.notebook import grid


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
