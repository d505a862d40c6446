"""How the phrases of a batch are encoded with few positions: planned once, on the host, before the step."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

_ROW_TOKENS = 128  # longer rows leave fewer places empty, and cost more attention


@dataclass(frozen=True)
class PhrasePlan:
    """Which phrases are the same tokens, and how many rows hold one text of each.

    The numbers are read from the host when a grounding is made, so that no step has to wait for the device.

    Attributes:
        first: `[U]` int64, for each distinct wording a phrase with it; short wordings first.
        row_of: `[P]` int64, the row of `first` that stands for each phrase.
        groups: The wordings in three groups, short ones first: how many, and the tokens of the longest of
            them. Encoded group by group, each padded to its longest, they need the fewest positions.
        table: Rows, and tokens of a row, that hold the wordings side by side, each with an end token. A row
            is a sequence of slots, and wordings of like length lie in the same slot.
    """

    first: Tensor
    row_of: Tensor
    groups: tuple[tuple[int, int], ...]
    table: tuple[int, int]

    @classmethod
    def of(cls, spans: Tensor, wording: Tensor) -> PhrasePlan:
        """The plan for phrases with these spans `[P, 2]` and wordings `[P]`."""
        distinct, which = torch.unique(wording, return_inverse=True)
        first = torch.full_like(distinct, len(wording))
        first = first.scatter_reduce(0, which, torch.arange(len(which), device=which.device), "amin")
        lengths, order = (spans[first, 1] - spans[first, 0]).sort(stable=True)
        on_host = lengths.cpu()
        return cls(first[order], order.argsort()[which], three_groups(on_host), table(on_host))

    @property
    def longest(self) -> int:
        """The number of tokens of the longest phrase, 0 without phrases."""
        return self.groups[-1][1]

    def map(self, function: Callable[[Tensor], Tensor]) -> PhrasePlan:
        """The same plan with its tensors changed by a function."""
        return replace(self, first=function(self.first), row_of=function(self.row_of))


def three_groups(lengths: Tensor) -> tuple[tuple[int, int], ...]:
    """Cut sorted lengths where three groups, each padded to its longest, take the fewest positions.

    Six or more give every group at least two: torch.compile specializes its programs on sizes 0 and 1.
    """
    count = len(lengths)
    if not count:
        return ((0, 0),) * 3
    longest, most = lengths.unique(return_counts=True)  # a cut lies between two lengths
    ends, framed = most.cumsum(0), longest + 2  # a start and an end token
    first, third = ends * framed, (count - ends) * framed[-1]
    second = (ends[None, :] - ends[:, None]) * framed
    positions = first[:, None] + second + third
    i, j = divmod(int(positions.masked_fill(second < 0, torch.iinfo(torch.int64).max).argmin()), len(ends))
    one, two = int(ends[i]), int(ends[j])
    if count >= 6:
        one = min(max(one, 2), count - 4)
        two = min(max(two, one + 2), count - 2)
    cuts = (0, one, two, count)
    return tuple((end - start, int(lengths[end - 1])) for start, end in itertools.pairwise(cuts))


def table(lengths: Tensor) -> tuple[int, int]:
    """Rows and tokens for phrases of these sorted lengths: the longest share the last slot, and so on."""
    tokens = lengths + 1  # an end token
    rows = min(len(tokens), max(2, round(int(tokens.sum()) / _ROW_TOKENS)))
    return rows, int(tokens.flip(0)[:: max(1, rows)].sum())
