"""Regions and the whole image kept in agreement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from harmoclip.losses.contrastive import same_label, symmetric_contrast
from harmoclip.losses.distillation import DistillationLoss
from harmoclip.losses.gather import Gathered, gather, gathered
from harmoclip.losses.global_contrastive import photographs
from harmoclip.losses.terms import Step, Term
from harmoclip.tensors import l2_normalize

GlobalRegion = Literal["caption", "image", "crops", "live_crops"]


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
        logit_scale: Tensor,
        logit_bias: Tensor | None = None,
        *,
        image_id: Tensor | Gathered | None = None,
        present: Tensor | Gathered | None = None,
    ) -> Tensor:
        """The loss of a batch, a float32 scalar; zero and connected to the graph without regions.

        Args:
            regions: `[R, D]` region vectors.
            image_index: `[R]` the image of each region.
            target: `[B, D]` global vectors, one an image, gathered before or not.
            logit_scale: Learned log of the factor on cosines.
            logit_bias: Learned bias; where it is given, the sigmoid form is taken.
            image_id: `[B]` equal for the same photograph, on every rank: such pairs are no negatives.
            present: `[B]` bool, which targets there are; images without one are left out as well.
        """
        targets = gathered(target)
        mean, count = region_mean(regions, image_index, len(targets.own))
        packed = gather(torch.cat([mean, count[:, None]], 1), targets.counts)
        means, takes_part = packed.map(lambda x: x[:, :-1]), packed.map(lambda x: x[:, -1] > 0)
        if present is not None:
            there = gathered(present, targets.counts)
            takes_part = Gathered(takes_part.own & there.own, takes_part.all & there.all, there.counts)
        return symmetric_contrast(
            means,
            targets,
            (photographs(means, image_id),),
            same_label,
            logit_scale,
            logit_bias,
            present=takes_part,
            compete=image_id is None,
            local_loss=self.local_loss,
        )


@dataclass(frozen=True)
class GlobalRegionTerm(Term):
    """What an image's regions are held to: its captions or its own vector, or each region to its crop's.

    Several captions of an image stand for it by the mean of their normalized vectors.
    """

    global_region: GlobalRegion
    local_loss: bool

    name: ClassVar[str] = "global_region"
    weight: ClassVar[float] = 0.25

    @property
    def has_scale(self) -> bool:  # type: ignore[override]
        """Whether it is a contrast."""
        return self.global_region in ("caption", "image")

    @property
    def judges(self) -> tuple[str, ...]:
        """The regions, and what they are held to."""
        held_to = {"caption": ("text", "more_text"), "image": ("image",)}
        return "regions", *held_to.get(self.global_region, ("crops",))

    def __call__(self, step: Step, logit_scale: Tensor, logit_bias: Tensor | None) -> Tensor:
        """The loss of a batch."""
        regions = step.vectors["regions"]
        if not self.has_scale:
            live = self.global_region == "live_crops"
            return DistillationLoss()(regions, step.vectors["crops"], step.counts.regions, learn_target=live)
        image = self.global_region == "image"
        target, present = (step.of_images("image"), None) if image else _captions(step)
        loss = GlobalRegionLoss(local_loss=self.local_loss)
        return loss(
            regions,
            step.grounding.image_index,
            target,
            logit_scale,
            logit_bias,
            image_id=step.labels("image_id"),
            present=present,
        )


def _captions(step: Step) -> tuple[Gathered, Gathered | None]:
    """One vector for all captions of an image, and which images have any; None: all."""
    several = step.several_captions()
    if several is None:
        return step.of_images("text"), step.labels("captioned")
    texts, there = several
    return texts.map(_direction, there), there.map(lambda x: x.any(1))


def _direction(texts: Tensor, there: Tensor) -> Tensor:
    """`[B, D]`, in the direction of the mean of each image's normalized captions `[B, K, D]`."""
    return (l2_normalize(texts) * there[..., None]).sum(1)
