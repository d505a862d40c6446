"""Hugging Face's CLIP and SigLIP vision transformers, and their relatives'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from harmoclip.capture import TapPoint, first_input, spatial_shape
from harmoclip.towers.attention import Block
from harmoclip.towers.base import Dense, ImageTower, parts, split_grid
from harmoclip.towers.latent_pool import SiglipPool
from harmoclip.towers.pooled import LatentPoolTower


def vision_of(model: Any) -> Any:
    """The vision transformer inside a model, or the model itself where it is one."""
    return getattr(model, "vision_model", model)


class HfViT(ImageTower):
    """Tokens of `vision_model`, projected by `visual_projection`: CLIP, MetaCLIP 2, AltCLIP, ChineseCLIP."""

    default_kind = "value"

    def __init__(self, model: Any) -> None:
        self.model = model
        self.vision: Any = vision_of(model)
        self.layers = self.vision.encoder.layers
        self.block = Block(self.layers[-1])
        self.kinds: tuple[str, ...] = ("plain", *self.block.kinds)

    @classmethod
    def matches(cls, model: Any) -> bool:
        """Whether the model has the parts that this tower reads."""
        return parts(model, "vision_model", "visual_projection") and _is_transformer(model.vision_model)

    def taps(self, kind: str) -> dict[str, TapPoint]:
        """The grid, the last layer's output and, where the kind needs it, its input; the image vector."""
        embedding = self.vision.embeddings.patch_embedding
        points = {
            "images": TapPoint(embedding, first_input),
            "grid": TapPoint(embedding, spatial_shape),
            "last": TapPoint(self.layers[-1]),
            "global": TapPoint(self._last_module()),
        }
        if kind in self.block.kinds:
            points["penultimate"] = TapPoint(self._before_last())
        return points

    def dense(self, taken: Mapping[str, Any], kind: str) -> Dense:
        """Tokens `[B, prefix + H * W, C]` after the final norm."""
        tokens = self._tokens(taken, kind)
        return Dense(tokens, taken["grid"], split_grid(tokens, taken["grid"]))

    def project(self, pooled: Tensor) -> Tensor:
        """The visual projection."""
        return self.model.visual_projection(pooled)

    def global_vectors(self, taken: Mapping[str, Any]) -> Tensor:
        """What the projection or the head gave."""
        return taken["global"]

    def _last_module(self) -> nn.Module:
        return self.model.visual_projection

    def _before_last(self) -> nn.Module:
        if len(self.layers) > 1:
            return self.layers[-2]
        return getattr(self.vision, "pre_layrnorm", self.vision.embeddings)

    def _tokens(self, taken: Mapping[str, Any], kind: str) -> Tensor:
        rerun = kind in self.block.kinds
        tokens = self.block.run(taken["penultimate"], kind) if rerun else taken["last"]
        return self.vision.post_layernorm(tokens)


class HfPooledViT(LatentPoolTower, HfViT):
    """SigLIP: an attention pool and no projection."""

    default_kind = "plain"

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.pool = SiglipPool(self.vision.head)
        self.kinds = (*self.kinds, "head")

    @classmethod
    def matches(cls, model: Any) -> bool:
        """Whether the model has the parts that this tower reads."""
        vision = vision_of(model)
        return _is_transformer(vision) and parts(getattr(vision, "head", None), "probe", "attention", "mlp")

    def dense(self, taken: Mapping[str, Any], kind: str) -> Dense:
        """Weighted values `[B, H * W, heads * d + heads]`."""
        return self.weigh(self._tokens(taken, kind), taken["grid"], 0, kind)

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
