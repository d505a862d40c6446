"""Vectors against class vectors."""

from __future__ import annotations

from torch import Tensor

from harmoclip.losses.contrastive import unit


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
    guesses = (unit(vectors) @ unit(classes).T).topk(min(k, len(classes)), dim=1).indices
    return (guesses == labels[:, None]).any(1)
