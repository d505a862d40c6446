"""Random numbers that depend on what is drawn, not on who draws it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

T = TypeVar("T")


def seeded(seed: int, make: Callable[[], T]) -> T:
    """What `make` gives where torch's random numbers start from a seed; they go on as if nothing was drawn.

    Example:
        >>> seeded(3, lambda: torch.rand(1)) == seeded(3, lambda: torch.rand(1))
        tensor([True])
    """
    state = torch.random.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        return make()
    finally:
        torch.random.set_rng_state(state)
