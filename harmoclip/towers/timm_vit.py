"""timm's vision transformers (ViT, EVA, MobileCLIP's and ViTamin's hybrids), bare or in open_clip."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from harmoclip.capture import ImageActivations, ImageTaps, TapPoint, first_input, spatial_shape
from harmoclip.towers.base import Dense, Part, optional, parts, split_grid, square
from harmoclip.towers.latent_pool import TimmPool
from harmoclip.towers.pooled import LatentPoolTower
from harmoclip.towers.registry import register_image_tower
from harmoclip.towers.transformer import TransformerTower

_STEM = (
    "patch_embed",
    "cls_token",
    "reg_token",
    "pos_embed",
    "norm_pre",
    "rope",
    "shared_rel_pos",
    "rel_pos_bias",
)


class TimmVisual:
    """A timm network, bare or in open_clip's `TimmModel`, and the module that gives the image vector."""

    def __init__(self, visual: Any) -> None:
        self.visual = visual
        self.wrapped = parts(visual, "trunk", "head")
        self.trunk = visual.trunk if self.wrapped else visual

    @property
    def head(self) -> Any:
        """The last module as it is now; open_clip's own head, or the network's."""
        if self.wrapped:
            return self.visual.head
        return self.trunk.get_classifier() if hasattr(self.trunk, "get_classifier") else None

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Height and width of the images that the model was built for; None where nothing says so."""
        patches = getattr(self.trunk, "patch_embed", None)
        size = getattr(self.visual, "image_size", None) or getattr(patches, "img_size", None)
        if size is None:
            size = (getattr(self.trunk, "pretrained_cfg", None) or {}).get("input_size")
        return None if size is None else square(size if isinstance(size, int) else size[-2:])

    def finish(self, x: Tensor) -> Tensor:
        """What the network's head gave, through open_clip's head where there is one."""
        return self.visual.head(x) if self.wrapped else x


@register_image_tower
class TimmViT(TransformerTower):
    """Tokens of a timm vision transformer that pools by its class token or by the mean."""

    def __init__(self, visual: Any) -> None:
        self.timm = TimmVisual(visual)
        self.trunk = self.timm.trunk
        super().__init__(self.trunk.blocks, getattr(self.trunk, "norm_pre", None))
        self.encoder: tuple[Part, ...] = (visual,)
        self.stem = optional(self.trunk, *_STEM)

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether the module has the parts that this tower reads."""
        visual = TimmVisual(module)
        return (
            parts(visual.trunk, *_TIMM_VIT)
            and parts(visual.trunk.patch_embed, "proj")
            and isinstance(visual.head, nn.Module)
            and cls.pools(visual.trunk)
        )

    @classmethod
    def pools(cls, trunk: Any) -> bool:
        """Whether this class knows the trunk's pooling."""
        return bool(trunk.global_pool) and getattr(trunk, "attn_pool", None) is None

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Height and width of the images that the model was built for; None where nothing says so."""
        return self.timm.input_size

    def taps(self, kind: str) -> ImageTaps:
        """The grid, the last block's output and, where the kind needs it, its input; the image vector."""
        return ImageTaps(
            images=TapPoint(self.trunk.patch_embed, first_input),
            grid=TapPoint(self.trunk.patch_embed.proj, spatial_shape),
            last=TapPoint(self.last_block),
            penultimate=self.penultimate(kind),
            vectors=TapPoint(self.timm.head),
        )

    def dense(self, taken: ImageActivations, kind: str) -> Dense:
        """Tokens `[B, prefix + H * W, C]` after the trunk's norm."""
        tokens = self.normed_tokens(taken, kind)
        return Dense(tokens, taken.grid, split_grid(tokens, taken.grid))

    def project(self, pooled: Tensor) -> Tensor:
        """The trunk's head on tokens that all equal the pooled one, then open_clip's head."""
        rows = pooled.reshape(-1, 1, pooled.shape[-1]).expand(-1, self.trunk.num_prefix_tokens + 1, -1)
        return self.timm.finish(self.trunk.forward_head(rows)).unflatten(0, pooled.shape[:-1])

    def normed_tokens(self, taken: ImageActivations, kind: str) -> Tensor:
        """Tokens `[B, prefix + H * W, C]` after the trunk's norm."""
        split_grid(taken.last, taken.grid)  # patch dropout is an error before it is a wrong shape
        return self.trunk.norm(self.last_tokens(taken, kind))  # type: ignore[no-any-return]


@register_image_tower
class TimmPooledViT(LatentPoolTower, TimmViT):
    """The same with an attention pool: SigLIP, SigLIP 2 and Perception Encoder."""

    def __init__(self, visual: Any) -> None:
        super().__init__(visual)
        self.pool = TimmPool(self.trunk.attn_pool)
        self.add_pool()
        self.with_prefix = getattr(self.trunk, "pool_include_prefix", True)  # EVA has no choice

    @classmethod
    def pools(cls, trunk: Any) -> bool:
        """Whether the trunk pools by attention with one query."""
        return TimmPool.matches(getattr(trunk, "attn_pool", None))

    def dense(self, taken: ImageActivations, kind: str) -> Dense:
        """Weighted values `[B, prefix + H * W, heads * d + heads]`, with the prefix if the pool has it."""
        tokens = self.normed_tokens(taken, kind)
        prefix = split_grid(tokens, taken.grid)
        if prefix and not self.with_prefix:
            tokens, prefix = tokens[:, prefix:], 0
        return self.weigh(tokens, taken.grid, prefix, kind)

    def project(self, pooled: Tensor) -> Tensor:
        """The rest of the pool, then both heads."""
        x = self.trunk.fc_norm(self.pool.finish(pooled))
        return self.timm.finish(self.trunk.head(self.trunk.head_drop(x)))


_TIMM_VIT = ("patch_embed", "blocks", "norm", "num_prefix_tokens", "forward_head", "global_pool")
