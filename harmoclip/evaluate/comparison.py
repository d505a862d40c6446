"""One or two sets of weights of a model, measured on the same tasks, and the sweep between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from torch import Tensor

from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.evaluated import Evaluated
from harmoclip.evaluate.figures import draw_confusion, draw_named_boxes, draw_similarities, draw_tradeoff
from harmoclip.evaluate.metrics import Metrics
from harmoclip.evaluate.task import Task
from harmoclip.interpolation import check_same_weights, interpolate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Sweep = dict[str, tuple[float, float]]


class Comparison:
    """A model before and, where weights after are given, after training, and other models beside it.

    Args:
        encoder: The model with the weights before.
        after: The `state_dict()` after training, or None to measure one model alone.
        others: Further models by name, of any architecture.

    Raises:
        InputError: The weights after are of another architecture.
    """

    def __init__(
        self,
        encoder: Encoder,
        after: Mapping[str, Tensor] | None = None,
        others: Mapping[str, Encoder] | None = None,
    ) -> None:
        self.encoder, self.others = encoder, dict(others or {})
        state = encoder.harmo.model.state_dict()
        first = "model" if after is None else "before"
        self.weights: dict[str, Mapping[str, Tensor]] = {
            first: {name: value.detach().cpu().clone() for name, value in state.items()}
        }
        if after is not None:
            check_same_weights(self.weights["before"], after)
            self.weights["after"] = {name: value.detach().cpu() for name, value in after.items()}

    def scores(self, tasks: Sequence[Task]) -> dict[str, dict[str, Metrics]]:
        """Every task by every set of weights and every other model."""
        found: dict[str, dict[str, Metrics]] = {task.name: {} for task in tasks}
        for column, encoder in self._encoders():
            for task in tasks:
                found[task.name][column] = task.run(encoder)
        return found

    def _encoders(self) -> Iterator[tuple[str, Encoder]]:
        for column, weights in self.weights.items():
            self._load(weights)
            yield column, self.encoder
        yield from self.others.items()

    def sweep(self, tasks: Sequence[Task], shares: Sequence[float]) -> Sweep:
        """Whole-image and region headline of the averages between before and after, both ends included.

        Empty without weights after, or where the tasks do not have both sides.
        """
        sides = _both_sides(tasks)
        if "after" not in self.weights or len(sides) < 2:
            return {}
        points = {}
        for share in (0.0, *sorted(set(shares) - {0.0, 1.0}), 1.0):
            self._load(interpolate(self.weights["before"], self.weights["after"], share))
            whole, regions = (task.headline(task.run(self.encoder)) for task in sides)
            points[f"{share:g}"] = (whole, regions)
        return points

    def evaluate(self, title: str, tasks: Sequence[Task], shares: Sequence[float] = ()) -> Evaluated:
        """Every task, the sweep over shares of the weights after, and the figures."""
        scores, sweep = self.scores(tasks), self.sweep(tasks, shares)
        headlines = {
            task.name: {name: task.headline(metrics) for name, metrics in scores[task.name].items()}
            for task in tasks
        }
        figures = {**_tradeoffs(tasks, headlines, sweep), **self._figures(tasks)}
        images = {caption: _png(figure) for caption, figure in figures.items()}
        return Evaluated(title, scores, headlines, sweep, images)

    def _figures(self, tasks: Sequence[Task]) -> dict[str, Figure]:
        """Best and worst boxes, confusion and similarity maps of the first task with boxes, last weights."""
        task = next((t for t in tasks if t.boxes), None)
        if task is None or task.boxes is None:
            return {}
        self._load(self.weights[list(self.weights)[-1]])
        samples, named = task.boxes(self.encoder)
        order = named.margin.argsort(descending=True, stable=True)
        return {
            f"surest boxes ({task.name})": draw_named_boxes(samples, named, order[:12]),
            f"worst boxes ({task.name})": draw_named_boxes(samples, named, order.flip(0)[:12]),
            f"confusion ({task.name})": draw_confusion(named.labels, named.guesses[:, 0], named.class_names),
            f"similarity maps ({task.name})": draw_similarities(self.encoder, samples, named),
        }

    def _load(self, weights: Mapping[str, Tensor]) -> None:
        self.encoder.harmo.model.load_state_dict(weights)


def _tradeoffs(
    tasks: Sequence[Task], headlines: Mapping[str, Mapping[str, float]], sweep: Sweep
) -> dict[str, Figure]:
    """Both sides of several models, and of the averages between before and after."""
    sides = _both_sides(tasks)
    if len(sides) < 2:
        return {}
    whole, regions = (side.name for side in sides)
    points = {name: (value, headlines[regions][name]) for name, value in headlines[whole].items()}
    found = {}
    if len(points) > 1:
        found["both sides of every model"] = draw_tradeoff(points, xlabel=whole, ylabel=regions)
    if sweep:
        found["weights averaged: share of the weights after"] = draw_tradeoff(
            sweep, curve=True, xlabel=whole, ylabel=regions
        )
    return found


def _both_sides(tasks: Sequence[Task]) -> list[Task]:
    """The first task of whole images and the first of regions, of those that there are."""
    found = (next((t for t in tasks if t.side == side), None) for side in ("whole", "regions"))
    return [task for task in found if task]


def _png(figure: Figure) -> bytes:
    import matplotlib.pyplot as plt

    png = BytesIO()
    figure.savefig(png, dpi=110)
    plt.close(figure)
    return png.getvalue()
