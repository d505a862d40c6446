"""Vectors against class vectors."""

from __future__ import annotations

import torch
from torch import Tensor

from harmoclip.errors import InputError
from harmoclip.evaluate.vectors import ArrayLike, comparable, finite


def cosines(vectors: ArrayLike, classes: ArrayLike) -> Tensor:
    """The cosine `[R, K]` of each vector with each class vector.

    Raises:
        EvaluationError: Some are not finite or all zeros, or there are none.
        InputError: They are not of one model.
    """
    rows, columns = comparable(vectors, classes, ("vectors", "class vectors"))
    return rows @ columns.T


def top_k(vectors: ArrayLike, classes: ArrayLike, labels: ArrayLike, k: int = 1) -> Tensor:
    """Whether each vector's class is among its k most similar classes, `[R]` bool.

    Args:
        vectors: `[R, D]`, of regions or images.
        classes: `[K, D]` class vectors, usually of texts.
        labels: `[R]` the right class of each vector, a tensor or a list.
        k: How many guesses count.

    Raises:
        EvaluationError: Some vectors are not finite or all zeros, or there are none.
        InputError: The vectors are not of one model, or the labels do not go with them.

    Example:
        >>> import torch
        >>> top_k(torch.eye(3), torch.eye(3), [0, 1, 1]).tolist()
        [True, True, False]
    """
    similarity = cosines(vectors, classes)
    right = checked_labels(labels, *similarity.shape).to(similarity.device)
    guesses = similarity.topk(min(k, similarity.shape[1]), dim=1).indices
    return (guesses == right[:, None]).any(1)


def checked_labels(labels: ArrayLike, rows: int, classes: int) -> Tensor:
    """Labels `[R]` int64, one a row, each of a class that exists; an InputError otherwise."""
    labels = torch.as_tensor(labels)
    if labels.shape != (rows,) or labels.is_floating_point():
        raise InputError(
            f"labels are {labels.dtype} of shape {list(labels.shape)} for {rows} vectors: expected a whole "
            "number for each."
        )
    wrong = ((labels < 0) | (labels >= classes)).nonzero().flatten().tolist()
    if wrong:
        raise InputError(
            f"labels[{wrong[0]}] is {int(labels[wrong[0]])}: expected 0 to {classes - 1}, as there are "
            f"{classes} classes ({len(wrong)} labels are out of range)."
        )
    return labels.long()


def micro(right: ArrayLike) -> float:
    """The share of rows that are right, every row counted the same.

    Raises:
        EvaluationError: There are no rows, or some are NaN.

    Example:
        >>> micro([True, False])
        0.5
    """
    return finite(right, "rows").double().mean().item()


def macro(right: ArrayLike, labels: ArrayLike) -> float:
    """The mean over classes of each class's share; a class without rows is left out.

    Args:
        right: `[R]` bool.
        labels: `[R]` the class of each row.

    Raises:
        EvaluationError: There are no rows, or some are NaN.
        InputError: There is not one label a row.

    Example:
        >>> macro([True, True, False, False], [0, 0, 0, 1])
        0.3333333333333333
    """
    right = finite(right, "rows").double()
    labels = torch.as_tensor(labels, device=right.device)
    labels = checked_labels(labels, len(right), int(labels.max()) + 1)
    count = torch.bincount(labels).double()
    hits = torch.bincount(labels, weights=right, minlength=len(count))
    present = count > 0
    return (hits[present] / count[present]).mean().item()
