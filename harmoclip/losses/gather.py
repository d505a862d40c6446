"""Rows of every rank, with their gradients: ragged, and one collective for each tensor.

Every loss here is a mean over the rows of all ranks. Its value is the same on every rank, and the gradients
of the ranks, averaged (as DistributedDataParallel and FSDP average them), are those of one process with the
whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from harmoclip.tensors import full_precision


@dataclass(frozen=True)
class Gathered:
    """The rows of a tensor on this rank and on all ranks."""

    own: Tensor  # [n, ...]
    all: Tensor  # [N, ...], rank by rank
    counts: tuple[int, ...]  # rows on each rank

    @property
    def start(self) -> int:
        """Where this rank's rows begin among all."""
        return sum(self.counts[: rank()])

    def map(self, function: Callable[..., Tensor], *others: Gathered) -> Gathered:
        """The same rows, each part of them, and the same part of the others, put into a function."""
        own, every = [x.own for x in others], [x.all for x in others]
        return Gathered(function(self.own, *own), function(self.all, *every), self.counts)


def world_size() -> int:
    """The number of ranks, 1 without torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process among the ranks, 0 without torch.distributed."""
    return dist.get_rank() if world_size() > 1 else 0


def row_counts(*rows: int, device: torch.device) -> list[tuple[int, ...]]:
    """How many rows of each kind every rank has: one collective for all, and the only wait of a step."""
    if world_size() == 1:
        return [(count,) for count in rows]
    # wrapped here, not above: the wrapper imports the compiler, and with it Triton
    return torch.compiler.disable(_exchange)(rows, device)


def _exchange(rows: Sequence[int], device: torch.device) -> list[tuple[int, ...]]:
    own = torch.tensor(rows, device=device)
    everyone = own.new_empty(world_size() * len(rows))
    _all_gather(everyone, own)
    return [tuple(kind) for kind in everyone.view(-1, len(rows)).T.tolist()]


def gather(rows: Tensor, counts: tuple[int, ...] | None = None) -> Gathered:
    """This rank's rows and everyone's; gradients return to the rank that each row came from.

    Args:
        rows: `[n, ...]`, of the same trailing shape and dtype on every rank; n may differ and be 0.
        counts: The rows on each rank, where `row_counts` told them before.

    Example:
        >>> import torch
        >>> gather(torch.ones(3, 8)).all.shape
        torch.Size([3, 8])
    """
    if counts is None:
        (counts,) = row_counts(len(rows), device=rows.device)
    if len(counts) == 1:
        return Gathered(rows, rows, counts)
    return Gathered(rows, _AllRows.apply(rows, counts), counts)


class _AllRows(torch.autograd.Function):
    """All ranks' rows. Ranks send as many rows as the longest has; the surplus is cut off on arrival."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: tuple[int, ...]) -> Tensor:
        ctx.counts = counts
        sent = rows.new_zeros(max(counts), *rows.shape[1:])
        sent[: len(rows)] = rows
        received = sent.new_empty(len(counts) * len(sent), *rows.shape[1:])
        _all_gather(received, sent)
        return torch.cat([part[:count] for part, count in zip(_parts(received, counts), counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (grad,), counts = grads, ctx.counts
        sent = grad.new_zeros(len(counts) * max(counts), *grad.shape[1:])
        for part, rows in zip(_parts(sent, counts), grad.split(counts), strict=True):
            part[: len(rows)] = rows
        received = grad.new_empty(max(counts), *grad.shape[1:])
        _reduce_scatter(received, sent)
        return received[: counts[rank()]], None


def _all_gather(received: Tensor, sent: Tensor) -> None:
    """Every rank's tensor, one after the other; torch 2.14 has a new name for it."""
    collective = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
    collective(received, sent)


def _reduce_scatter(received: Tensor, sent: Tensor) -> None:
    """This rank's part of the sum over ranks; torch 2.14 has a new name for it."""
    collective = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor
    collective(received, sent)


def _parts(rows: Tensor, counts: tuple[int, ...]) -> list[Tensor]:
    """Views of the equal parts of a buffer, one a rank."""
    longest = max(counts)
    return [rows[end - longest : end] for end in accumulate([longest] * len(counts))]


def mean_over_ranks(own_sum: Tensor, total: int | Tensor) -> Tensor:
    """This rank's sum of row losses to the mean over the `total` rows of all ranks, the same on every rank.

    Its gradient is this rank's share times the number of ranks, so that the average over ranks is the mean's.
    """
    mean = own_sum * world_size() / at_least_one(total)
    if world_size() == 1:
        return mean
    value = mean.detach().clone()
    dist.all_reduce(value)
    return value / world_size() + (mean - mean.detach())


def sum_over_ranks(count: Tensor) -> Tensor:
    """The sum of all ranks' values of a number that needs no gradient."""
    if world_size() > 1:
        count = count.clone()
        dist.all_reduce(count)
    return count


def at_least_one(total: int | Tensor) -> int | Tensor:
    """A number of rows to divide by: the mean over no row is zero."""
    return total.clamp(min=1) if isinstance(total, Tensor) else max(total, 1)


def gathered(rows: Tensor | Gathered, counts: tuple[int, ...] | None = None) -> Gathered:
    """Rows of all ranks, vectors in float32 or wider; as they are where they were gathered before."""
    if isinstance(rows, Gathered):
        return rows
    if rows.dtype == torch.bool:  # not every backend sends it
        return gather(rows.to(torch.uint8), counts).map(lambda x: x.to(torch.bool))
    return gather(full_precision(rows) if rows.is_floating_point() else rows, counts)


def row_numbers(rows: Gathered) -> Gathered:
    """The number of each row among the rows of all ranks."""
    every = torch.arange(len(rows.all), device=rows.all.device)
    return Gathered(every[rows.start : rows.start + len(rows.own)], every, rows.counts)


def unique_index(index: Tensor) -> Tensor:
    """Indices of this rank's rows, made different from those of all other ranks."""
    return index + (rank() << 32)
