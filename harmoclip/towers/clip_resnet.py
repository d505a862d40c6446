"""CLIP's ModifiedResNet, open_clip's and OpenAI's, which ends in an attention pool over positions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from harmoclip.capture import ImageActivations, ImageTaps, TapPoint, first_input
from harmoclip.ops import region_pool, region_weights
from harmoclip.towers.base import Dense, ImageTower, optional, parts, square
from harmoclip.towers.registry import register_image_tower


@register_image_tower
class ClipResNet(ImageTower):
    """Cells of the last feature map with their positions added.

    Dense kinds: `plain`, a region attends to its cells as the attention pool does to the whole map, its own
    mean the query (RegionCLIP, arXiv 2112.09106); `head`, the pool's value and output projections alone,
    cell by cell (MaskCLIP, arXiv 2112.01071).
    """

    kinds = ("plain", "head")
    default_kind = "plain"

    def __init__(self, visual: Any) -> None:
        self.visual = visual
        self.encoder = (visual,)
        self.stem = optional(visual, "conv1", "bn1", "conv2", "bn2", "conv3", "bn3")
        stages = (visual.layer1, visual.layer2, visual.layer3, visual.layer4)
        self.blocks = tuple(block for stage in stages for block in stage)

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether the module has the parts that this tower reads."""
        return parts(module, "conv1", "layer4") and parts(
            getattr(module, "attnpool", None), "positional_embedding", "q_proj", "k_proj", "v_proj", "c_proj"
        )

    @property
    def pool(self) -> Any:
        """The attention pool."""
        return self.visual.attnpool

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the images that the model was built for."""
        return square(getattr(self.visual, "image_size", None) or self.visual.input_resolution)

    def taps(self, kind: str) -> ImageTaps:
        """The last feature map, and the pool's output."""
        return ImageTaps(
            images=TapPoint(self.visual.conv1, first_input),
            last=TapPoint(self.last_block),
            vectors=TapPoint(self.pool),
        )

    def dense(self, taken: ImageActivations, kind: str) -> Dense:
        """Cells `[B, H * W, C]` with the pool's positions added."""
        features = taken.last
        tokens = features.flatten(2).transpose(1, 2) + self._positions[1:].to(features.dtype)
        return Dense(tokens, (features.shape[-2], features.shape[-1]), 0)

    def project(self, pooled: Tensor) -> Tensor:
        """The pool's value and output projections."""
        return self.pool.c_proj(self.pool.v_proj(pooled))

    def regions(self, dense: Dense, kind: str, boxes: Tensor, image_index: Tensor) -> Tensor:
        """Vectors `[R, D]` of boxes; a region's mean counts beside its cells as the image's does."""
        pooled = region_pool(dense.tokens, boxes, image_index, grid=dense.grid)
        if kind == "head":
            return self.project(pooled)
        mean = pooled + self._positions[0].to(pooled.dtype) - self._mean_position(dense, boxes)
        query = self.pool.q_proj(mean)[:, None]
        key, value = (
            torch.cat([project(mean)[:, None], project(dense.tokens)[image_index]], 1)  # [R, 1 + H * W, C]
            for project in (self.pool.k_proj, self.pool.v_proj)
        )
        weights = region_weights(boxes, dense.grid).flatten(1) * dense.tokens.shape[1]
        bias = F.pad(weights, (1, 0), value=1.0).log()[:, None, None]
        query, key, value = (
            x.unflatten(-1, (self.pool.num_heads, -1)).transpose(1, 2) for x in (query, key, value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        return self.pool.c_proj(mixed.flatten(1))

    @property
    def _positions(self) -> Tensor:
        return self.pool.positional_embedding

    def _mean_position(self, dense: Dense, boxes: Tensor) -> Tensor:
        positions = self._positions[None, 1:].to(dense.tokens.dtype)
        first = boxes.new_zeros(boxes.shape[0], dtype=torch.int64)
        return region_pool(positions, boxes, first, grid=dense.grid)
