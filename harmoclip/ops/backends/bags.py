"""The pooling products as weighted bags of rows: they read the cells with weight, and loop over no boxes.

In `pool` a bin is a bag of cells, in `spread` a cell is a bag of bins. Both are `embedding_bag` over one list
of the weights that are not zero.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from harmoclip.ops.backends.threads import one_thread, split

CHUNK = 8_000_000
"""Weights that are listed at a time; it bounds the memory that the lists take."""


class _Axis(NamedTuple):
    """The weights of one axis that are not zero, in the order of boxes and bins."""

    number: Tensor  # [R, P] how many a bin has
    start: Tensor  # [R, P] the first of a bin
    cell: Tensor  # [n]
    weight: Tensor  # [n]


class _Entries(NamedTuple):
    """The weights of both axes together that are not zero, in the order of boxes and bins."""

    bin: Tensor  # [E]
    row: Tensor  # [E] the cell, as a row of the table of tokens
    weight: Tensor  # [E]


def pool(tokens: Tensor, rows: Tensor, cols: Tensor, index: Tensor, prefix: int) -> Tensor:
    """As `cpu.pool`."""
    with one_thread() as threads:
        with split(2 * tokens.numel(), threads):
            table, by_image, by_token = _table(tokens.to(rows.dtype))
        first = (index * by_image + prefix * by_token).int()
        bins = rows.shape[1] * cols.shape[1]
        sums = []
        for part in _parts(rows, cols):
            entries = _entries(rows[part], cols[part], first[part], by_token)
            starts = _starts(entries.bin, len(rows[part]) * bins)
            sums.append(_sums(table, entries.row, starts, entries.weight, threads))
        out = sums[0] if len(sums) == 1 else torch.cat(sums)
        return out.view(len(rows), rows.shape[1], cols.shape[1], tokens.shape[2]).to(tokens.dtype)


def spread(
    grad: Tensor, rows: Tensor, cols: Tensor, index: Tensor, batch: int, length: int, prefix: int
) -> Tensor:
    """As `cpu.spread`."""
    with one_thread() as threads:
        grads = grad.to(rows.dtype).flatten(1, 2)
        parts = _parts(rows, cols)
        if len(parts) == 1:
            first = (index * length + prefix).int()
            return _reached(grads, rows, cols, first, (batch, length), threads).to(grad.dtype)
        out = rows.new_zeros(batch, length, grad.shape[3])
        for part in parts:
            low, high = int(index[part].min()), int(index[part].max()) + 1
            first = ((index[part] - low) * length + prefix).int()
            size = (high - low, length)
            out[low:high] += _reached(grads[part], rows[part], cols[part], first, size, threads)
        return out.to(grad.dtype)


def _reached(
    grads: Tensor, rows: Tensor, cols: Tensor, first: Tensor, size: tuple[int, int], threads: int
) -> Tensor:
    """What boxes give to the cells of `size` (images, tokens each): `[images, tokens, C]`."""
    entries = _entries(rows, cols, first, 1)
    row, order = entries.row.sort(stable=True)
    bin, weight = _at(entries.bin, order), _at(entries.weight, order)
    return _sums(grads.flatten(0, 1), bin, _starts(row, size[0] * size[1]), weight, threads).unflatten(
        0, size
    )


def entry_count(rows: Tensor, cols: Tensor) -> Tensor:
    """`[R]` how many weights of each box are not zero."""
    return (rows != 0).sum((1, 2)) * (cols != 0).sum((1, 2))


def are_rows(tokens: Tensor) -> bool:
    """Whether the tokens lie in memory as rows of a table, so that nothing has to be copied."""
    return tokens.is_contiguous() or tokens.transpose(0, 1).is_contiguous()


def _parts(rows: Tensor, cols: Tensor) -> list[slice]:
    """Ranges of boxes with about `CHUNK` entries at most."""
    ends = entry_count(rows, cols).cumsum(0)
    if not len(ends) or ends[-1] <= CHUNK:
        return [slice(0, len(rows))]
    sizes = ((ends - 1) // CHUNK).unique_consecutive(return_counts=True)[1]
    edges = [0, *sizes.cumsum(0).tolist()]
    return [slice(start, end) for start, end in pairwise(edges)]


def _table(tokens: Tensor) -> tuple[Tensor, int, int]:
    """All tokens as rows `[B * N, C]`, and by how many rows the next image and the next token follow."""
    if not tokens.is_contiguous() and tokens.transpose(0, 1).is_contiguous():
        return tokens.transpose(0, 1).flatten(0, 1), 1, len(tokens)
    return tokens.contiguous().flatten(0, 1), tokens.shape[1], 1


def _entries(rows: Tensor, cols: Tensor, first: Tensor, by_token: int) -> _Entries:
    """All weights of all bins: first the rows of cells that a bin reaches, then the cells of each such row.

    `first` is the place `[R]` of an image's first cell in the table, `by_token` the step to the next cell.
    """
    down, across = _axis(rows), _axis(cols)
    p, q = rows.shape[1], cols.shape[1]
    bin, hit = _each(down.number.repeat_interleave(q), down.start.repeat_interleave(q))
    line_start = _at(first, bin // (p * q)) + _at(down.cell, hit) * (cols.shape[2] * by_token)
    line_weight = _at(down.weight, hit)
    line, hit = _each(*(_at(values.repeat(1, p).flatten(), bin) for values in (across.number, across.start)))
    row = _at(line_start, line) + _at(across.cell, hit) * by_token
    return _Entries(_at(bin, line), row, _at(line_weight, line) * _at(across.weight, hit))


def _axis(weights: Tensor) -> _Axis:
    used = weights.flatten().nonzero()[:, 0]
    count = (weights != 0).sum(2, dtype=torch.int32)
    start = count.flatten().cumsum(0, dtype=torch.int32).view_as(count) - count
    return _Axis(count, start, (used % weights.shape[2]).int(), _at(weights.flatten(), used))


def _each(count: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """For items with `count` things each, numbered from `start` on: item and number of every thing."""
    item = torch.repeat_interleave(count)
    shift = start - (count.cumsum(0, dtype=torch.int32) - count)
    return item, torch.arange(len(item), dtype=torch.int32, device=item.device) + _at(shift, item)


def _at(values: Tensor, index: Tensor) -> Tensor:
    return values.index_select(0, index)  # takes int32, where brackets make a copy in int64 first


def _starts(bag: Tensor, size: int) -> Tensor:
    """Where each of `size` bags begins in a sorted list that names the bag of every entry."""
    count = torch.bincount(bag, minlength=size)
    return (count.cumsum(0) - count).int()


def _sums(table: Tensor, row: Tensor, starts: Tensor, weight: Tensor, threads: int) -> Tensor:
    """The weighted sums of rows of a table, one a bag."""
    with split(len(row) * table.shape[1], threads):
        return F.embedding_bag(row, table, starts, mode="sum", per_sample_weights=weight)
