"""Phrases that are known to be wrong for a region: they join that region's row, and no other row."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from harmoclip.losses.contrastive import ABSENT
from harmoclip.tensors import l2_normalize


def own_negatives(
    regions: Tensor, phrases: Tensor, negatives: Tensor, scale: Tensor, bias: Tensor | None = None
) -> Tensor:
    """What the negatives `n` of each region `r` add to its row of logits `z_rn = scale cos(r, n) + bias`.

    Without a bias `log sum_n exp(z_rn)`, which joins the normalizer of the region's softmax; with one
    `sum_n softplus(z_rn)`, the loss of that many pairs that are wrong. Memory grows with the pairs alone.

    Args:
        regions: `[R, D]`.
        phrases: `[P, D]`.
        negatives: `[N, 2]` pairs (region, phrase).
        scale: The factor on cosines.
        bias: The bias of the sigmoid form.

    Returns:
        `[R]`; what changes nothing for a region without negatives.

    Example:
        >>> regions, phrases = torch.eye(2), torch.eye(2)
        >>> own_negatives(regions, phrases, torch.tensor([[0, 0], [0, 1]]), torch.tensor(0.0))
        tensor([ 6.9315e-01, -1.0087e+04])
    """
    region, phrase = negatives.unbind(1)
    logits = scale * (l2_normalize(regions)[region] * l2_normalize(phrases)[phrase]).sum(-1)
    nothing = logits.new_zeros(len(regions))
    if bias is not None:
        return nothing.index_add(0, region, F.softplus(logits + bias))
    highest = (nothing + ABSENT).scatter_reduce(0, region, logits.detach(), "amax")
    total = nothing.index_add(0, region, (logits - highest[region]).exp())
    return highest + total.clamp(min=torch.finfo(total.dtype).tiny).log()
