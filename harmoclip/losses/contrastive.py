"""Contrast of rows against columns where a row may have several positives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from harmoclip.losses.gather import Gathered, at_least_one, mean_over_ranks
from harmoclip.recompute import recomputed
from harmoclip.tensors import full_precision, l2_normalize

MAX_LOGIT_SCALE = math.log(100.0)
MAX_LOGITS = 2**22  # held at once; beyond it they are computed in chunks, and again in backward
ABSENT = -1e4  # the logit of what is left out: exp() of it is 0 beside any cosine times 100
NEITHER = -1.0  # the weight of a column that is no positive and no negative of a row

Labels = tuple[Tensor, ...]
Target = Callable[[Labels, Labels], Tensor]


def temperature(logit_scale: Tensor) -> Tensor:
    """The factor `exp(logit_scale)` on cosines, at most 100 as in CLIP; the gradient flows beyond it."""
    logit_scale = full_precision(logit_scale)
    clamped = logit_scale.clamp(max=MAX_LOGIT_SCALE)
    return (logit_scale + (clamped - logit_scale).detach()).exp()


def same_label(rows: Labels, columns: Labels) -> Tensor:
    """`[N, M]` bool: a row's positives are the columns with its own label."""
    return rows[0][:, None] == columns[0]


def symmetric_contrast(
    rows: Gathered,
    columns: Gathered,
    labels: tuple[Gathered, ...],
    target: Target,
    logit_scale: Tensor,
    logit_bias: Tensor | None = None,
    *,
    present: Gathered | None = None,
    own_negatives: Gathered | None = None,
    repeats: Tensor | None = None,
    compete: bool = True,
    local_loss: bool = True,
) -> Tensor:
    """Rows against all ranks' columns, and columns against all ranks' rows.

    Args:
        rows: `[N, D]`, normalized here.
        columns: `[N, D]`, normalized here; column i belongs to row i.
        labels: Tensors that hold a row for each of the N, from which `target` tells the positives.
        target: How much each column is a positive of each row, in [0, 1], or `NEITHER`; symmetric in its
            arguments.
        logit_scale: Learned log of the factor on cosines.
        logit_bias: Learned bias; where it is given, the sigmoid form is taken.
        present: `[N]` bool, which of the N take part; all of them where it is None.
        own_negatives: `[N]`, from `own_negatives`: what negatives of its own add to the loss of each row.
        repeats: `[N]` of all ranks, how often each column occurs among them: rows then choose among distinct
            columns. The sigmoid form leaves it out.
        compete: Whether the positives of a row lower each other's share of the softmax (`softmax_losses`), or
            each is compared with the negatives alone (`separate_softmax_losses`).
        local_loss: Each rank takes its own rows against all columns, instead of all against all.

    Returns:
        A scalar, the same on every rank: the mean over both directions and over the N that are present.
    """

    def part(gathered: Gathered) -> Tensor:
        return gathered.own if local_loss else gathered.all

    with torch.autocast(rows.own.device.type, enabled=False):
        scale = temperature(logit_scale)
        logit_bias = None if logit_bias is None else full_precision(logit_bias)
        row_labels, column_labels = tuple(part(x) for x in labels), tuple(x.all for x in labels)
        absent = None if present is None else ~present.all
        # the sigmoid form's two directions are the same sum, read by rows and by columns
        back = None if logit_bias is None else own_negatives
        both = [
            row_losses(
                l2_normalize(part(one)), l2_normalize(other.all), row_labels, column_labels, target, scale,
                logit_bias, absent, None if extra is None else part(extra), times, compete,
            )
            for one, other, extra, times in (
                (rows, columns, own_negatives, repeats), (columns, rows, back, None)
            )
        ]  # fmt: skip
        losses = torch.stack(both).mean(0)
        total: int | Tensor = sum(rows.counts)
        if present is not None:
            losses = losses * part(present)
            total = present.all.sum()
        return mean_over_ranks(losses.sum(), total) if local_loss else losses.sum() / at_least_one(total)


def group_contrast(
    rows: Gathered,
    groups: Gathered,
    labels: Gathered,
    logit_scale: Tensor,
    logit_bias: Tensor | None = None,
    *,
    present: Gathered | None = None,
    local_loss: bool = True,
) -> Tensor:
    """Rows against all ranks' columns, of which each row has several, and columns against all ranks' rows.

    Each positive is compared with the negatives alone (`separate_softmax_losses`).

    Args:
        rows: `[N, D]`, normalized here.
        groups: `[N, K, D]`, normalized here; the K columns of row i belong to it.
        labels: `[N]`, equal for rows whose columns are positives of each other.
        logit_scale: Learned log of the factor on cosines.
        logit_bias: Learned bias; where it is given, the sigmoid form is taken.
        present: `[N, K]` bool, which columns there are; all of them where it is None.
        local_loss: Each rank takes its own rows and columns, instead of all.

    Returns:
        A scalar, the same on every rank: half the mean over the rows that have a column, and half that over
        columns; of the sigmoid form the mean over columns, as both directions are the same sum.
    """
    kinds = groups.own.shape[1]
    if present is None:
        present = groups.map(lambda x: torch.ones_like(x[..., 0], dtype=torch.bool))
    columns, there = (Gathered(x.own.flatten(0, 1), x.all.flatten(0, 1), x.counts) for x in (groups, present))
    column_labels, some = labels.map(lambda x: x.repeat_interleave(kinds)), present.map(lambda x: x.any(1))

    def part(gathered: Gathered) -> Tensor:
        return gathered.own if local_loss else gathered.all

    with torch.autocast(rows.own.device.type, enabled=False):
        scale = temperature(logit_scale)
        bias = None if logit_bias is None else full_precision(logit_bias)

        def mean_loss(one: Sequence[Gathered], other: Sequence[Gathered]) -> Tensor:
            (own, own_labels, takes_part), (choices, their_labels, their_part) = one, other
            losses = row_losses(
                l2_normalize(part(own)), l2_normalize(choices.all), (part(own_labels),), (their_labels.all,),
                same_label, scale, bias, ~their_part.all, compete=False,
            )  # fmt: skip
            return (losses * part(takes_part)).sum() / at_least_one(takes_part.all.sum())

        by_row, by_column = (rows, labels, some), (columns, column_labels, there)
        loss = mean_loss(by_column, by_row)
        if bias is None:
            loss = (loss + mean_loss(by_row, by_column)) / 2
        return mean_over_ranks(loss, 1) if local_loss else loss


def row_losses(
    rows: Tensor,
    columns: Tensor,
    row_labels: Labels,
    column_labels: Labels,
    target: Target,
    scale: Tensor,
    bias: Tensor | None = None,
    absent: Tensor | None = None,
    own_negatives: Tensor | None = None,
    repeats: Tensor | None = None,
    compete: bool = True,
) -> Tensor:
    """The loss `[N]` of each row `[N, D]` among columns `[M, D]`, in chunks of rows where logits are many.

    A chunk keeps nothing of its logits and computes them again in backward, so memory grows with N + M.
    `absent` and `repeats` are `[M]`; the other arguments are those of `symmetric_contrast`.
    """
    extra = () if own_negatives is None else (own_negatives,)
    by_row = (*row_labels, *extra)
    fixed = (columns, column_labels, target, scale, bias, absent, repeats, compete)
    chunks = 1
    while len(rows) * len(columns) > chunks * MAX_LOGITS:
        chunks *= 2  # powers of two: torch.compile meets few different numbers of chunks
    if chunks == 1:
        return _losses(rows, by_row, *fixed)
    pieces = zip(rows.tensor_split(chunks), *(x.tensor_split(chunks) for x in by_row), strict=True)
    return torch.cat([recomputed(_losses, piece, rest, *fixed, random=False) for piece, *rest in pieces])


def _losses(
    rows: Tensor,
    by_row: Sequence[Tensor],
    columns: Tensor,
    column_labels: Labels,
    target: Target,
    scale: Tensor,
    bias: Tensor | None,
    absent: Tensor | None,
    repeats: Tensor | None,
    compete: bool,
) -> Tensor:
    row_labels, extra = tuple(by_row[: len(column_labels)]), by_row[len(column_labels) :]
    logits = scale * (rows @ columns.T)
    weight, left_out = target(row_labels, column_labels), absent
    if weight.is_floating_point():  # yes or no is never neither
        neither = weight == NEITHER
        left_out = neither if absent is None else neither | absent
    weight = weight.to(logits.dtype)
    if bias is not None:
        logits = logits + bias
    if left_out is not None:
        logits, weight = logits.masked_fill(left_out, ABSENT), weight.masked_fill(left_out, 0)
    if bias is not None:
        return sigmoid_losses(logits, weight, *extra)
    if not compete:
        return separate_softmax_losses(logits, weight, *extra)
    return softmax_losses(logits, weight, *extra, repeats=repeats)


def softmax_losses(
    logits: Tensor, weight: Tensor, own_negatives: Tensor | None = None, *, repeats: Tensor | None = None
) -> Tensor:
    """Cross entropy `[N]` of each row against its positives.

    `-sum_j t_ij log softmax(logits_i)_j / sum_j t_ij`: InfoNCE where a row has one positive, the supervised
    contrastive loss (arXiv 2004.11362, L_out) where it has several, soft labels where t is between 0 and 1.

    Args:
        logits: `[N, M]`.
        weight: `[N, M]` t, in [0, 1], more than 0 somewhere in each row that counts.
        own_negatives: `[N]`, the log of the sum of exp over logits of each row's own negatives.
        repeats: `[M]`, how often each column stands among the M: the loss is that of distinct columns.
    """
    if repeats is None:
        everything = logits.logsumexp(1)
    else:
        repeats = repeats.to(logits.dtype)
        everything, weight = (logits - repeats.log()).logsumexp(1), weight / repeats
    if own_negatives is not None:
        everything = torch.logaddexp(everything, own_negatives)
    return everything - (weight * logits).sum(1) / _at_least_some(weight.sum(1))


def separate_softmax_losses(logits: Tensor, weight: Tensor, own_negatives: Tensor | None = None) -> Tensor:
    """Cross entropy `[N]` of each positive of a row among itself and the row's negatives, averaged.

    `sum_j t_ij log(1 + sum_(k: t_ik = 0) exp(logits_ik - logits_ij)) / sum_j t_ij`: InfoNCE where a row has
    one positive; where it has several, the loss of perfect vectors is 0, as positives do not compete.

    Args:
        logits: `[N, M]`.
        weight: `[N, M]` t, in [0, 1], more than 0 somewhere in each row that counts.
        own_negatives: `[N]`, the log of the sum of exp over logits of each row's own negatives.
    """
    negatives = logits.masked_fill(weight > 0, ABSENT).logsumexp(1)
    if own_negatives is not None:
        negatives = torch.logaddexp(negatives, own_negatives)
    return (weight * F.softplus(negatives[:, None] - logits)).sum(1) / _at_least_some(weight.sum(1))


def sigmoid_losses(logits: Tensor, weight: Tensor, own_negatives: Tensor | None = None) -> Tensor:
    """SigLIP's loss (arXiv 2303.15343) `[N]`: every pair is a binary question, summed over a row's columns.

    `sum_j softplus(logits_ij) - t_ij logits_ij`, which is `-log sigmoid(+-logits_ij)` where t is 1 or 0.

    Args:
        logits: `[N, M]`.
        weight: `[N, M]` t, in [0, 1].
        own_negatives: `[N]`, the sum of softplus over logits of each row's own negatives.
    """
    losses = (F.softplus(logits) - weight * logits).sum(1)
    return losses if own_negatives is None else losses + own_negatives


def _at_least_some(weight: Tensor) -> Tensor:
    """Something to divide by; a row without any positive is one that does not count."""
    return weight.clamp(min=torch.finfo(weight.dtype).tiny)
