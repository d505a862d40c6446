"""The right text of an image or a box among texts that are nearly right."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harmoclip.errors import DataError
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.retrieval import best_ranks
from harmoclip.evaluate.vectors import unit_vectors


def choices(
    encoder: Encoder,
    vectors: Tensor,
    texts: Sequence[Sequence[str]],
    name: str,
    left_out: Sequence[str] = (),
) -> Metrics:
    """How often the first of a vector's texts is the most similar to it.

    A tie is no success, so that a collapsed model gets no credit.

    Args:
        encoder: The model.
        vectors: `[N, D]` of images or boxes.
        texts: For each of them its candidates, the right one first.
        name: What the metrics' names begin with.
        left_out: What could not be asked.

    Returns:
        `{name}_top1`, `{name}_median_rank` and `{name}_count`.

    Raises:
        DataError: There is nothing to ask, or a vector has no wrong text.
        EvaluationError: Some vectors are not finite or all zeros.
    """
    if not len(texts) or min(map(len, texts)) < 2:
        raise DataError(
            f"{name}: expected a right and at least one wrong text for each of one or more vectors."
        )
    flat = unit_vectors(encoder.text_vectors([text for own in texts for text in own]), "text vectors")
    rows = unit_vectors(vectors, "vectors")
    ranks = torch.cat(
        [
            best_ranks((own @ row)[None], torch.arange(len(own))[None] == 0)
            for row, own in zip(rows, flat.split([len(own) for own in texts]), strict=True)
        ]
    )
    chance = sum(1 / len(own) for own in texts) / len(texts)
    return Metrics(
        [
            Metric(f"{name}_top1", (ranks <= 1).double().mean().item(), chance=chance),
            Metric(f"{name}_median_rank", ranks.median().item(), "rank"),
            Metric(f"{name}_count", len(texts), "count"),
        ],
        left_out,
    )
