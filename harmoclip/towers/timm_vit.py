"""timm's vision transformers (ViT, EVA, MobileCLIP's and ViTamin's hybrids), bare or in open_clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from harmoclip.capture import TapPoint, first_input, spatial_shape
from harmoclip.towers.attention import Block
from harmoclip.towers.base import Dense, ImageTower, parts, split_grid
from harmoclip.towers.latent_pool import TimmPool
from harmoclip.towers.pooled import LatentPoolTower


def unwrap(visual: Any) -> tuple[Any, Any]:
    """The timm model, and the module whose output is the image vector."""
    if parts(visual, "trunk", "head"):
        return visual.trunk, visual.head
    return visual, visual.get_classifier() if hasattr(visual, "get_classifier") else None


class TimmViT(ImageTower):
    """Tokens of a timm vision transformer that pools by its class token or by the mean."""

    default_kind = "value"

    def __init__(self, visual: Any) -> None:
        self.trunk, self.head = unwrap(visual)
        self.wrapped = self.trunk is not visual
        self.blocks = self.trunk.blocks
        self.block = Block(self.blocks[-1])
        before = self.blocks[-2] if len(self.blocks) > 1 else getattr(self.trunk, "norm_pre", None)
        self.before_last: nn.Module | None = before
        self.kinds: tuple[str, ...] = ("plain", *(self.block.kinds if before is not None else ()))
        if "value" not in self.kinds:
            self.default_kind = "plain"

    @classmethod
    def matches(cls, visual: Any) -> bool:
        """Whether the module has the parts that this tower reads."""
        trunk, head = unwrap(visual)
        return (
            parts(trunk, "patch_embed", "blocks", "norm", "num_prefix_tokens", "forward_head", "global_pool")
            and parts(trunk.patch_embed, "proj")
            and isinstance(head, nn.Module)
            and cls.pools(trunk)
        )

    @classmethod
    def pools(cls, trunk: Any) -> bool:
        """Whether this class knows the trunk's pooling."""
        return bool(trunk.global_pool) and getattr(trunk, "attn_pool", None) is None

    def taps(self, kind: str) -> dict[str, TapPoint]:
        """The grid, the last block's output and, where the kind needs it, its input; the image vector."""
        points = {
            "images": TapPoint(self.trunk.patch_embed, first_input),
            "grid": TapPoint(self.trunk.patch_embed.proj, spatial_shape),
            "last": TapPoint(self.blocks[-1]),
            "global": TapPoint(self.head),
        }
        if kind in self.block.kinds:
            assert self.before_last is not None
            points["penultimate"] = TapPoint(self.before_last)
        return points

    def dense(self, taken: Mapping[str, Any], kind: str) -> Dense:
        """Tokens `[B, prefix + H * W, C]` after the trunk's norm."""
        tokens = self._tokens(taken, kind)
        return Dense(tokens, taken["grid"], split_grid(tokens, taken["grid"]))

    def project(self, pooled: Tensor) -> Tensor:
        """The trunk's head on tokens that all equal the pooled one, then open_clip's head."""
        rows = pooled.reshape(-1, 1, pooled.shape[-1]).expand(-1, self.trunk.num_prefix_tokens + 1, -1)
        return self._finish(self.trunk.forward_head(rows)).unflatten(0, pooled.shape[:-1])

    def global_vectors(self, taken: Mapping[str, Any]) -> Tensor:
        """What the last head gave."""
        return taken["global"]

    def _tokens(self, taken: Mapping[str, Any], kind: str) -> Tensor:
        split_grid(taken["last"], taken["grid"])  # patch dropout is an error before it is a wrong shape
        tokens = self.block.run(taken["penultimate"], kind) if kind in self.block.kinds else taken["last"]
        return self.trunk.norm(tokens)

    def _finish(self, x: Tensor) -> Tensor:
        return self.head(x) if self.wrapped else x


class TimmPooledViT(LatentPoolTower, TimmViT):
    """The same with an attention pool: SigLIP, SigLIP 2 and Perception Encoder."""

    default_kind = "plain"

    def __init__(self, visual: Any) -> None:
        super().__init__(visual)
        self.pool = TimmPool(self.trunk.attn_pool)
        self.kinds = (*self.kinds, "head")
        self.default_kind = "plain"
        self.with_prefix = getattr(self.trunk, "pool_include_prefix", True)  # EVA has no choice

    @classmethod
    def pools(cls, trunk: Any) -> bool:
        """Whether the trunk pools by attention with one query."""
        return TimmPool.matches(getattr(trunk, "attn_pool", None))

    def dense(self, taken: Mapping[str, Any], kind: str) -> Dense:
        """Weighted values `[B, prefix + H * W, heads * d + heads]`, with the prefix if the pool has it."""
        tokens = self._tokens(taken, kind)
        prefix = split_grid(tokens, taken["grid"])
        if prefix and not self.with_prefix:
            tokens, prefix = tokens[:, prefix:], 0
        return self.weigh(tokens, taken["grid"], prefix, kind)

    def project(self, pooled: Tensor) -> Tensor:
        """The rest of the pool, then both heads."""
        x = self.trunk.fc_norm(self.pool.finish(pooled))
        return self._finish(self.trunk.head(self.trunk.head_drop(x)))
