"""What the frozen layers of a text tower gave, kept by the text."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

MOST_TEXTS = 150_000
"""Kept; further ones are computed each time."""


class TextMemory(nn.Module):
    """The token embeddings and all layers of a Hugging Face encoder but the last, each text computed once.

    Its layers are no submodules: a model that begins with it has the last layer's weights alone. A copy of
    such a model remembers with it, for what is frozen stays the same.

    Args:
        embeddings: Ids `[B, L]` to states `[B, L, C]`.
        layers: What is frozen, from the bottom up.
        pad: The id of padding.
    """

    def __init__(self, embeddings: nn.Module, layers: Any, pad: int) -> None:
        super().__init__()
        self._run = [embeddings.requires_grad_(False).eval(), layers.requires_grad_(False).eval()]
        self.pad = pad
        self.kept: dict[bytes, Tensor] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def forward(self, ids: Tensor) -> Tensor:
        """Hidden states `[B, L, C]`; zero at the padding."""
        lengths = (ids != self.pad).sum(1).tolist()
        keys = [row[:n].numpy().tobytes() for row, n in zip(ids, lengths, strict=True)]
        rows = {key: row for row, key in enumerate(keys) if key not in self.kept}
        new = dict(zip(rows, self._compute(ids, list(rows.values()), lengths), strict=True))
        if len(self.kept) < MOST_TEXTS:
            self.kept.update(new)
        states = [self.kept[key] if key in self.kept else new[key] for key in keys]
        out = torch.zeros(*ids.shape, states[0].shape[1])
        for row, (known, n) in enumerate(zip(states, lengths, strict=True)):
            out[row, :n] = known
        return out

    @torch.no_grad()
    def _compute(self, ids: Tensor, rows: list[int], lengths: list[int], size: int = 256) -> list[Tensor]:
        """The states of these rows, in half precision."""
        found: dict[int, Tensor] = {}
        embeddings, layers = self._run
        order = sorted(rows, key=lambda row: lengths[row])
        with torch.autocast("cpu", enabled=False):
            for some in (order[i : i + size] for i in range(0, len(order), size)):
                some_ids = ids[some, : lengths[some[-1]]]
                x = embeddings(input_ids=some_ids)
                for layer in layers:
                    x = layer(x, (some_ids != self.pad)[:, None, None])
                    x = x[0] if isinstance(x, tuple) else x
                found.update(
                    {row: states[: lengths[row]].half() for row, states in zip(some, x, strict=True)}
                )
        return [found[row] for row in rows]


class FromMemory(nn.Module):
    """Stands for the embeddings of a text tower that begins at its last layer."""

    def __init__(self, memory: TextMemory) -> None:
        super().__init__()
        self.word_embeddings = memory

    def forward(self, input_ids: Tensor, **_: object) -> Tensor:
        """What the lower layers give for these ids."""
        out: Tensor = self.word_embeddings(input_ids)
        return out
