"""Phrases against the regions that they are linked to."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harmoclip.errors import InputError
from harmoclip.losses.contrastive import symmetric_contrast
from harmoclip.losses.gather import Gathered, gather, unique_index
from harmoclip.losses.positives import Positives
from harmoclip.tensors import full_precision


class LexemeRegionLoss(nn.Module):
    """Contrast of every linked region with its phrase, over all links of all ranks.

    Each link (region r, phrase p) is a row and a column; `Positives` tells which other columns are right for
    a row too, so that "a dog" in one image never pushes "a dog" of another away.

    Args:
        positives: The weights of phrases that are no plain negatives.
        local_loss: Each rank takes its own links against all links, instead of all against all.

    Raises:
        InputError: A weight is out of range.

    Example:
        >>> import torch
        >>> loss = LexemeRegionLoss(Positives(overlap=None))(
        ...     torch.randn(3, 16), torch.randn(2, 16), torch.tensor([[0, 0], [1, 1], [2, 1]]),
        ...     torch.tensor([11, 12]), torch.tensor([0, 0, 1]), torch.tensor(2.0),
        ... )
    """

    def __init__(self, positives: Positives | None = None, *, local_loss: bool = True) -> None:
        super().__init__()
        self.positives = (positives or Positives()).checked()
        self.local_loss = local_loss

    def forward(
        self,
        regions: Tensor,
        lexemes: Tensor,
        links: Tensor,
        phrase_id: Tensor,
        image_index: Tensor,
        log_scale: Tensor,
        bias: Tensor | None = None,
        *,
        boxes: Tensor | None = None,
        counts: tuple[int, ...] | None = None,
    ) -> Tensor:
        """The loss of a batch, a float32 scalar; zero and connected to the graph without links.

        Args:
            regions: `[R, D]` region vectors.
            lexemes: `[P, D]` phrase vectors, or `[F, P, D]` several forms of them, whose losses are averaged.
            links: `[M, 2]` pairs (region, phrase).
            phrase_id: `[P]` equal for equal phrases, on every rank.
            image_index: `[R]` the image of each region.
            log_scale: Learned log temperature.
            bias: Learned bias; where it is given, the sigmoid form is taken.
            boxes: `[R, 4]` xyxy, needed where overlapping boxes are positives.
            counts: The links on each rank, where `row_counts` told them before.

        Raises:
            InputError: Boxes are missing.
        """
        if boxes is None and self.positives.overlap is not None:
            raise InputError(
                "overlapping boxes are positives, but boxes were not given: give them, or overlap=None."
            )
        region, phrase = links.unbind(1)
        forms = lexemes if lexemes.ndim == 3 else lexemes[None]
        rows = gather(full_precision(regions)[region], counts)
        columns = gather(full_precision(forms)[:, phrase].transpose(0, 1), rows.counts)
        labels = [phrase_id[phrase], unique_index(region), unique_index(image_index[region])]
        known = [gather(torch.stack(labels, 1), rows.counts)]
        if boxes is not None:
            known.append(gather(boxes[region], rows.counts))
        losses = [
            symmetric_contrast(
                rows,
                Gathered(columns.own[:, form], columns.all[:, form], columns.counts),
                tuple(known),
                self.positives.weights,
                log_scale,
                bias,
                local_loss=self.local_loss,
            )
            for form in range(len(forms))
        ]
        return torch.stack(losses).mean()
