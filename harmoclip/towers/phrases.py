"""Phrases as texts of their own: the tokens around them, and many of them side by side in few rows."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from harmoclip.errors import InputError
from harmoclip.tokenizers import Tokenizer

CLIP_WORDS = 49408
"""The words of CLIP's own tokenizer, the end token the last."""


class SpecialTokens(NamedTuple):
    """What a tokenizer puts around a text.

    Attributes:
        start: How many tokens come before the text; they are the same for every text.
        end: The id of the token after the text; the padding's where there is none.
        pad: The id that fills the rest of a row.
    """

    start: int
    end: int
    pad: int


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

    A row is a sequence of slots, each as long as its longest text; `PhrasePlan.table` gives its size.

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


def phrase_rows(
    ids: Tensor, spans: Tensor, text_index: Tensor, longest: int, special: SpecialTokens
) -> Tensor:
    """Rows `[P, start + longest + 1]` that hold each phrase between start and end tokens.

    Args:
        ids: `[B, L]` token ids of the captions.
        spans: `[P, 2]` half-open token positions.
        text_index: `[P]` rows of `ids`.
        longest: The longest span, in tokens.
        special: The special tokens; the start tokens are copied from the captions.
    """
    position = torch.arange(longest + 1, device=ids.device)
    length = (spans[:, 1] - spans[:, 0])[:, None]
    source = (spans[:, :1] + position).clamp(max=ids.shape[1] - 1)
    rows = torch.where(position < length, ids[text_index[:, None], source], special.pad)
    rows = torch.where(position == length, special.end, rows)
    return torch.cat([ids[text_index, : special.start], rows], 1)


def used_columns(ids: Tensor) -> int:
    """The columns of rows `[B, L]` that remain when all but the first of the padding that they share is cut.

    Example:
        >>> used_columns(torch.tensor([[8, 5, 9, 0, 0, 0], [8, 9, 0, 0, 0, 0]]))
        4
    """
    repeats = (ids[:, 1:] == ids[:, :-1]).all(0)
    used = (~repeats).nonzero()
    return int(used[-1]) + 2 if len(used) else min(1, ids.shape[1])


def special_tokens(tokenizer: Tokenizer) -> SpecialTokens:
    """How a tokenizer frames a text, from its rows `[1, L]` for the empty text and for the letter a.

    Raises:
        InputError: The rows are not what a padded tokenizer with tokens at the left gives.
    """
    empty, letter = (tokenizer([text])[0].tolist() for text in ("", "a"))
    start = next(
        (i for i, pair in enumerate(zip(empty, letter, strict=False)) if pair[0] != pair[1]), len(empty)
    )
    end_and_pad = empty[start : start + 2]
    behind = (letter[i : i + 2] for i in range(start + 1, len(letter) - 1))
    if len(empty) != len(letter) or end_and_pad not in behind:
        raise InputError(
            f"the tokenizer gave {empty} for an empty text and {letter} for 'a': expected rows of one "
            "length, padded at the right. Give the tokenizer that made the model's training rows."
        )
    return SpecialTokens(start, *end_and_pad)
