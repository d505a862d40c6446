"""open_clip's own VisionTransformer, and OpenAI's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from harmoclip.capture import TapPoint, first_input, spatial_shape
from harmoclip.towers.attention import Block
from harmoclip.towers.base import Dense, ImageTower, parts, split_grid
from harmoclip.towers.latent_pool import CocaPool
from harmoclip.towers.pooled import LatentPoolTower


class OpenClipViT(ImageTower):
    """Tokens of a CLIP `VisionTransformer` with a class token, pooled by it or by the mean."""

    default_kind = "value"

    def __init__(self, visual: Any) -> None:
        self.visual = visual
        self.blocks = self.visual.transformer.resblocks
        self.block = Block(self.blocks[-1])
        self.kinds: tuple[str, ...] = ("plain", *self.block.kinds)
        self.batch_first = getattr(self.visual.transformer, "batch_first", False)  # OpenAI: sequence first
        self.norm_after_pool = getattr(self.visual, "final_ln_after_pool", False)

    @classmethod
    def matches(cls, visual: Any) -> bool:
        """Whether the module has the parts that this tower reads."""
        return (
            parts(visual, "conv1", "class_embedding", "ln_pre", "ln_post", "proj")
            and parts(getattr(visual, "transformer", None), "resblocks")
            and getattr(visual, "attn_pool", None) is None
            and getattr(visual, "pool_type", "tok") in ("tok", "avg")
        )

    def taps(self, kind: str) -> dict[str, TapPoint]:
        """The grid, the last block's output, and its input where the kind runs the block anew."""
        points = {
            "images": TapPoint(self.visual.conv1, first_input),
            "grid": TapPoint(self.visual.conv1, spatial_shape),
            "last": TapPoint(self.blocks[-1]),
        }
        if kind in self.block.kinds:
            points["penultimate"] = TapPoint(self.blocks[-2] if len(self.blocks) > 1 else self.visual.ln_pre)
        return points

    def dense(self, taken: Mapping[str, Any], kind: str) -> Dense:
        """Tokens `[B, 1 + H * W, C]`, normalised where the model normalises before it pools."""
        tokens = self._tokens(taken, kind)
        if not self.norm_after_pool:
            tokens = self.visual.ln_post(tokens)
        return Dense(tokens, taken["grid"], split_grid(tokens, taken["grid"]))

    def project(self, pooled: Tensor) -> Tensor:
        """The final norm where it comes after pooling, then the projection."""
        if self.norm_after_pool:
            pooled = self.visual.ln_post(pooled)
        return self._project(pooled)

    def global_vectors(self, taken: Mapping[str, Any]) -> Tensor:
        """The model's own pooling of the last block's tokens, projected."""
        tokens = self._batch_first(taken["last"])
        if not self.norm_after_pool:
            tokens = self.visual.ln_post(tokens)
        mean = getattr(self.visual, "pool_type", "tok") == "avg"
        return self.project(tokens[:, 1:].mean(1) if mean else tokens[:, 0])

    def _tokens(self, taken: Mapping[str, Any], kind: str) -> Tensor:
        if kind not in self.block.kinds:
            return self._batch_first(taken["last"])
        return self.block.run(self._batch_first(taken["penultimate"]), kind)

    def _batch_first(self, tokens: Tensor) -> Tensor:
        return tokens if self.batch_first else tokens.transpose(0, 1)

    def _project(self, pooled: Tensor) -> Tensor:
        proj = self.visual.proj
        return pooled if proj is None else pooled.to(proj.dtype) @ proj


class OpenClipPooledViT(LatentPoolTower, OpenClipViT):
    """The same with CoCa's attention pooler, whose first query makes the image vector."""

    default_kind = "plain"

    def __init__(self, visual: Any) -> None:
        super().__init__(visual)
        self.pool = CocaPool(self.visual.attn_pool, self.visual.ln_post)
        self.kinds = (*self.kinds, "head")

    @classmethod
    def matches(cls, visual: Any) -> bool:
        """Whether the module has the parts that this tower reads."""
        return (
            parts(visual, "conv1", "ln_pre", "ln_post", "proj", "attn_pool", "attn_pool_contrastive")
            and visual.attn_pool is not None
            and visual.attn_pool_contrastive is None
            and visual.pool_type == "tok"
        )

    def dense(self, taken: Mapping[str, Any], kind: str) -> Dense:
        """Weighted values `[B, 1 + H * W, heads * d + heads]` of the pooler."""
        tokens = self._tokens(taken, kind)
        return self.weigh(tokens, taken["grid"], split_grid(tokens, taken["grid"]), kind)

    def project(self, pooled: Tensor) -> Tensor:
        """The rest of the pooler, the final norm and the projection."""
        return self._project(self.pool.finish(pooled))

    def global_vectors(self, taken: Mapping[str, Any]) -> Tensor:
        """The pooler's first query over the last block's tokens, projected."""
        pooled = self.visual.attn_pool(self._batch_first(taken["last"]))
        return self._project(self.visual.ln_post(pooled)[:, 0])
