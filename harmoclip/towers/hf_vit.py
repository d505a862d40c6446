"""Hugging Face's CLIP and SigLIP vision transformers, and their relatives'."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from harmoclip.capture import ImageActivations, ImageTaps, TapPoint, first_input, spatial_shape
from harmoclip.towers.base import Dense, parts, split_grid, square
from harmoclip.towers.latent_pool import SiglipPool
from harmoclip.towers.pooled import LatentPoolTower
from harmoclip.towers.registry import register_image_tower
from harmoclip.towers.transformer import TransformerTower


def vision_of(model: Any) -> Any:
    """The vision transformer inside a model, or the model itself where it is one."""
    return getattr(model, "vision_model", model)


@register_image_tower
class HfViT(TransformerTower):
    """Tokens of `vision_model`, projected by `visual_projection`: CLIP, MetaCLIP 2, AltCLIP, ChineseCLIP."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.vision: Any = vision_of(model)
        embeddings = self.vision.embeddings
        super().__init__(self.vision.encoder.layers, getattr(self.vision, "pre_layrnorm", embeddings))
        self.encoder = (self.vision, getattr(model, "visual_projection", None))
        self.stem = (embeddings, getattr(self.vision, "pre_layrnorm", None))

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether the model has the parts that this tower reads."""
        return parts(module, "vision_model", "visual_projection") and _is_transformer(module.vision_model)

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the images that the model was built for."""
        return square(self.vision.config.image_size)

    def taps(self, kind: str) -> ImageTaps:
        """The grid, the last layer's output and, where the kind needs it, its input; the image vector."""
        embedding = self.vision.embeddings.patch_embedding
        return ImageTaps(
            images=TapPoint(embedding, first_input),
            grid=TapPoint(embedding, spatial_shape),
            last=TapPoint(self.last_block),
            penultimate=self.penultimate(kind),
            vectors=TapPoint(self._last_module()),
        )

    def dense(self, taken: ImageActivations, kind: str) -> Dense:
        """Tokens `[B, prefix + H * W, C]` after the final norm."""
        tokens = self.normed_tokens(taken, kind)
        return Dense(tokens, taken.grid, split_grid(tokens, taken.grid))

    def project(self, pooled: Tensor) -> Tensor:
        """The visual projection."""
        return self.model.visual_projection(pooled)

    def _last_module(self) -> nn.Module:
        return self.model.visual_projection

    def normed_tokens(self, taken: ImageActivations, kind: str) -> Tensor:
        """Tokens `[B, prefix + H * W, C]` after the final norm."""
        return self.vision.post_layernorm(self.last_tokens(taken, kind))


@register_image_tower
class HfPooledViT(LatentPoolTower, HfViT):
    """SigLIP: an attention pool and no projection."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.pool = SiglipPool(self.vision.head)
        self.add_pool()

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether the model has the parts that this tower reads."""
        vision = vision_of(module)
        return _is_transformer(vision) and parts(getattr(vision, "head", None), "probe", "attention", "mlp")

    def dense(self, taken: ImageActivations, kind: str) -> Dense:
        """Weighted values `[B, H * W, heads * d + heads]`."""
        return self.weigh(self.normed_tokens(taken, kind), taken.grid, 0, kind)

    def project(self, pooled: Tensor) -> Tensor:
        """The rest of the pool."""
        return self.pool.finish(pooled)

    def _last_module(self) -> nn.Module:
        return self.vision.head


def _is_transformer(vision: Any) -> bool:
    return (
        parts(vision, "embeddings", "encoder", "post_layernorm")
        and parts(vision.encoder, "layers")
        and isinstance(getattr(vision.embeddings, "patch_embedding", None), nn.Conv2d)
    )
