"""The one check of a model's vectors before they are scored: a model that diverged gets no score."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from harmoclip.errors import EvaluationError, InputError
from harmoclip.tensors import full_precision, l2_normalize

ArrayLike = Tensor | np.ndarray | Sequence[object]
"""What becomes a tensor by `torch.as_tensor`."""

_NAMED = 5  # rows that a message lists


def row_name(row: int) -> str:
    """What a message calls a row where it has no better name."""
    return f"row {row}"


def unit_vectors(vectors: ArrayLike, what: str, name: Callable[[int], str] = row_name) -> Tensor:
    """Vectors with L2 norm 1, ready for cosines.

    Vectors of any size are normalized exactly, also where their squares overflow or underflow float32.

    Args:
        vectors: `[N, D]` of any floating type, as a tensor, an array or lists.
        what: What one of them stands for, in the plural: `image vectors`.
        name: From a row to what a message calls it, such as a file.

    Returns:
        `[N, D]` float32, or float64 where the vectors are.

    Raises:
        EvaluationError: There are none, or some are not finite or all zeros; the message says how many and
            which.
        InputError: They are not two-dimensional.

    Example:
        >>> unit_vectors([[3.0, 4.0]], "image vectors")
        tensor([[0.6000, 0.8000]])
    """
    vectors = check_vectors(full_precision(torch.as_tensor(vectors)), what, name)
    return l2_normalize(vectors / vectors.abs().amax(1, keepdim=True))


def check_vectors(vectors: Tensor, what: str, name: Callable[[int], str] = row_name) -> Tensor:
    """The same vectors; the errors of `unit_vectors` where they cannot be scored."""
    if vectors.ndim != 2:
        raise InputError(f"{what} have shape {list(vectors.shape)}: expected [N, D].")
    if not vectors.numel():
        raise EvaluationError(f"there are no {what}: expected at least one.")
    _refuse(~vectors.isfinite().all(1), what, "not finite (NaN or infinity)", name)
    _refuse((vectors == 0).all(1), what, "all zeros, which have no direction", name)
    return vectors


def comparable(one: ArrayLike, other: ArrayLike, names: tuple[str, str]) -> tuple[Tensor, Tensor]:
    """Two sets of vectors, normalized, of one type and on the first one's device.

    Args:
        one: `[N, D]`.
        other: `[M, D]`.
        names: What the rows of each stand for, in the plural.

    Raises:
        EvaluationError: See `unit_vectors`.
        InputError: The two do not have the same D.
    """
    first, second = unit_vectors(one, names[0]), unit_vectors(other, names[1])
    if first.shape[1] != second.shape[1]:
        raise InputError(
            f"{names[0]} have {first.shape[1]} dimensions and {names[1]} {second.shape[1]}: "
            "expected vectors of one model."
        )
    dtype = torch.promote_types(first.dtype, second.dtype)
    return first.to(dtype), second.to(first.device, dtype)


def finite(values: ArrayLike, what: str, name: Callable[[int], str] = row_name) -> Tensor:
    """Scores `[N, ...]` as a tensor, none of them NaN or infinite.

    Raises:
        EvaluationError: There are none, or some are not finite; the message says how many and which.

    Example:
        >>> finite([0.5, 1.0], "scores")
        tensor([0.5000, 1.0000])
    """
    values = torch.as_tensor(values)
    if not values.numel():
        raise EvaluationError(f"there are no {what}: expected at least one.")
    _refuse(~values.isfinite().reshape(len(values), -1).all(1), what, "not finite (NaN or infinity)", name)
    return values


def _refuse(bad: Tensor, what: str, why: str, name: Callable[[int], str]) -> None:
    rows = bad.nonzero().flatten().tolist()
    if rows:
        shown = ", ".join(map(name, rows[:_NAMED])) + (", ..." if len(rows) > _NAMED else "")
        raise EvaluationError(
            f"{len(rows)} of {len(bad)} {what} are {why}: {shown}. The model diverged, overflowed its type "
            "or lost its weights: evaluate it in float32, or go back to an earlier checkpoint."
        )
