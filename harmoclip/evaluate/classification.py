"""Vectors against class vectors."""

from __future__ import annotations

import torch
from torch import Tensor

from harmoclip.tensors import l2_normalize


def top_k(vectors: Tensor, classes: Tensor, labels: Tensor, k: int = 1) -> Tensor:
    """Whether each vector's class is among its k most similar classes, `[R]` bool.

    Args:
        vectors: `[R, D]`, of regions or images.
        classes: `[K, D]` class vectors, usually of texts.
        labels: `[R]` the right class of each vector.
        k: How many guesses count.

    Example:
        >>> import torch
        >>> top_k(torch.eye(3), torch.eye(3), torch.tensor([0, 1, 1])).tolist()
        [True, True, False]
    """
    guesses = (l2_normalize(vectors) @ l2_normalize(classes).T).topk(min(k, len(classes)), dim=1).indices
    return (guesses == labels[:, None]).any(1)


def micro(right: Tensor) -> float:
    """The share of rows that are right, every row counted the same; nan without rows."""
    return right.double().mean().item()


def macro(right: Tensor, labels: Tensor) -> float:
    """The mean over classes of each class's share; a class without rows is left out; nan without rows.

    Args:
        right: `[R]` bool.
        labels: `[R]` the class of each row.

    Example:
        >>> macro(torch.tensor([True, True, False, False]), torch.tensor([0, 0, 0, 1]))
        0.3333333333333333
    """
    if not len(labels):
        return float("nan")
    count = torch.bincount(labels).double()
    hits = torch.bincount(labels, weights=right.double(), minlength=len(count))
    present = count > 0
    return (hits[present] / count[present]).mean().item()
