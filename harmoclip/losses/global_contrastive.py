"""Image against caption, as CLIP and SigLIP are trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harmoclip.errors import InputError
from harmoclip.losses.contrastive import symmetric_contrast


class GlobalContrastiveLoss(nn.Module):
    """Symmetric InfoNCE of image and text vectors (CLIP, arXiv 2103.00020), or SigLIP's sigmoid form.

    Example:
        >>> import torch
        >>> image, text = torch.randn(8, 16), torch.randn(8, 16)
        >>> loss = GlobalContrastiveLoss()(image, text, torch.tensor(2.0))
    """

    def forward(self, image: Tensor, text: Tensor, log_scale: Tensor, bias: Tensor | None = None) -> Tensor:
        """The loss of a batch, a float32 scalar.

        Args:
            image: `[B, D]` image vectors; row i belongs to text i.
            text: `[B, D]` text vectors.
            log_scale: Learned log temperature.
            bias: Learned bias; where it is given, the sigmoid form is taken.

        Raises:
            InputError: The two do not have the same shape.
        """
        if image.shape != text.shape:
            raise InputError(
                f"image vectors are {list(image.shape)} and text vectors {list(text.shape)}: "
                "expected one text for each image."
            )
        same = torch.eye(len(image), dtype=torch.bool, device=image.device)
        return symmetric_contrast(image, text, same, log_scale, bias)
