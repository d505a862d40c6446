"""Phrases against the regions that they are linked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from harmoclip.errors import InputError
from harmoclip.losses.contrastive import symmetric_contrast, temperature
from harmoclip.losses.gather import Gathered, gather, row_counts, unique_index
from harmoclip.losses.own_negatives import own_negatives
from harmoclip.losses.positives import Positives
from harmoclip.losses.terms import Step, Term
from harmoclip.tensors import full_precision, l2_normalize


class LexemeRegionLoss(nn.Module):
    """Contrast of every linked region with its phrase, over all links of all ranks.

    Each link (region r, phrase p) is a row and a column; `Positives` tells which other columns are right for
    a row too, so that "a dog" in one image never pushes "a dog" of another away.

    Args:
        positives: The weights of phrases that are no plain negatives.
        distinct_phrases: A region chooses among the distinct phrases of the batch, each of which stands once
            however many links it has (the loss learns how likely a phrase is, as with the logits adjusted by
            frequency of arXiv 2007.07314); False lets it stand as often as it is linked, so that frequent
            phrases are held down. The sigmoid form knows no such choice.
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

    def __init__(
        self,
        positives: Positives | None = None,
        *,
        distinct_phrases: bool = True,
        local_loss: bool = True,
    ) -> None:
        super().__init__()
        self.positives = positives or Positives()
        self.distinct_phrases = distinct_phrases
        self.local_loss = local_loss

    def forward(
        self,
        regions: Tensor,
        lexemes: Tensor,
        links: Tensor,
        phrase_id: Tensor,
        image_index: Tensor,
        logit_scale: Tensor,
        logit_bias: Tensor | None = None,
        *,
        boxes: Tensor | None = None,
        image_id: Tensor | None = None,
        negatives: Tensor | None = None,
        counts: tuple[tuple[int, ...], tuple[int, ...]] | None = None,
    ) -> Tensor:
        """The loss of a batch, a float32 scalar; zero and connected to the graph without links.

        Args:
            regions: `[R, D]` region vectors.
            lexemes: `[P, D]` phrase vectors, or `[F, P, D]` several forms of them, whose losses are averaged.
            links: `[M, 2]` pairs (region, phrase).
            phrase_id: `[P]` equal for equal phrases, on every rank.
            image_index: `[R]` the image of each region.
            logit_scale: Learned log of the factor on cosines.
            logit_bias: Learned bias; where it is given, the sigmoid form is taken.
            boxes: `[R, 4]` xyxy, needed where overlapping boxes are positives.
            image_id: `[B]` equal for the same photograph, on every rank: its images count as one image.
            negatives: `[N, 2]` pairs (region, phrase) that are wrong: they join their own region's rows.
            counts: The links and the negatives on each rank, where `row_counts` told them before.

        Raises:
            InputError: Boxes are missing.
        """
        if boxes is None and self.positives.overlap is not None:
            raise InputError(
                "overlapping boxes are positives, but boxes were not given: give them, or overlap=None."
            )
        forms = lexemes if lexemes.ndim == 3 else lexemes[None]
        negatives = links[:0] if negatives is None else negatives
        link_counts, negative_counts = counts or row_counts(len(links), len(negatives), device=links.device)
        region, phrase = links.unbind(1)
        rows = gather(full_precision(regions)[region], link_counts)
        columns = _forms(gather(full_precision(forms)[:, phrase].transpose(0, 1), link_counts))
        labels = self._labels(links, phrase_id, image_index, boxes, image_id, link_counts)
        repeats = occurrences(labels[0].all[:, 0]) if self.distinct_phrases else None
        beside: list[Gathered | None] = [None] * len(forms)
        if sum(negative_counts) > 0:
            scale = temperature(logit_scale)
            of_regions = [own_negatives(regions, form, negatives, scale, logit_bias) for form in forms]
            beside = [self._of_rows(extra[region], link_counts) for extra in of_regions]
        losses = [
            symmetric_contrast(
                rows,
                form,
                labels if self.positives.synonyms is None else (*labels, _meanings(form)),
                self.positives.weights,
                logit_scale,
                logit_bias,
                own_negatives=extra,
                repeats=repeats,
                local_loss=self.local_loss,
            )
            for form, extra in zip(columns, beside, strict=True)
        ]
        return torch.stack(losses).mean()

    def _of_rows(self, extra: Tensor, counts: tuple[int, ...]) -> Gathered:
        """Values of this rank's rows; those of all ranks only where every rank computes the whole loss."""
        return Gathered(extra, extra, counts) if self.local_loss else gather(extra, counts)

    def _labels(
        self,
        links: Tensor,
        phrase_id: Tensor,
        image_index: Tensor,
        boxes: Tensor | None,
        image_id: Tensor | None,
        counts: tuple[int, ...],
    ) -> tuple[Gathered, ...]:
        """Phrase, region and image of each link, and its box: what `Positives` asks for."""
        region, phrase = links.unbind(1)
        image = image_index[region]
        image = unique_index(image) if image_id is None else image_id[image]
        labels = gather(torch.stack([phrase_id[phrase], unique_index(region), image], 1), counts)
        return (labels,) if boxes is None else (labels, gather(boxes[region], counts))


def _forms(columns: Gathered) -> list[Gathered]:
    """The columns `[N, D]` of each form, from `[N, F, D]`."""
    both = zip(columns.own.unbind(1), columns.all.unbind(1), strict=True)
    return [Gathered(own, every, columns.counts) for own, every in both]


def _meanings(phrases: Gathered) -> Gathered:
    """What phrases `[N, D]` mean beside each other: their directions, less what all have in common."""
    shared = l2_normalize(phrases.all).mean(0).detach()
    return phrases.map(lambda vectors: l2_normalize(l2_normalize(vectors.detach()) - shared))


def occurrences(labels: Tensor) -> Tensor:
    """How often each of the labels `[N]` is among them, int64 `[N]`."""
    labels = labels.contiguous()
    ordered = labels.sort().values
    return torch.searchsorted(ordered, labels, right=True) - torch.searchsorted(ordered, labels)


@dataclass(frozen=True)
class LexemeRegionTerm(Term):
    """Each linked region against the phrases of the batch, as a term of the objective."""

    positives: Positives
    distinct_phrases: bool
    row_negatives: bool
    local_loss: bool

    name: ClassVar[str] = "lexeme_region"
    weight: ClassVar[float] = 1.0
    judges: ClassVar[tuple[str, ...]] = ("regions", "phrases")

    def __call__(self, step: Step, logit_scale: Tensor, logit_bias: Tensor | None) -> Tensor:
        """The loss of a batch."""
        batch, counts = step.grounding, step.counts
        none = tuple(0 for _ in counts.links)
        return LexemeRegionLoss(
            self.positives, distinct_phrases=self.distinct_phrases, local_loss=self.local_loss
        )(
            step.vectors["regions"],
            step.vectors["phrases"],
            batch.links,
            batch.phrase_id,
            batch.image_index,
            logit_scale,
            logit_bias,
            boxes=batch.boxes,
            image_id=step.own_labels("image_id"),
            negatives=batch.negatives if self.row_negatives else None,
            counts=(counts.links, counts.negatives if self.row_negatives else none),
        )
