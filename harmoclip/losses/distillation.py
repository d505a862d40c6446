"""Vectors held to those of a teacher that does not learn."""

from __future__ import annotations

from torch import Tensor, nn

from harmoclip.errors import InputError
from harmoclip.losses.gather import mean_over_ranks, row_counts
from harmoclip.tensors import l2_normalize


class DistillationLoss(nn.Module):
    """Mean of `1 - cos` between vectors and their targets.

    With the vectors of regions and of their crops it is the loss of CLIPSelf (arXiv 2310.01403); with the
    global vectors of a model and of its frozen copy it keeps the model near where it was.

    Example:
        >>> import torch
        >>> loss = DistillationLoss()(torch.randn(3, 16), torch.randn(3, 16))
    """

    def forward(self, vectors: Tensor, target: Tensor, counts: tuple[int, ...] | None = None) -> Tensor:
        """The loss over all ranks, a float32 scalar; zero and connected to the graph without vectors.

        Args:
            vectors: `[N, D]`.
            target: `[N, D]`; no gradient flows into it.
            counts: The rows on each rank, where `row_counts` told them before.

        Raises:
            InputError: The two do not have the same shape.
        """
        if vectors.shape != target.shape:
            raise InputError(
                f"vectors are {list(vectors.shape)}, targets {list(target.shape)}: expected the same shape."
            )
        if counts is None:
            (counts,) = row_counts(len(vectors), device=vectors.device)
        cosine = (l2_normalize(vectors) * l2_normalize(target.detach())).sum(-1)
        return mean_over_ranks((1 - cosine).sum(), sum(counts))
