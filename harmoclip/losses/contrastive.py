"""Contrast of rows against columns where a row may have several positives."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from harmoclip.losses.gather import Gathered, at_least_one, mean_over_ranks
from harmoclip.tensors import full_precision, l2_normalize

MAX_LOG_SCALE = math.log(100.0)
MAX_LOGITS = 2**22  # held at once; beyond it they are computed in chunks, and again in backward
ABSENT = -1e4  # the logit of a column that is left out: exp() of it is 0 beside any cosine times 100

Labels = tuple[Tensor, ...]
Target = Callable[[Labels, Labels], Tensor]


def temperature(log_scale: Tensor) -> Tensor:
    """The factor `exp(log_scale)` on cosines, at most 100 as in CLIP; beyond it the gradient still flows."""
    log_scale = full_precision(log_scale)
    clamped = log_scale.clamp(max=MAX_LOG_SCALE)
    return (log_scale + (clamped - log_scale).detach()).exp()


def same_label(rows: Labels, columns: Labels) -> Tensor:
    """`[N, M]` bool: a row's positives are the columns with its own label."""
    return rows[0][:, None] == columns[0]


def symmetric_contrast(
    rows: Gathered,
    columns: Gathered,
    labels: tuple[Gathered, ...],
    target: Target,
    log_scale: Tensor,
    bias: Tensor | None = None,
    *,
    present: Gathered | None = None,
    local_loss: bool = True,
) -> Tensor:
    """Rows against all ranks' columns, and columns against all ranks' rows; a scalar, the same on every rank.

    Args:
        rows: `[N, D]`, normalised here.
        columns: `[N, D]`, normalised here; column i belongs to row i.
        labels: Tensors that hold a row for each of the N, from which `target` tells the positives.
        target: How much each column is a positive of each row, in [0, 1]; symmetric in its arguments.
        log_scale: Learned log temperature.
        bias: Learned bias; where it is given, the sigmoid form is taken.
        present: `[N]` bool, which of the N take part; all of them where it is None.
        local_loss: Each rank takes its own rows against all columns, instead of all against all.
    """
    device = rows.own.device.type
    with torch.autocast(device, enabled=False):
        scale = temperature(log_scale)
        bias = None if bias is None else full_precision(bias)
        label = tuple(x.own if local_loss else x.all for x in labels), tuple(x.all for x in labels)
        both = [
            row_losses(
                l2_normalize(one.own if local_loss else one.all), l2_normalize(other.all),
                *label, target, scale, bias,
                None if present is None else ~present.all,
            )
            for one, other in ((rows, columns), (columns, rows))
        ]  # fmt: skip
        # the sigmoid form's two directions are the same sum, read by rows and by columns
        losses = torch.stack(both).mean(0)
        total: int | Tensor = sum(rows.counts)
        if present is not None:
            losses = losses * (present.own if local_loss else present.all)
            total = present.all.sum()
        return mean_over_ranks(losses.sum(), total) if local_loss else losses.sum() / at_least_one(total)


def row_losses(
    rows: Tensor,
    columns: Tensor,
    row_labels: Labels,
    column_labels: Labels,
    target: Target,
    scale: Tensor,
    bias: Tensor | None = None,
    absent: Tensor | None = None,
) -> Tensor:
    """The loss `[N]` of each row `[N, D]` among columns `[M, D]`, in chunks of rows where logits are many.

    A chunk keeps nothing of its logits and computes them again in backward, so memory grows with N + M.
    """
    fixed = (columns, column_labels, target, scale, bias, absent)
    chunks = 1
    while len(rows) * len(columns) > chunks * MAX_LOGITS:
        chunks *= 2  # powers of two: torch.compile meets few different numbers of chunks
    if chunks == 1:
        return _losses(rows, row_labels, *fixed)
    pieces = zip(
        rows.tensor_split(chunks), *(label.tensor_split(chunks) for label in row_labels), strict=True
    )
    return torch.cat(
        [
            checkpoint(_losses, piece, labels, *fixed, use_reentrant=False, preserve_rng_state=False)
            for piece, *labels in pieces
        ]
    )


def _losses(
    rows: Tensor,
    row_labels: Labels,
    columns: Tensor,
    column_labels: Labels,
    target: Target,
    scale: Tensor,
    bias: Tensor | None,
    absent: Tensor | None,
) -> Tensor:
    logits = scale * (rows @ columns.T)
    share = target(row_labels, column_labels).to(logits.dtype)
    if bias is not None:
        logits = logits + bias
    if absent is not None:
        logits = logits.masked_fill(absent, ABSENT)
    return softmax_losses(logits, share) if bias is None else sigmoid_losses(logits, share)


def softmax_losses(logits: Tensor, share: Tensor) -> Tensor:
    """Cross entropy `[N]` of each row against its positives.

    `-sum_j t_ij log softmax(logits_i)_j / sum_j t_ij`: InfoNCE where a row has one positive, the supervised
    contrastive loss (arXiv 2004.11362, L_out) where it has several, soft labels where t is between 0 and 1.

    Args:
        logits: `[N, M]`.
        share: `[N, M]` t, in [0, 1], more than 0 somewhere in each row.
    """
    return logits.logsumexp(1) - (share * logits).sum(1) / share.sum(1)


def sigmoid_losses(logits: Tensor, share: Tensor) -> Tensor:
    """SigLIP's loss (arXiv 2303.15343) `[N]`: every pair is a binary question, summed over a row's columns.

    `sum_j softplus(logits_ij) - t_ij logits_ij`, which is `-log sigmoid(+-logits_ij)` where t is 1 or 0.

    Args:
        logits: `[N, M]`.
        share: `[N, M]` t, in [0, 1].
    """
    return (F.softplus(logits) - share * logits).sum(1)
