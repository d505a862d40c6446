"""Weight averaging between two models of one architecture, and which of many points nothing else beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from harmoclip.errors import InputError


def average_weights(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """The state `(1 - share) * before + share * after` (WiSE-FT, arXiv 2109.01903).

    Entries that are not floating point are taken from `after`.

    Args:
        before: A `state_dict()`.
        after: The `state_dict()` of the same architecture, trained.
        share: How much of `after`, in [0, 1].

    Raises:
        InputError: The two do not have the same names and shapes, or the share is outside [0, 1].

    Example:
        >>> average_weights({"w": torch.tensor([0.0])}, {"w": torch.tensor([4.0])}, 0.25)
        {'w': tensor([1.])}
    """
    if not 0 <= share <= 1:
        raise InputError(f"share is {share}: expected a number in [0, 1].")
    differing = sorted(before.keys() ^ after.keys()) or [
        name for name, value in before.items() if value.shape != after[name].shape
    ]
    if differing:
        raise InputError(
            f"the two models differ in {len(differing)} weights, the first is {differing[0]!r}: "
            "expected the same architecture before and after."
        )
    return {
        name: torch.lerp(before[name].to(value), value, share) if value.is_floating_point() else value.clone()
        for name, value in after.items()
    }


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which points no other point beats on one side without losing on the other; more is better on both.

    Args:
        points: Pairs of measures.

    Returns:
        Indices in the order given.

    Example:
        >>> pareto_front([(0.6, 0.2), (0.5, 0.4), (0.5, 0.3)])
        [0, 1]
    """
    return [
        i
        for i, (x, y) in enumerate(points)
        if not any(a >= x and b >= y and (a > x or b > y) for a, b in points)
    ]
