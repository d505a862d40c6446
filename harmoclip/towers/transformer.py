"""Image towers that are a row of transformer blocks: what all libraries' vision transformers share."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from harmoclip.capture import ImageActivations, TapPoint
from harmoclip.towers.attention import Block
from harmoclip.towers.base import ImageTower


class TransformerTower(ImageTower):
    """A vision transformer whose last block may be run anew with another attention.

    Attributes:
        block: The last block, seen by its parts.
        sequence_first: Whether the blocks' tokens are `[N, B, C]`, as in OpenAI's models.
    """

    sequence_first = False

    def __init__(self, blocks: Sequence[nn.Module], before: nn.Module | None) -> None:
        """Take the blocks from the bottom up, and the module whose output the first of them is given."""
        self.blocks = tuple(blocks)
        self.block = Block(self.blocks[-1])
        self._before_last = self.blocks[-2] if len(self.blocks) > 1 else before
        self.kinds = ("plain", *(self.block.kinds if self._before_last is not None else ()))
        self.default_kind = "value" if "value" in self.kinds else "plain"

    def penultimate(self, kind: str) -> TapPoint | None:
        """Where the last block's input is read, for kinds that run that block anew."""
        if kind not in self.block.kinds:
            return None
        assert self._before_last is not None
        assert self.block.attention  # or an error, before anything runs
        return TapPoint(self._before_last)

    def last_tokens(self, taken: ImageActivations, kind: str) -> Tensor:
        """The last block's tokens `[B, N, C]`, by its own attention or by that of the kind."""
        if kind not in self.block.kinds:
            return self.batch_first(taken.last)
        assert taken.penultimate is not None
        return self.block.run(self.batch_first(taken.penultimate), kind)

    def batch_first(self, tokens: Tensor) -> Tensor:
        """Tokens `[B, N, C]`, however the model lays them out."""
        return tokens.transpose(0, 1) if self.sequence_first else tokens
