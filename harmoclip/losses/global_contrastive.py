"""Image against caption, as CLIP and SigLIP are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from harmoclip.errors import InputError
from harmoclip.losses.contrastive import group_contrast, same_label, symmetric_contrast
from harmoclip.losses.gather import Gathered, gathered, row_numbers
from harmoclip.losses.terms import Step, Term

CaptionContrast = Literal["joint", "separate"]


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
            text: `[B, D]` text vectors, or `[B, K, D]` of K captions each, which meet in one contrast: each
                image chooses between a caption of its own and all captions of the others.
            logit_scale: Learned log of the factor on cosines.
            logit_bias: Learned bias; where it is given, the sigmoid form is taken.
            image_id: `[B]` int64, equal for the same photograph with another caption, on every rank: such
                pairs are positives of each other, and each is compared with the captions of other
                photographs alone. On all ranks or on none.
            captioned: `[B]` bool, which images have a caption, or `[B, K]`, which captions there are; the
                others are left out. On all ranks or none.

        Raises:
            InputError: There is not a text, or K texts, for each image.
        """
        of_image, of_text = ((x.own if isinstance(x, Gathered) else x).shape for x in (image, text))
        if len(of_text) not in (2, 3) or (of_text[0], of_text[-1]) != of_image:
            raise InputError(
                f"image vectors are {list(of_image)}, text vectors {list(of_text)}: expected one text for "
                "each image, or [B, K, D] for K texts of each."
            )
        images = gathered(image)
        texts, labels = gathered(text, images.counts), photographs(images, image_id)
        present = None if captioned is None else gathered(captioned, images.counts)
        if len(of_text) == 3:
            return group_contrast(
                images, texts, labels, logit_scale, logit_bias, present=present, local_loss=self.local_loss
            )
        return symmetric_contrast(
            images,
            texts,
            (labels,),
            same_label,
            logit_scale,
            logit_bias,
            present=present,
            compete=image_id is None,
            local_loss=self.local_loss,
        )


def photographs(images: Gathered, image_id: Tensor | Gathered | None) -> Gathered:
    """The label of each image of all ranks: its photograph, or its own number where nothing is known."""
    return row_numbers(images) if image_id is None else gathered(image_id, images.counts)


@dataclass(frozen=True)
class GlobalContrastiveTerm(Term):
    """Each image against the captions of the batch, as a term of the objective.

    Where images have further captions it is one contrast with all captions of the batch (`joint`), or the sum
    of a loss for each kind, such as short ones beside long ones (`separate`, as FG-CLIP, arXiv 2505.05071);
    images without a caption of a kind are left out of that one.
    """

    several_captions: CaptionContrast
    local_loss: bool

    name: ClassVar[str] = "global_contrastive"
    weight: ClassVar[float] = 1.0
    judges: ClassVar[tuple[str, ...]] = ("image", "text", "more_text")
    of_regions: ClassVar[bool] = False

    def __call__(self, step: Step, logit_scale: Tensor, logit_bias: Tensor | None) -> Tensor:
        """The loss of a batch."""
        loss = GlobalContrastiveLoss(local_loss=self.local_loss)
        image, image_id = step.of_images("image"), step.labels("image_id")

        def contrast(text: Gathered, captioned: Gathered | None) -> Tensor:
            return loss(image, text, logit_scale, logit_bias, image_id=image_id, captioned=captioned)

        several = step.several_captions()
        if several is None:
            return contrast(step.of_images("text"), step.labels("captioned"))
        texts, there = several
        if self.several_captions == "joint":
            return contrast(texts, there)
        kinds = range(texts.own.shape[1])
        return torch.stack([contrast(_of_kind(texts, kind), _of_kind(there, kind)) for kind in kinds]).sum()


def _of_kind(captions: Gathered, kind: int) -> Gathered:
    return captions.map(lambda x: x[:, kind])
