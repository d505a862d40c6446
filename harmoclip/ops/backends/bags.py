"""The pooling products as weighted bags of rows: they read the cells with weight, and loop over no boxes.

In `pool` a bin is a bag of cells, in `spread` a cell is a bag of bins. Both are `embedding_bag` over one list
of the weights that are not zero.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from harmoclip.ops.backends.threads import one_thread, split

_List = tuple[Tensor, Tensor, Tensor]
CHUNK = 8_000_000
"""Weights that are listed at a time; it bounds the memory that the lists take."""
TABLE = 4_000_000
"""Values brought into rows at a time. Blocks of 32 MiB and more come fresh from the system, page by page, and
take four times as long to fill as those that were used before."""
CHANNELS = 64
"""The fewest of a row: shorter rows take longer to find than to read."""


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
        sums = [*_pooled(tokens, rows, cols, index, prefix, threads)]
        out = sums[0] if len(sums) == 1 else torch.cat(sums, 2)
        return out.unflatten(1, (rows.shape[1], cols.shape[1])).to(tokens.dtype)


def align(features: Tensor, rows: Tensor, cols: Tensor, index: Tensor) -> Tensor:
    """`pool` of `[B, C, H, W]`, with the bins last: `[R, C, P, Q]`."""
    bins = rows.shape[1], cols.shape[1]
    out = features.new_empty(len(rows), features.shape[1], bins[0] * bins[1])
    tokens = features.permute(0, 2, 3, 1).flatten(1, 2)
    with one_thread() as threads:
        done = 0
        for sums in _pooled(tokens, rows, cols, index, 0, threads):
            with split(2 * sums.numel(), threads):
                out[:, done : done + sums.shape[2]] = sums.transpose(1, 2)
            done += sums.shape[2]
    return out.unflatten(2, bins)


def _pooled(
    tokens: Tensor, rows: Tensor, cols: Tensor, index: Tensor, prefix: int, threads: int
) -> Iterator[Tensor]:
    """`[R, P Q, c]` for some channels after the other, or for all at once."""
    by_image, by_token = _steps(tokens)
    first = (index * by_image + prefix * by_token).int()
    parts = _parts(rows, cols)
    lists: Iterable[_List] = (_list(rows[part], cols[part], first[part], by_token) for part in parts)
    bins, channels = rows.shape[1] * cols.shape[1], tokens.shape[2]
    if len(parts) == 1:  # a list is kept from one table to the next, but not several
        lists = tuple(lists)
        channels = max(CHANNELS, TABLE // max(1, tokens[..., 0].numel(), len(rows) * bins))
    for table in _tables(tokens, rows.dtype, channels, threads):
        sums = [_sums(table, *one, threads) for one in lists]
        yield (sums[0] if len(sums) == 1 else torch.cat(sums)).unflatten(0, (len(rows), bins))


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
    return tokens.is_contiguous() or _by_token(tokens)


def _by_token(tokens: Tensor) -> bool:
    """Whether they lie in memory token by token, each of all images."""
    return not tokens.is_contiguous() and tokens.transpose(0, 1).is_contiguous()


def _steps(tokens: Tensor) -> tuple[int, int]:
    """By how many rows of a table the next image and the next token follow."""
    return (1, len(tokens)) if _by_token(tokens) else (tokens.shape[1], 1)


def _tables(tokens: Tensor, dtype: torch.dtype, channels: int, threads: int) -> Iterator[Tensor]:
    """All tokens as rows `[B * N, c]`, of so many channels at a time where they have to be copied."""
    tokens = tokens.transpose(0, 1) if _by_token(tokens) else tokens
    if tokens.is_contiguous() and tokens.dtype == dtype:
        yield tokens.flatten(0, 1)
        return
    for some in tokens.split(channels, 2):
        with split(2 * some.numel(), threads):
            table = some.new_empty(some.shape, dtype=dtype).copy_(some)
        yield table.flatten(0, 1)


def _parts(rows: Tensor, cols: Tensor) -> list[slice]:
    """Ranges of boxes with about `CHUNK` entries at most."""
    ends = entry_count(rows, cols).cumsum(0)
    if not len(ends) or ends[-1] <= CHUNK:
        return [slice(0, len(rows))]
    sizes = ((ends - 1) // CHUNK).unique_consecutive(return_counts=True)[1]
    edges = [0, *sizes.cumsum(0).tolist()]
    return [slice(start, end) for start, end in pairwise(edges)]


def _list(rows: Tensor, cols: Tensor, first: Tensor, by_token: int) -> _List:
    """What `_sums` needs of some boxes: rows of a table, where each bin begins, and the rows' weights."""
    entries = _entries(rows, cols, first, by_token)
    bins = len(rows) * rows.shape[1] * cols.shape[1]
    return entries.row, _starts(entries.bin, bins), entries.weight


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
