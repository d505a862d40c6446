"""The learning rate of a step, as a function of the step alone: nothing to save, nothing to restore."""

from __future__ import annotations

import math


def rate(step: int, *, steps: int, warmup: int, schedule: str) -> float:
    """The factor on the learning rate in [0, 1]: linear warm-up, then `cosine`, `linear` or `constant`.

    Args:
        step: Counted from 0.
        steps: How many there are.
        warmup: How many of them rise linearly.
        schedule: What comes after.

    Example:
        >>> [rate(s, steps=6, warmup=2, schedule="linear") for s in range(6)]
        [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1 - done if schedule == "linear" else 1.0
