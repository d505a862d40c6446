"""Image against caption, as CLIP and SigLIP are trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harmoclip.errors import InputError
from harmoclip.losses.contrastive import same_label, symmetric_contrast
from harmoclip.losses.gather import Gathered, gather
from harmoclip.tensors import full_precision


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
        log_scale: Tensor,
        bias: Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch, a float32 scalar.

        Args:
            image: `[B, D]` image vectors, gathered before or not; row i belongs to text i.
            text: `[B, D]` text vectors.
            log_scale: Learned log temperature.
            bias: Learned bias; where it is given, the sigmoid form is taken.

        Raises:
            InputError: The two do not have the same shape.
        """
        shapes = [list((x.own if isinstance(x, Gathered) else x).shape) for x in (image, text)]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"image vectors are {shapes[0]}, text vectors {shapes[1]}: expected one text for each image."
            )
        images = gathered(image)
        texts = gathered(text, images.counts)
        return symmetric_contrast(
            images, texts, (numbers(images),), same_label, log_scale, bias, local_loss=self.local_loss
        )


def gathered(vectors: Tensor | Gathered, counts: tuple[int, ...] | None = None) -> Gathered:
    """Vectors of all ranks, in float32 or wider; as they are where they were gathered before."""
    return vectors if isinstance(vectors, Gathered) else gather(full_precision(vectors), counts)


def numbers(rows: Gathered) -> Gathered:
    """The number of each row among the rows of all ranks."""
    every = torch.arange(len(rows.all), device=rows.all.device)
    return Gathered(every[rows.start : rows.start + len(rows.own)], every, rows.counts)
