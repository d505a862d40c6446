"""Phrases against the regions that they are linked to."""

from __future__ import annotations

from torch import Tensor, nn

from harmoclip.losses.contrastive import symmetric_contrast


class LexemeRegionLoss(nn.Module):
    """Contrast of every linked region with its phrase, over all links of the batch.

    Each link (region r, phrase p) is a row and a column. Links with equal phrases are positives of each
    other, so that "a dog" in one image never pushes "a dog" of another away.

    Example:
        >>> import torch
        >>> loss = LexemeRegionLoss()(
        ...     torch.randn(3, 16), torch.randn(2, 16), torch.tensor([[0, 0], [1, 1], [2, 1]]),
        ...     torch.tensor([11, 12]), torch.tensor(2.0),
        ... )
    """

    def forward(
        self,
        regions: Tensor,
        lexemes: Tensor,
        links: Tensor,
        phrase_id: Tensor,
        log_scale: Tensor,
        bias: Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch, a float32 scalar; zero and connected to the graph without links.

        Args:
            regions: `[R, D]` region vectors.
            lexemes: `[P, D]` phrase vectors.
            links: `[M, 2]` pairs (region, phrase).
            phrase_id: `[P]` equal for equal phrases.
            log_scale: Learned log temperature.
            bias: Learned bias; where it is given, the sigmoid form is taken.
        """
        if not len(links):
            return (regions.sum() + lexemes.sum() + log_scale.sum()).float() * 0.0
        region, phrase = links.unbind(1)
        ids = phrase_id[phrase]
        return symmetric_contrast(regions[region], lexemes[phrase], ids[:, None] == ids, log_scale, bias)
