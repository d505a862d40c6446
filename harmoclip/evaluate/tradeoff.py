"""Both sides in one number, and which of many points nothing else beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harmoclip.errors import InputError
from harmoclip.evaluate.retrieval import mean_recall
from harmoclip.evaluate.vectors import finite


def trade_off(measures: Mapping[str, float], region: str = "box_top1") -> float:
    """The harmonic mean of mean R@1 and the region measure: high only where both sides are.

    Args:
        measures: With `i2t_r1`, `t2i_r1` and the region measure, each in [0, 1].
        region: The name of the region measure.

    Raises:
        EvaluationError: One of them is NaN or infinite.
        InputError: One of them is missing or outside [0, 1].

    Example:
        >>> trade_off({"i2t_r1": 0.4, "t2i_r1": 0.6, "box_top1": 0.5})
        0.5
    """
    needed = ("i2t_r1", "t2i_r1", region)
    if missing := [name for name in needed if name not in measures]:
        raise InputError(f"measures have no {', '.join(missing)}: expected {', '.join(needed)}.")
    values = finite([measures[name] for name in needed], "measures", lambda row: needed[row])
    if values.min() < 0 or values.max() > 1:
        raise InputError(f"measures are {values.tolist()}: expected fractions in [0, 1].")
    return harmonic_mean([mean_recall(measures), measures[region]])


def harmonic_mean(values: Sequence[float]) -> float:
    """High only where all values are: the reciprocal of the mean of their reciprocals; 0 where one is 0.

    Example:
        >>> harmonic_mean([0.5, 0.25]), harmonic_mean([0.5, 0.0])
        (0.3333333333333333, 0.0)
    """
    return len(values) / sum(1 / value for value in values) if all(values) else 0.0


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which points no other point beats on one side without losing on the other; more is better on both.

    Args:
        points: Pairs of measures.

    Returns:
        Indices in the order given.

    Raises:
        EvaluationError: There is no point, or one is not finite.

    Example:
        >>> pareto_front([(0.6, 0.2), (0.5, 0.4), (0.5, 0.3)])
        [0, 1]
    """
    finite(points, "points", lambda row: f"point {row} {tuple(points[row])}")
    return [
        i
        for i, (x, y) in enumerate(points)
        if not any(a >= x and b >= y and (a > x or b > y) for a, b in points)
    ]
