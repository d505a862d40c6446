"""Regions and the whole image kept in agreement."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harmoclip.losses.contrastive import symmetric_contrast, unit


def region_mean(regions: Tensor, image_index: Tensor, images: int) -> tuple[Tensor, Tensor]:
    """The mean `[B, D]` of each image's normalised regions, and how many `[B]` it has."""
    vectors = unit(regions)
    total = vectors.new_zeros(images, vectors.shape[1]).index_add(0, image_index, vectors)
    count = torch.zeros(images, device=regions.device).index_add(
        0, image_index, torch.ones(len(regions), device=regions.device)
    )
    return total / count.clamp(min=1)[:, None], count


class GlobalRegionLoss(nn.Module):
    """Contrast of the mean of an image's regions with one global vector an image, its caption's or its own.

    Images without a region are left out.

    Example:
        >>> import torch
        >>> loss = GlobalRegionLoss()(
        ...     torch.randn(3, 16), torch.tensor([0, 0, 1]), torch.randn(2, 16), torch.tensor(2.0)
        ... )
    """

    def forward(
        self,
        regions: Tensor,
        image_index: Tensor,
        target: Tensor,
        log_scale: Tensor,
        bias: Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch, a float32 scalar; zero and connected to the graph without regions.

        Args:
            regions: `[R, D]` region vectors.
            image_index: `[R]` the image of each region.
            target: `[B, D]` global vectors, one an image.
            log_scale: Learned log temperature.
            bias: Learned bias; where it is given, the sigmoid form is taken.
        """
        if not len(regions):
            return (regions.sum() + target.sum() + log_scale.sum()).float() * 0.0
        mean, count = region_mean(regions, image_index, len(target))
        present = count.nonzero().flatten()
        same = torch.eye(len(present), dtype=torch.bool, device=present.device)
        return symmetric_contrast(mean[present], target[present], same, log_scale, bias)


class CropDistillationLoss(nn.Module):
    """Each region held to the image vector of its own crop: mean of `1 - cos` (CLIPSelf, arXiv 2310.01403).

    Example:
        >>> import torch
        >>> loss = CropDistillationLoss()(torch.randn(3, 16), torch.randn(3, 16))
    """

    def forward(self, regions: Tensor, crops: Tensor) -> Tensor:
        """The loss, a float32 scalar; zero and connected to the graph without regions.

        Args:
            regions: `[R, D]` region vectors.
            crops: `[R, D]` image vectors of the regions' crops; no gradient flows into them.
        """
        cosine = (unit(regions) * unit(crops.detach())).sum(-1)
        return (1 - cosine).sum() / max(len(regions), 1)
