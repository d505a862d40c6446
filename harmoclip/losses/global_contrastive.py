"""Image against caption, as CLIP and SigLIP are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from harmoclip.errors import InputError
from harmoclip.losses.contrastive import same_label, symmetric_contrast
from harmoclip.losses.gather import Gathered, gathered, row_numbers
from harmoclip.losses.terms import Step, Term


class GlobalContrastiveLoss(nn.Module):
    """Symmetric InfoNCE of image and text vectors (CLIP, arXiv 2103.00020), or SigLIP's sigmoid form.

    Args:
        local_loss: Each rank takes its own samples against all samples, instead of all against all.

    Example:
        >>> import torch
        >>> image, text = torch.randn(8, 16), torch.randn(8, 16)
        >>> loss = GlobalContrastiveLoss()(image, text, torch.tensor(2.0))
    """

    def __init__(self, *, local_loss: bool = True) -> None:
        super().__init__()
        self.local_loss = local_loss

    def forward(
        self,
        image: Tensor | Gathered,
        text: Tensor | Gathered,
        logit_scale: Tensor,
        logit_bias: Tensor | None = None,
        *,
        image_id: Tensor | Gathered | None = None,
        captioned: Tensor | Gathered | None = None,
    ) -> Tensor:
        """The loss of a batch, a float32 scalar.

        Every argument may be this rank's rows, or `gather`ed before.

        Args:
            image: `[B, D]` image vectors; row i belongs to text i.
            text: `[B, D]` text vectors.
            logit_scale: Learned log of the factor on cosines.
            logit_bias: Learned bias; where it is given, the sigmoid form is taken.
            image_id: `[B]` int64, equal for the same photograph with another caption, on every rank: such
                pairs are positives of each other, and each is compared with the captions of other
                photographs alone. On all ranks or on none.
            captioned: `[B]` bool, which images have a caption; the others are left out. On all ranks or none.

        Raises:
            InputError: The two do not have the same shape.
        """
        shapes = [list((x.own if isinstance(x, Gathered) else x).shape) for x in (image, text)]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"image vectors are {shapes[0]}, text vectors {shapes[1]}: expected one text for each image."
            )
        images = gathered(image)
        return symmetric_contrast(
            images,
            gathered(text, images.counts),
            (photographs(images, image_id),),
            same_label,
            logit_scale,
            logit_bias,
            present=None if captioned is None else gathered(captioned, images.counts),
            compete=image_id is None,
            local_loss=self.local_loss,
        )


def photographs(images: Gathered, image_id: Tensor | Gathered | None) -> Gathered:
    """The label of each image of all ranks: its photograph, or its own number where nothing is known."""
    return row_numbers(images) if image_id is None else gathered(image_id, images.counts)


@dataclass(frozen=True)
class GlobalContrastiveTerm(Term):
    """Each image against the captions of the batch, as a term of the objective.

    Where images have further captions, such as short ones beside long ones (FG-CLIP, arXiv 2505.05071), it is
    the sum of a loss for each kind; images without a caption of a kind are left out of that one.
    """

    local_loss: bool

    name: ClassVar[str] = "global_contrastive"
    weight: ClassVar[float] = 1.0
    judges: ClassVar[tuple[str, ...]] = ("image", "text", "more_text")
    of_regions: ClassVar[bool] = False

    def __call__(self, step: Step, logit_scale: Tensor, logit_bias: Tensor | None) -> Tensor:
        """The loss of a batch."""
        loss = GlobalContrastiveLoss(local_loss=self.local_loss)
        image, image_id = step.of_images("image"), step.labels("image_id")
        captions = [(step.of_images("text"), step.labels("captioned")), *_further(step)]
        losses = [
            loss(image, text, logit_scale, logit_bias, image_id=image_id, captioned=captioned)
            for text, captioned in captions
        ]
        return torch.stack(losses).sum()


def _further(step: Step) -> list[tuple[Gathered, Gathered]]:
    """For each kind of further captions, their vectors and which images have one."""
    rows = step.labels("more_captions")
    if rows is None:
        return []
    text = step.of_images("more_text")

    def of_kind(gathered: Gathered, kind: int) -> Gathered:
        return gathered.map(lambda x: x[:, kind])

    kinds = range(rows.own.shape[1])
    return [(of_kind(text, kind), of_kind(rows, kind).map(lambda row: row >= 0)) for kind in kinds]
