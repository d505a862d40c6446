"""Phrases side by side in few rows of a causal text tower, behind start tokens that they share."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Packed(NamedTuple):
    """Rows that hold several texts each, and where these lie; the layout is the same in every row."""

    ids: Tensor  # [R, T]
    position: Tensor  # [T] the position that a token has in its own text
    mask: Tensor  # [T, T] float32, -inf where a token must not see another
    row: Tensor  # [P] the row of each text
    shift: Tensor  # [P] how far its tokens lie behind their own positions

    def column(self, position: Tensor | int, start: int) -> Tensor:
        """Where the token of each text lies that has this position `[P]` in its own text."""
        behind = torch.as_tensor(position, device=self.shift.device) >= start
        return position + behind * self.shift


def pack(texts: Tensor, start: int, lengths: Tensor, rows: int, tokens: int) -> Packed:
    """Lay texts side by side: each sees the start tokens and its own, at its own positions.

    A row is a sequence of slots, each as long as its longest text; `Grounding.phrase_table` gives its size.

    Args:
        texts: `[P, W]` token ids, all with the same start tokens, short ones first.
        start: How many start tokens there are.
        lengths: `[P]` the tokens of each text behind these, its end token among them.
        rows: How many rows to fill.
        tokens: The tokens of a row behind the start tokens.
    """
    device = texts.device
    spare = -len(texts) % rows  # places left empty, in the shortest slot
    longest = F.pad(lengths, (spare, 0)).view(-1, rows)[:, -1]
    ends = longest.cumsum(0)
    slot = torch.searchsorted(ends, torch.arange(tokens, device=device), right=True)
    shifts = ends - longest
    own = start + torch.arange(tokens, device=device) - shifts[slot]
    own = own.clamp(max=texts.shape[1] - 1)  # texts may have been cut to the context length
    text = (slot * rows + torch.arange(rows, device=device)[:, None] - spare).clamp(min=0)

    first = torch.arange(start, device=device)
    slot_or_start = F.pad(slot, (start, 0), value=-1)
    seen = (slot_or_start == slot_or_start[:, None]) | (slot_or_start < 0)
    place = torch.arange(len(texts), device=device) + spare
    return Packed(
        ids=torch.cat([texts[:1, :start].expand(rows, start), texts[text, own]], 1),
        position=torch.cat([first, own]),
        mask=torch.zeros(seen.shape, device=device).masked_fill(~seen.tril(), float("-inf")),
        row=place % rows,
        shift=shifts[place // rows],
    )
