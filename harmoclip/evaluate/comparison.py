"""One or two sets of weights of a model, measured on the same tasks, and the sweep between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from harmoclip.errors import InputError
from harmoclip.evaluate.averaging import average_weights
from harmoclip.evaluate.pictures import draw_confusion, draw_named_boxes, draw_similarities, draw_tradeoff
from harmoclip.evaluate.report import Scores, write_report
from harmoclip.evaluate.subject import Subject
from harmoclip.evaluate.suite import Task

Sweep = dict[str, tuple[float, float]]


class Comparison:
    """A model before and, where weights after are given, after training.

    Args:
        subject: The model with the weights before.
        after: The `state_dict()` after training, or None to measure one model alone.
    """

    def __init__(self, subject: Subject, after: Mapping[str, Tensor] | None = None) -> None:
        self.subject = subject
        state = subject.harmo.model.state_dict()
        first = "model" if after is None else "before"
        self.weights: dict[str, Mapping[str, Tensor]] = {
            first: {name: value.detach().cpu().clone() for name, value in state.items()}
        }
        if after is not None:
            self.weights["after"] = {name: value.detach().cpu() for name, value in after.items()}

    def scores(self, tasks: Sequence[Task]) -> Scores:
        """Every task by every set of weights."""
        found: Scores = {task.name: {} for task in tasks}
        for column, weights in self.weights.items():
            self._load(weights)
            for task in tasks:
                found[task.name][column] = task.run(self.subject)
        return found

    def sweep(self, tasks: Sequence[Task], shares: Sequence[float]) -> Sweep:
        """Whole-picture and region headline of the averages between before and after, both ends included.

        Empty without weights after, or where the tasks do not have both sides.
        """
        sides = [next((t for t in tasks if t.side == side), None) for side in ("whole", "regions")]
        if "after" not in self.weights or None in sides:
            return {}
        points = {}
        for share in (0.0, *sorted(set(shares) - {0.0, 1.0}), 1.0):
            self._load(average_weights(self.weights["before"], self.weights["after"], share))
            whole, regions = (task.headline(task.run(self.subject)) for task in sides if task)
            points[f"{share:g}"] = (whole, regions)
        return points

    def report(self, folder: Path, title: str, tasks: Sequence[Task], scores: Scores, sweep: Sweep) -> Path:
        """Write the page, its pictures and the JSON; the path of the page."""
        folder.mkdir(parents=True, exist_ok=True)
        figures = {}
        if sweep:
            names = [next(t.name for t in tasks if t.side == side) for side in ("whole", "regions")]
            figures["weights averaged: share of the weights after"] = draw_tradeoff(
                sweep, curve=True, xlabel=names[0], ylabel=names[1]
            )
        figures |= self._pictures(tasks)
        pictures = {caption: _save(figure, folder, i) for i, (caption, figure) in enumerate(figures.items())}
        return write_report(folder, title, scores, pictures, {"title": title, "sweep": sweep})

    def _pictures(self, tasks: Sequence[Task]) -> dict[str, Any]:
        """Best and worst boxes, confusion and similarity maps of the first task with boxes, last weights."""
        task = next((t for t in tasks if t.boxes), None)
        if task is None or task.boxes is None:
            return {}
        self._load(self.weights[list(self.weights)[-1]])
        samples, named = task.boxes(self.subject)
        order = named.margin.argsort(descending=True, stable=True)
        return {
            f"surest boxes ({task.name})": draw_named_boxes(samples, named, order[:12]),
            f"worst boxes ({task.name})": draw_named_boxes(samples, named, order.flip(0)[:12]),
            f"confusion ({task.name})": draw_confusion(named.labels, named.guesses[:, 0], named.class_names),
            f"similarity maps ({task.name})": draw_similarities(self.subject, samples, named),
        }

    def _load(self, weights: Mapping[str, Tensor]) -> None:
        try:
            self.subject.harmo.model.load_state_dict(weights)
        except RuntimeError as error:
            raise InputError(f"the weights after do not fit the model before: {error}") from error


def _save(figure: Any, folder: Path, number: int) -> Path:
    import matplotlib.pyplot as plt

    path = folder / f"picture-{number}.png"
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
