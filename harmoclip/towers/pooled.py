"""Image towers that end in an attention-pool head with one query."""

from __future__ import annotations

from torch import Tensor

from harmoclip.ops import region_pool
from harmoclip.towers.base import Dense
from harmoclip.towers.latent_pool import LatentPool
from harmoclip.towers.transformer import TransformerTower


class LatentPoolTower(TransformerTower):
    """An image tower whose head attends to the tokens with one query.

    `dense` gives the head's weighted values. Class and register tokens that the head attends to keep the
    share in a region that they have in the whole image.
    """

    pool: LatentPool

    def add_pool(self) -> None:
        """The dense kinds of a tower that has such a head: what the head attends to, and its values alone."""
        self.kinds = (*self.kinds, "head")
        self.default_kind = "plain"

    def weigh(self, tokens: Tensor, grid: tuple[int, int], prefix: int, kind: str) -> Dense:
        """Tokens `[B, prefix + H * W, C]` as the head weighs them."""
        return Dense(self.pool.weigh(tokens, kind), grid, prefix)

    def regions(self, dense: Dense, kind: str, boxes: Tensor, image_index: Tensor) -> Tensor:
        """Vectors `[R, D]` of boxes, the region's weights inside the head's attention."""
        return self.project(self.pool_regions(dense, kind, boxes, image_index))

    def pool_regions(self, dense: Dense, kind: str, boxes: Tensor, image_index: Tensor) -> Tensor:
        """Weighted values `[R, heads * d + heads]` of boxes, before the rest of the head."""
        pooled = region_pool(dense.tokens, boxes, image_index, grid=dense.grid, prefix=dense.prefix)
        if not dense.prefix or kind == "head":
            return pooled
        cells = dense.grid[0] * dense.grid[1]
        return pooled * cells + dense.tokens[:, : dense.prefix].sum(1)[image_index]
