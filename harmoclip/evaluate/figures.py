"""Images of an evaluation: the trade-off, confusion, named boxes, similarity maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

from torch import Tensor

from harmoclip.draw import draw_boxes, draw_similarity
from harmoclip.evaluate.boxes import NamedBoxes
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.tradeoff import pareto_front

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harmoclip.evaluate.samples import Samples

Point = tuple[float, float]
LEAST_SPAN = 0.1
_BEST = "#1a7f37"
_LINE = 0.05  # of the height of the axes, for a name


def draw_tradeoff(
    points: Mapping[str, Point],
    *,
    spread: Mapping[str, Point] | None = None,
    curve: bool = False,
    xlabel: str = "global",
    ylabel: str = "regions",
    title: str = "",
) -> Figure:
    """A matplotlib figure of models by their global and their region measure; up and right is better.

    Axes show at least ten points of a hundred, so that noise does not look like a difference.

    Args:
        points: Name to (global, region) measure, both fractions in [0, 1].
        spread: Name to the standard deviation of both.
        curve: Join the points in the order given, as of a sweep.
        xlabel: What the global measure is.
        ylabel: What the region measure is.
        title: Above the axes.

    Example:
        >>> figure = draw_tradeoff({"before": (0.6, 0.2), "after": (0.62, 0.5)})
        >>> figure.axes[0].get_xlabel()
        'global'
    """
    import matplotlib.pyplot as plt

    size = (6.5 + 0.08 * max(map(len, points), default=0), max(5, 1.2 + 0.25 * len(points)))
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    front = pareto_front(list(points.values()))
    best = sorted(list(points.values())[i] for i in front)
    ax.plot(*zip(*best, strict=True), "--", color=_BEST, lw=1.2, zorder=1, label="Pareto front")
    if curve:
        ax.plot(*zip(*points.values(), strict=True), color="#8c959f", lw=1, zorder=1)
    colors = [_BEST if i in front else "#57606a" for i in range(len(points))]
    for (name, (x, y)), color in zip(points.items(), colors, strict=True):
        dx, dy = (spread or {}).get(name, (0.0, 0.0))
        ax.errorbar(x, y, xerr=dx or None, yerr=dy or None, fmt="o", color=color, capsize=2, lw=1)
    xs, ys = zip(*points.values(), strict=True)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title, xlim=_limits(xs), ylim=_limits(ys))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    ax.grid(alpha=0.3)
    ax.legend(loc="lower right", frameon=False)
    _label_beside(ax, points, colors)
    return figure


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Where an axis of fractions begins and ends: around the values, at least `LEAST_SPAN` long.

    There is nothing to see below 0 and above 1, but for room for a point that lies there.
    """
    middle, length = (min(values) + max(values)) / 2, max(LEAST_SPAN, 1.4 * (max(values) - min(values)))
    room = length / 20
    low, high = max(middle - length / 2, -room), min(middle + length / 2, 1 + room)
    high = min(max(high, low + LEAST_SPAN), 1 + room)
    return min(low, high - LEAST_SPAN), high


def _label_beside(ax: Axes, points: Mapping[str, Point], colors: Sequence[str]) -> None:
    """Names in a column right of the axes, in the order of the points' height, each tied to its point."""
    low, high = ax.get_ylim()
    names = list(points)
    order = sorted(range(len(names)), key=lambda i: points[names[i]][::-1])
    heights = [(points[names[i]][1] - low) / (high - low) for i in order]
    for i, height in zip(order, _apart(heights, min(_LINE, 1 / len(names))), strict=True):
        ax.annotate(
            names[i], points[names[i]], xytext=(1.03, height), textcoords="axes fraction", va="center",
            color=colors[i], fontsize=9, arrowprops={"arrowstyle": "-", "color": "#d1d9e0", "zorder": 0},
        )  # fmt: skip


def _apart(heights: Sequence[float], least: float) -> list[float]:
    """Ascending heights in [0, 1], moved no more than it takes to be `least` apart and inside."""
    found = list(heights)
    for i in range(len(found)):
        found[i] = max(found[i], found[i - 1] + least if i else least / 2)
    for i in reversed(range(len(found))):
        found[i] = min(found[i], found[i + 1] - least if i + 1 < len(found) else 1 - least / 2)
    return found


def draw_confusion(labels: Tensor, guesses: Tensor, names: Sequence[str], *, most: int = 20) -> Figure:
    """A matplotlib figure of right classes against guesses, in shares of the row.

    Args:
        labels: `[R]` right classes.
        guesses: `[R]` guessed classes.
        names: Class names.
        most: How many classes are shown, those with most boxes.
    """
    import matplotlib.pyplot as plt
    import torch

    count = torch.bincount(labels * len(names) + guesses, minlength=len(names) ** 2).view(len(names), -1)
    shown = count.sum(1).argsort(descending=True, stable=True)[:most]
    shown = shown[count.sum(1)[shown] > 0].sort().values
    share = count[shown][:, shown] / count[shown].sum(1, keepdim=True)
    side = 2.5 + 0.28 * len(shown)
    figure, ax = plt.subplots(figsize=(side + 1, side), layout="constrained")
    shares = ax.imshow(share.numpy(), vmin=0, vmax=1, cmap="Greens")
    figure.colorbar(shares, ax=ax, shrink=0.8, label="share of the class's boxes")
    ticks = [names[i] for i in shown.tolist()]
    ax.set_xticks(range(len(ticks)), ticks, rotation=90, fontsize=8)
    ax.set_yticks(range(len(ticks)), ticks, fontsize=8)
    ax.set(xlabel="guess", ylabel="right class")
    return figure


def draw_named_boxes(samples: Samples, named: NamedBoxes, rows: Tensor) -> Figure:
    """A matplotlib figure of boxes with the right class and the guess, green where they agree.

    Args:
        samples: The data set that was classified.
        named: Its result.
        rows: Which boxes, rows of `named`.
    """
    figure, axes = _grid(len(rows), 4)
    for ax, row in zip(axes, rows.tolist(), strict=False):
        sample = samples[int(named.sample[row])]
        right, guess = int(named.labels[row]), int(named.guesses[row, 0])
        color = "#1a7f37" if right == guess else "#cf222e"
        draw_boxes(sample.image, sample.boxes[named.row[row], None], colors=[color], ax=ax)
        names = named.class_names
        said = [names[right]] if right == guess else [names[right], f"called {names[guess]}"]
        ax.set_title("\n".join(fill(line, 34) for line in said), fontsize=9, color=color)
    return figure


def draw_similarities(encoder: Encoder, samples: Samples, named: NamedBoxes, *, most: int = 4) -> Figure:
    """A matplotlib figure of where images look like the class of one of their boxes.

    Args:
        encoder: The model.
        samples: The data set that was classified.
        named: Its result.
        most: How many images.
    """
    shown = list(dict.fromkeys(named.sample.tolist()))[:most]
    figure, axes = _grid(2 * len(shown), 4)
    for i, index in enumerate(shown):
        sample, row = samples[index], int((named.sample == index).nonzero()[0])
        name = named.class_names[int(named.labels[row])]
        vector = encoder.class_vectors([name], "photo")[0]
        _, dense = next(iter(encoder.dense_vectors([sample])))
        draw_boxes(sample.image, sample.boxes[named.row[row], None], ax=axes[2 * i])
        draw_similarity(sample.image, dense[0] @ vector, ax=axes[2 * i + 1])
        axes[2 * i].set_title(fill(name, 34), fontsize=9)
    return figure


def _grid(count: int, columns: int) -> tuple[Figure, list[Axes]]:
    import matplotlib.pyplot as plt

    rows = -(-count // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.7 * columns, 2.9 * rows), layout="constrained", squeeze=False
    )
    for ax in axes.flat:
        ax.set_axis_off()
    return figure, list(axes.flat)
