"""Each region against its own phrase and phrases that are nearly right: FG-CLIP's hard negatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harmoclip.losses.contrastive import temperature
from harmoclip.losses.gather import mean_over_ranks, sum_over_ranks
from harmoclip.losses.own_negatives import own_negatives
from harmoclip.losses.terms import Step, Term
from harmoclip.tensors import l2_normalize


class HardNegativeLoss(nn.Module):
    """Cross entropy of a region's phrase among that phrase and the region's own negatives.

    The mean, over links (r, p) of regions that have negatives, of
    `-log(exp(z_rp) / (exp(z_rp) + sum_n exp(z_rn)))` with `z = exp(logit_scale) cos`: the hard fine-grained
    negative loss of FG-CLIP (arXiv 2505.05071). No other region's phrases take part.

    Example:
        >>> import torch
        >>> loss = HardNegativeLoss()(
        ...     torch.randn(2, 16), torch.randn(3, 16), links=torch.tensor([[0, 0], [1, 1]]),
        ...     negatives=torch.tensor([[0, 2]]), logit_scale=torch.tensor(2.0),
        ... )
    """

    def forward(
        self, regions: Tensor, phrases: Tensor, links: Tensor, negatives: Tensor, logit_scale: Tensor
    ) -> Tensor:
        """The loss over all ranks, a float32 scalar; zero and connected to the graph without negatives.

        Args:
            regions: `[R, D]` region vectors.
            phrases: `[P, D]` phrase vectors, or `[F, P, D]` several forms of them, whose losses are averaged.
            links: `[M, 2]` pairs (region, phrase) that are right.
            negatives: `[N, 2]` pairs (region, phrase) that are wrong.
            logit_scale: Learned log of the factor on cosines.
        """
        forms = phrases if phrases.ndim == 3 else phrases[None]
        region, phrase = links.unbind(1)
        has_negatives = torch.zeros_like(regions[:, 0], dtype=torch.bool)
        judged = has_negatives.index_fill(0, negatives[:, 0], True)[region]
        with torch.autocast(regions.device.type, enabled=False):
            scale, vectors = temperature(logit_scale), l2_normalize(regions)
            losses = []
            for form in l2_normalize(forms):
                right = scale * (vectors[region] * form[phrase]).sum(-1)
                wrong = own_negatives(vectors, form, negatives, scale)[region]
                losses.append((F.softplus(wrong - right) * judged).sum())
            return mean_over_ranks(torch.stack(losses).mean(), sum_over_ranks(judged.sum()))


@dataclass(frozen=True)
class HardNegativeTerm(Term):
    """The hard negatives of a batch as a term of the objective; off unless it is given a weight."""

    name: ClassVar[str] = "hard_negative"
    weight: ClassVar[float] = 0.0
    judges: ClassVar[tuple[str, ...]] = ("regions", "phrases")
    has_bias: ClassVar[bool] = False

    def __call__(self, step: Step, logit_scale: Tensor, logit_bias: Tensor | None) -> Tensor:
        """The loss of a batch."""
        pairs = step.grounding.links, step.grounding.negatives
        return HardNegativeLoss()(step.vectors["regions"], step.vectors["phrases"], *pairs, logit_scale)
