"""The metrics of one task for each model, and what every table of them shows."""

from __future__ import annotations

from collections.abc import Mapping

from harmoclip.evaluate.metrics import Metric, Metrics, show

Columns = Mapping[str, Metrics]
"""The metrics of one task for each model, such as `before` and `after`."""
_SHOWN = 5  # of what was left out, where people read it


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


def head_of(columns: Columns) -> list[str]:
    """What stands above the values of a task: the models, the change between a pair, chance."""
    return [*columns, *(["change"] if {"before", "after"} <= columns.keys() else []), "chance"]


def cells_of(columns: Columns, metric: Metric) -> list[str]:
    """The values of a metric, one below each word of `head_of`."""
    cells = [show(c[metric.name], metric.unit) if metric.name in c else "" for c in columns.values()]
    if "change" in head_of(columns):
        difference = change(columns, metric.name)
        cells.append("" if difference is None else show(difference, metric.unit, signed=True))
    return [*cells, "" if metric.chance is None else show(metric.chance, metric.unit)]


def left_out_text(columns: Columns) -> str:
    """How much was left out of a task, and the first of it; empty where nothing was."""
    found = left_out_of(columns)
    more = f"; and {len(found) - _SHOWN} more, see report.json" if len(found) > _SHOWN else ""
    return f"left out ({len(found)}): {'; '.join(found[:_SHOWN])}{more}" if found else ""
