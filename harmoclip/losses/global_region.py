"""Regions and the whole image kept in agreement."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harmoclip.losses.contrastive import same_label, symmetric_contrast
from harmoclip.losses.gather import Gathered, gather
from harmoclip.losses.global_contrastive import gathered, numbers
from harmoclip.tensors import l2_normalize


def region_mean(regions: Tensor, image_index: Tensor, images: int) -> tuple[Tensor, Tensor]:
    """The mean `[B, D]` of each image's normalised regions, and how many `[B]` it has."""
    vectors = l2_normalize(regions)
    total = vectors.new_zeros(images, vectors.shape[1]).index_add(0, image_index, vectors)
    count = vectors.new_zeros(images).index_add(0, image_index, vectors.new_ones(len(vectors)))
    return total / count.clamp(min=1)[:, None], count


class GlobalRegionLoss(nn.Module):
    """Contrast of the mean of an image's regions with one global vector an image, its caption's or its own.

    Images without a region are left out.

    Args:
        local_loss: Each rank takes its own images against all images, instead of all against all.

    Example:
        >>> import torch
        >>> loss = GlobalRegionLoss()(
        ...     torch.randn(3, 16), torch.tensor([0, 0, 1]), torch.randn(2, 16), torch.tensor(2.0)
        ... )
    """

    def __init__(self, *, local_loss: bool = True) -> None:
        super().__init__()
        self.local_loss = local_loss

    def forward(
        self,
        regions: Tensor,
        image_index: Tensor,
        target: Tensor | Gathered,
        log_scale: Tensor,
        bias: Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch, a float32 scalar; zero and connected to the graph without regions.

        Args:
            regions: `[R, D]` region vectors.
            image_index: `[R]` the image of each region.
            target: `[B, D]` global vectors, one an image, gathered before or not.
            log_scale: Learned log temperature.
            bias: Learned bias; where it is given, the sigmoid form is taken.
        """
        targets = gathered(target)
        mean, count = region_mean(regions, image_index, len(targets.own))
        packed = gather(torch.cat([mean, count[:, None]], 1), targets.counts)
        means, counts = packed.map(lambda x: x[:, :-1]), packed.map(lambda x: x[:, -1])
        return symmetric_contrast(
            means,
            targets,
            (numbers(means),),
            same_label,
            log_scale,
            bias,
            present=counts.map(lambda x: x > 0),
            local_loss=self.local_loss,
        )
