"""Contrast of rows against columns where a row may have several positives."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_LOG_SCALE = math.log(100.0)


def temperature(log_scale: Tensor) -> Tensor:
    """The factor `exp(log_scale)` on cosines, at most 100 as in CLIP; beyond it the gradient still flows."""
    log_scale = log_scale.float()
    clamped = log_scale.clamp(max=MAX_LOG_SCALE)
    return (log_scale + (clamped - log_scale).detach()).exp()


def unit(vectors: Tensor) -> Tensor:
    """Vectors `[..., D]` of any dtype, in float32 or wider, with L2 norm 1."""
    if vectors.dtype != torch.float64:
        vectors = vectors.float()
    return F.normalize(vectors, dim=-1)


def softmax_contrast(logits: Tensor, positive: Tensor) -> Tensor:
    """Mean over rows of the cross entropy against the row's positives, each weighted the same.

    `-1/N sum_i 1/|P(i)| sum_{j in P(i)} log softmax(logits_i)_j`: InfoNCE where |P(i)| = 1, otherwise the
    supervised contrastive loss (arXiv 2004.11362, L_out).

    Args:
        logits: `[N, M]`.
        positive: `[N, M]` bool, at least one in each row.
    """
    share = positive / positive.sum(1, keepdim=True)
    return -(share * logits.log_softmax(1)).sum(1).mean()


def sigmoid_contrast(logits: Tensor, positive: Tensor) -> Tensor:
    """SigLIP's loss (arXiv 2303.15343): every pair is a binary question, summed over columns, mean over rows."""
    return -F.logsigmoid(torch.where(positive, logits, -logits)).sum(1).mean()


def symmetric_contrast(
    rows: Tensor, columns: Tensor, positive: Tensor, log_scale: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Rows against columns and columns against rows; the sigmoid form where a bias is given.

    Args:
        rows: `[N, D]`, normalised here.
        columns: `[M, D]`, normalised here.
        positive: `[N, M]` bool.
        log_scale: Learned log temperature, a scalar.
        bias: Learned bias of the sigmoid form, a scalar.
    """
    logits = temperature(log_scale) * unit(rows) @ unit(columns).T
    if bias is not None:
        return sigmoid_contrast(logits + bias.float(), positive)
    return (softmax_contrast(logits, positive) + softmax_contrast(logits.T, positive.T)) / 2
