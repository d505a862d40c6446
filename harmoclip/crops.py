"""Boxes cut out of their images."""

from __future__ import annotations

import torch
from torch import Tensor

from harmoclip.ops import roi_align


def crop_boxes(images: Tensor, boxes: Tensor, image_index: Tensor) -> Tensor:
    """Each box cut out of its image and resized to the size of the images, `[R, 3, H, W]`.

    Args:
        images: `[B, 3, H, W]`.
        boxes: `[R, 4]` xyxy in [0, 1].
        image_index: `[R]` the image of each box.

    Example:
        >>> whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
        >>> crop_boxes(torch.ones(1, 3, 8, 8), whole, torch.tensor([0])).shape
        torch.Size([1, 3, 8, 8])
    """
    height, width = images.shape[-2:]
    pixels = boxes * boxes.new_tensor([width, height, width, height])
    rois = torch.cat([image_index[:, None].to(pixels.dtype), pixels], 1)
    return roi_align(images, rois, (height, width), aligned=True).to(images.dtype)
