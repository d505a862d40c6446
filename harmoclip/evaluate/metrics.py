"""What a measurement gives: named values that know their unit, and what was left out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harmoclip.notebook import table

MetricUnit = Literal["fraction", "rank", "count"]


@dataclass(frozen=True)
class Metric:
    """One number of a measurement.

    Args:
        name: Such as `i2t_r1`.
        value: In its unit.
        unit: A `fraction` in [0, 1], more is better; a `rank` from 1, less is better; or a `count`.
        chance: The value that guessing gives, where that is known.

    Example:
        >>> print(Metric("box_top1", 0.4821), Metric("i2t_median_rank", 2.5, "rank"))
        48.2 % 2.5
    """

    name: str
    value: float
    unit: MetricUnit = "fraction"
    chance: float | None = None

    def __str__(self) -> str:
        return show(self.value, self.unit)

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is, 0 where neither is."""
        return {"fraction": 1, "rank": -1, "count": 0}[self.unit]


class Metrics(Mapping[str, float]):
    """The values of one measurement by name; immutable, and equal to a dict of the same values.

    Args:
        metrics: In the order to show them.
        left_out: What was given and could not be measured, each with its name and why.

    Example:
        >>> found = Metrics([Metric("box_top1", 0.5), Metric("boxes", 20, "count")])
        >>> found["box_top1"], found.metric("boxes").unit
        (0.5, 'count')
    """

    def __init__(self, metrics: Sequence[Metric], left_out: Sequence[str] = ()) -> None:
        self._metrics = {metric.name: metric for metric in metrics}
        self.left_out = tuple(left_out)

    def __getitem__(self, name: str) -> float:
        return self._metrics[name].value

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    def __repr__(self) -> str:
        return f"Metrics({', '.join(f'{m.name}={m}' for m in self._metrics.values())})"

    def _repr_html_(self) -> str:
        chance = {m.name: f", chance {show(m.chance, m.unit)}" for m in self._metrics.values() if m.chance}
        rows = {m.name: f"{m}{chance.get(m.name, '')}" for m in self._metrics.values()}
        return table("Metrics", {**rows, **({"left out": len(self.left_out)} if self.left_out else {})})

    def __or__(self, other: Metrics) -> Metrics:
        """The values of both, and all that either left out."""
        left_out = dict.fromkeys((*self.left_out, *other.left_out))
        return Metrics([*self._metrics.values(), *other._metrics.values()], tuple(left_out))

    def metric(self, name: str) -> Metric:
        """A value with its unit and its chance level."""
        return self._metrics[name]

    def pick(self, *names: str) -> Metrics:
        """These values only."""
        return Metrics([self._metrics[name] for name in names], self.left_out)


def show(value: float, unit: MetricUnit, *, signed: bool = False) -> str:
    """A value as people read it: fractions in per cent, with the sign of the change where asked for.

    Example:
        >>> show(0.1234, "fraction"), show(2.5, "rank"), show(-0.01, "fraction", signed=True)
        ('12.3 %', '2.5', '-1.0 %')
    """
    plus = "+" if signed else ""
    if unit == "fraction":
        return f"{100 * value:{plus}.1f} %"
    return f"{value:{plus},.0f}" if unit == "count" else f"{value:{plus},.1f}"
