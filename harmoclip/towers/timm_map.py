"""timm's networks that end in a feature map and its mean: ConvNeXt, FastViT, Swin, ResNet and their like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from harmoclip.capture import TapPoint, first_input
from harmoclip.towers.base import Dense, ImageTower, parts
from harmoclip.towers.timm_vit import unwrap


class TimmMap(ImageTower):
    """Cells of the feature map that the network averages; `plain` is the only kind."""

    kinds = ("plain",)
    default_kind = "plain"

    def __init__(self, visual: Any) -> None:
        self.trunk, self.head = unwrap(visual)
        self.wrapped = self.trunk is not visual
        self.channels_last = str(getattr(self.trunk, "output_fmt", "NCHW")) == "NHWC"

    @classmethod
    def matches(cls, visual: Any) -> bool:
        """Whether the module has the parts that this tower reads."""
        trunk, head = unwrap(visual)
        pool = _pool(trunk)
        return (
            parts(trunk, "forward_features", "forward_head")
            and isinstance(head, nn.Module)
            and isinstance(pool, nn.Module)
            and getattr(pool, "pool_type", "") == "avg"
        )

    def taps(self, kind: str) -> dict[str, TapPoint]:
        """The first convolution's input, the map that is averaged, the image vector."""
        first = next(module for module in self.trunk.modules() if isinstance(module, nn.Conv2d))
        return {
            "images": TapPoint(first, first_input),
            "last": TapPoint(_pool(self.trunk), first_input),
            "global": TapPoint(self.head),
        }

    def dense(self, taken: Mapping[str, Any], kind: str) -> Dense:
        """Cells `[B, H * W, C]`."""
        features = taken["last"] if self.channels_last else taken["last"].permute(0, 2, 3, 1)
        return Dense(features.flatten(1, 2), tuple(features.shape[1:3]), 0)

    def project(self, pooled: Tensor) -> Tensor:
        """The network's head on maps of one cell, then open_clip's head."""
        cells = pooled.reshape(-1, 1, 1, pooled.shape[-1])
        x = self.trunk.forward_head(cells if self.channels_last else cells.permute(0, 3, 1, 2))
        return (self.head(x) if self.wrapped else x).unflatten(0, pooled.shape[:-1])

    def global_vectors(self, taken: Mapping[str, Any]) -> Tensor:
        """What the last head gave."""
        return taken["global"]


def _pool(trunk: Any) -> Any:
    """The pooling module, in the network's head or in the network itself."""
    return getattr(getattr(trunk, "head", None), "global_pool", getattr(trunk, "global_pool", None))
