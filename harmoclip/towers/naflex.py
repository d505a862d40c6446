"""Images of any shape in one batch (NaFlex): Hugging Face's Siglip2Model."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from einops import rearrange
from torch import Tensor, nn

from harmoclip.capture import ImageActivations, ImageTaps, TapPoint
from harmoclip.errors import InputError
from harmoclip.towers.attention import KINDS
from harmoclip.towers.base import Dense, parts, square
from harmoclip.towers.hf_vit import HfPooledViT, vision_of
from harmoclip.towers.registry import register_image_tower


@dataclass(frozen=True)
class Patches:
    """Images cut into patches, as the Siglip2 processor gives them: `Patches(**processor(images=...))`.

    Attributes:
        pixel_values: `[B, N, 3 * P * P]` patches, padded to one length.
        pixel_attention_mask: `[B, N]` 1 where a patch is no padding.
        spatial_shapes: `[B, 2]` rows and columns of each image.
    """

    pixel_values: Tensor
    pixel_attention_mask: Tensor
    spatial_shapes: Tensor

    @classmethod
    def cut(cls, images: Tensor, size: int) -> Self:
        """Cut a batch of images of one shape.

        Args:
            images: `[B, 3, H, W]`.
            size: The patch size; H and W must be multiples of it.

        Raises:
            InputError: The images cannot be cut into whole patches.
        """
        height, width = (side // size for side in images.shape[-2:])
        if images.shape[-2:] != (height * size, width * size):
            raise InputError(f"images are {list(images.shape)}: expected sides that are multiples of {size}.")
        pixels = rearrange(images, "b c (h p) (w q) -> b (h w) (p q c)", p=size, q=size)
        mask = torch.ones(pixels.shape[:2], dtype=torch.int64, device=images.device)
        shapes = torch.tensor([[height, width]] * len(images), device=images.device)
        return cls(pixels, mask, shapes)

    def __len__(self) -> int:
        return len(self.pixel_values)

    @property
    def shape(self) -> torch.Size:
        """`[B, N, 3 * P * P]`, the shape of the patches."""
        return self.pixel_values.shape

    @property
    def device(self) -> torch.device:
        """Where the patches are."""
        return self.pixel_values.device

    def to(self, *where: Any, **options: Any) -> Self:
        """The same patches elsewhere, or in another floating dtype."""
        shapes = self.spatial_shapes.to(*[w for w in where if not isinstance(w, torch.dtype)])
        mask = self.pixel_attention_mask.to(shapes.device)
        return type(self)(self.pixel_values.to(*where, **options), mask, shapes)


def second_input(args: tuple[Any, ...], output: Any) -> Any:
    """The module's second positional input."""
    return args[1]


@register_image_tower
class NaflexViT(HfPooledViT):
    """SigLIP 2 with a grid of its own for every image.

    The tokens behind an image's last patch are padding: they are masked in the model, and no region reaches
    them. Kinds where tokens see each other, and which would have to mask them too, are left out.
    """

    any_grid = True

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.kinds = tuple(kind for kind in self.kinds if kind not in KINDS or not KINDS[kind].tokens_mix)

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether the model has the parts that this tower reads."""
        vision = vision_of(module)
        return parts(vision, "embeddings", "encoder", "post_layernorm", "head") and isinstance(
            getattr(vision.embeddings, "patch_embedding", None), nn.Linear
        )

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the square of patches that the model was built for."""
        config = self.vision.config
        return square(math.isqrt(config.num_patches) * config.patch_size)

    def taps(self, kind: str) -> ImageTaps:
        """As other Hugging Face towers, the grids from the embeddings' second input."""
        return replace(super().taps(kind), grid=TapPoint(self.vision.embeddings, second_input))

    def dense(self, taken: ImageActivations, kind: str) -> Dense:
        """Weighted values `[B, N, heads * d + heads]`, and one grid or that of every image."""
        grids = tuple(tuple(grid) for grid in taken.grid.tolist())
        dense = self.weigh(self.normed_tokens(taken, kind), grids[0], 0, kind)
        if len(set(grids)) == 1:
            return dense._replace(tokens=dense.tokens[:, : grids[0][0] * grids[0][1]])
        return dense._replace(grids=grids)

    def pool_regions(self, dense: Dense, kind: str, boxes: Tensor, image_index: Tensor) -> Tensor:
        """Weighted values `[R, heads * d + heads]` of boxes, the images of each grid at once."""
        if not dense.grids:
            return super().pool_regions(dense, kind, boxes, image_index)
        kind_of_grid = torch.tensor([dense.grids.index(grid) for grid in dense.grids], device=boxes.device)
        pooled = dense.tokens.new_zeros(len(boxes), dense.tokens.shape[-1])
        for first in kind_of_grid.unique().tolist():
            rows = (kind_of_grid[image_index] == first).nonzero()[:, 0]
            height, width = dense.grids[first]
            part = Dense(dense.tokens[:, : height * width], (height, width), 0)
            pooled = pooled.index_add(
                0, rows, super().pool_regions(part, kind, boxes[rows], image_index[rows])
            )
        return pooled
