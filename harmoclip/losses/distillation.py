"""Vectors held to those of a teacher: the model as it was, or an image of the region alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from harmoclip.errors import InputError
from harmoclip.losses.gather import mean_over_ranks, row_counts, sum_over_ranks
from harmoclip.losses.terms import Step, Term
from harmoclip.tensors import l2_normalize


class DistillationLoss(nn.Module):
    """Mean of `1 - cos` between vectors and their targets.

    With the vectors of regions and of their crops it is the loss of CLIPSelf (arXiv 2310.01403); with the
    global vectors of a model and of its frozen copy it keeps the model near where it was.

    Example:
        >>> import torch
        >>> loss = DistillationLoss()(torch.randn(3, 16), torch.randn(3, 16))
    """

    def forward(
        self,
        vectors: Tensor,
        target: Tensor,
        counts: tuple[int, ...] | None = None,
        *,
        present: Tensor | None = None,
        learn_target: bool = False,
    ) -> Tensor:
        """The loss over all ranks, a float32 scalar; zero and connected to the graph without vectors.

        Args:
            vectors: `[N, D]`.
            target: `[N, D]`.
            counts: The rows on each rank, where `row_counts` told them before.
            present: `[N]` bool, which rows count; all of them where it is None. On all ranks or none.
            learn_target: Whether the gradient flows into the targets too, as in FineCLIP.

        Raises:
            InputError: The two do not have the same shape.
        """
        if vectors.shape != target.shape:
            raise InputError(
                f"vectors are {list(vectors.shape)}, targets {list(target.shape)}: expected the same shape."
            )
        if counts is None:
            (counts,) = row_counts(len(vectors), device=vectors.device)
        cosine = (l2_normalize(vectors) * l2_normalize(target if learn_target else target.detach())).sum(-1)
        if present is None:
            return mean_over_ranks((1 - cosine).sum(), sum(counts))
        return mean_over_ranks(((1 - cosine) * present).sum(), sum_over_ranks(present.sum()))


@dataclass(frozen=True)
class TeacherTerm(Term):
    """The global vectors of images and captions held to those of a frozen model."""

    name: ClassVar[str] = "teacher"
    weight: ClassVar[float] = 1.0
    judges: ClassVar[tuple[str, ...]] = ("image", "text", "teacher_image", "teacher_text")
    of_regions: ClassVar[bool] = False
    has_scale: ClassVar[bool] = False

    def __call__(self, step: Step, logit_scale: Tensor, logit_bias: Tensor | None) -> Tensor:
        """The loss of a batch, the mean of both sides."""
        loss, vectors, counts = DistillationLoss(), step.vectors, step.counts.images
        image = loss(vectors["image"], vectors["teacher_image"], counts)
        captioned = step.own_labels("captioned")
        text = loss(vectors["text"], vectors["teacher_text"], counts, present=captioned)
        return torch.stack([image, text]).mean()
