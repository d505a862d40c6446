"""Factors of the losses in their sum: fixed, following a schedule, or balanced by gradient norms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
import torch.distributed as dist
from torch import Tensor

from harmoclip.errors import InputError
from harmoclip.losses.gather import world_size

Weight = float | Sequence[tuple[int, float]]


def checked_weights(given: Mapping[str, Weight], known: Sequence[str]) -> dict[str, Weight]:
    """The weights as they were given.

    Raises:
        InputError: They are no dict, a name is unknown, a weight is negative or not finite, or a schedule's
            steps do not rise.
    """
    if not isinstance(given, Mapping):
        raise InputError(f"weights are {given!r}: expected a dict by name, such as {{{known[0]!r}: 1.0}}.")
    for name, weight in given.items():
        if name not in known:
            raise InputError(
                f"the weight of {name!r} is unknown: expected one of {', '.join(map(repr, known))}."
            )
        points = _points(name, weight)
        if not points or not all(0 <= value < float("inf") for _, value in points):
            raise InputError(f"the weight of {name} is {weight}: expected finite numbers, 0 or more.")
        if not all(a < b for (a, _), (b, _) in pairwise(points)):
            raise InputError(f"the weight of {name} is {weight}: expected the steps of its schedule to rise.")
    return dict(given)


def _points(name: str, weight: Weight) -> Sequence[tuple[int, float]]:
    if isinstance(weight, (int, float)):
        return [(0, weight)]
    try:
        return [(step, value) for step, value in weight]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the weight of {name} is {weight!r}: expected a number, or a schedule [(step, weight), ...]."
        ) from error


def weight_at(weight: Weight, step: Tensor) -> float | Tensor:
    """A weight at a training step: linear between the points of its schedule, constant outside them.

    Example:
        >>> import torch
        >>> weight_at([(0, 0.0), (100, 1.0)], torch.tensor(25))
        tensor(0.2500)
    """
    if isinstance(weight, (int, float)):
        return weight
    value = torch.full_like(step, weight[0][1], dtype=torch.float32)
    for (start, low), (end, high) in pairwise(weight):
        value = value + (high - low) * ((step - start) / (end - start)).clamp(0, 1)
    return value


def gradient_norm(loss: Tensor, vectors: Sequence[Tensor]) -> Tensor:
    """The L2 norm of the gradient, in the vectors of all ranks, of a loss that is the mean over all ranks.

    Args:
        loss: A scalar.
        vectors: Those that need a gradient, as those of a frozen tower do not; the norm in none is 0.
    """
    grads = torch.autograd.grad(loss, vectors, retain_graph=True, allow_unused=True) if vectors else ()
    square = loss.new_zeros(()) + sum(g.to(loss.dtype).square().sum() for g in grads if g is not None)
    if world_size() > 1:
        dist.all_reduce(square)
    return square.sqrt() / world_size()


def balance(norm: Tensor, limit: Tensor) -> Tensor:
    """The factor, at most 1, that brings a gradient of this norm down to the limit."""
    return (limit / norm.clamp(min=torch.finfo(norm.dtype).tiny)).clamp(max=1)
