"""open_clip's own VisionTransformer, and OpenAI's."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from harmoclip.capture import ImageActivations, ImageTaps, TapPoint, first_input, spatial_shape
from harmoclip.towers.base import Dense, optional, parts, split_grid, square
from harmoclip.towers.latent_pool import CocaPool
from harmoclip.towers.pooled import LatentPoolTower
from harmoclip.towers.registry import register_image_tower
from harmoclip.towers.transformer import TransformerTower


@register_image_tower
class OpenClipViT(TransformerTower):
    """Tokens of a CLIP `VisionTransformer` with a class token, pooled by it or by the mean."""

    def __init__(self, visual: Any) -> None:
        super().__init__(visual.transformer.resblocks, visual.ln_pre)
        self.visual = visual
        self.encoder = (visual,)
        self.stem = optional(visual, "conv1", "class_embedding", "positional_embedding", "ln_pre")
        self.sequence_first = not getattr(visual.transformer, "batch_first", False)
        self.norm_after_pool = getattr(visual, "final_ln_after_pool", False)

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether the module has the parts that this tower reads."""
        return (
            parts(module, "conv1", "class_embedding", "ln_pre", "ln_post", "proj")
            and parts(getattr(module, "transformer", None), "resblocks")
            and getattr(module, "attn_pool", None) is None
            and getattr(module, "pool_type", "tok") in ("tok", "avg")
        )

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the images that the model was built for."""
        return square(getattr(self.visual, "image_size", None) or self.visual.input_resolution)

    def taps(self, kind: str) -> ImageTaps:
        """The grid, the last block's output, and its input where the kind runs the block anew."""
        return ImageTaps(
            images=TapPoint(self.visual.conv1, first_input),
            grid=TapPoint(self.visual.conv1, spatial_shape),
            last=TapPoint(self.last_block),
            penultimate=self.penultimate(kind),
        )

    def dense(self, taken: ImageActivations, kind: str) -> Dense:
        """Tokens `[B, 1 + H * W, C]`, normalized where the model normalizes before it pools."""
        tokens = self.last_tokens(taken, kind)
        if not self.norm_after_pool:
            tokens = self.visual.ln_post(tokens)
        return Dense(tokens, taken.grid, split_grid(tokens, taken.grid))

    def project(self, pooled: Tensor) -> Tensor:
        """The final norm where it comes after pooling, then the projection."""
        if self.norm_after_pool:
            pooled = self.visual.ln_post(pooled)
        return self._project(pooled)

    def global_vectors(self, taken: ImageActivations) -> Tensor:
        """The model's own pooling of the last block's tokens, projected."""
        tokens = self.batch_first(taken.last)
        if not self.norm_after_pool:
            tokens = self.visual.ln_post(tokens)
        mean = getattr(self.visual, "pool_type", "tok") == "avg"
        return self.project(tokens[:, 1:].mean(1) if mean else tokens[:, 0])

    def _project(self, pooled: Tensor) -> Tensor:
        proj = self.visual.proj
        return pooled if proj is None else pooled.to(proj.dtype) @ proj


@register_image_tower
class OpenClipPooledViT(LatentPoolTower, OpenClipViT):
    """The same with CoCa's attention pooler, whose first query makes the image vector."""

    def __init__(self, visual: Any) -> None:
        super().__init__(visual)
        self.pool = CocaPool(visual)
        self.add_pool()

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether the module has the parts that this tower reads."""
        return (
            parts(module, "conv1", "ln_pre", "ln_post", "proj", "attn_pool", "attn_pool_contrastive")
            and module.attn_pool is not None
            and module.attn_pool_contrastive is None
            and module.pool_type == "tok"
        )

    def dense(self, taken: ImageActivations, kind: str) -> Dense:
        """Weighted values `[B, 1 + H * W, heads * d + heads]` of the pooler."""
        tokens = self.last_tokens(taken, kind)
        return self.weigh(tokens, taken.grid, split_grid(tokens, taken.grid), kind)

    def project(self, pooled: Tensor) -> Tensor:
        """The rest of the pooler, the final norm and the projection."""
        return self._project(self.pool.finish(pooled))

    def global_vectors(self, taken: ImageActivations) -> Tensor:
        """The pooler's first query over the last block's tokens, projected."""
        pooled = self.visual.attn_pool(self.batch_first(taken.last))
        return self._project(self.visual.ln_post(pooled)[:, 0])
