"""Phrases against the boxes and the patches of their own image."""

from __future__ import annotations

import torch
from torch import Tensor

from harmoclip.data import Sample
from harmoclip.errors import DataError
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.regions import Regions
from harmoclip.evaluate.samples import Samples
from harmoclip.tensors import l2_normalize


def referring(encoder: Encoder, samples: Samples, regions: Regions = "dense") -> Metrics:
    """How often the best of an image's boxes for an expression is a box it is linked to.

    Expressions are the linked phrases, each encoded as a text of its own; those of images where every box
    is linked are left out, as nothing could be wrong.

    Args:
        encoder: The model.
        samples: With phrases and links, such as RefCOCO's.
        regions: How a box becomes a vector, see `Encoder.region_vectors`.

    Raises:
        DataError: No image asks anything.
        EvaluationError: Some vectors are not finite or all zeros.
    """
    found = encoder.region_vectors(samples, regions)
    right, chances = [], []
    phrases = phrase_vectors(encoder, found.samples)
    for sample, boxes, texts in zip(found.samples, found.vectors.split(found.counts), phrases, strict=True):
        linked = linked_boxes(sample)
        asked = ~linked.all(1)
        if asked.any():
            best = (texts[asked] @ boxes.T).argmax(1)
            right.append(linked[asked].gather(1, best[:, None])[:, 0])
            chances.append(linked[asked].double().mean(1))
    return _summary("referring", right, chances, found.left_out)


def pointing(encoder: Encoder, samples: Samples) -> Metrics:
    """How often the patch that is most like a phrase has its center in a box of the phrase.

    The pointing game of Zhang et al. (arXiv 1608.00507), at the model's own grid and without a tolerance.

    Args:
        encoder: The model.
        samples: With phrases and links.

    Raises:
        DataError: No phrase has a box.
        EvaluationError: Some vectors are not finite or all zeros.
    """
    right, chances = [], []
    for batch, dense in encoder.dense_vectors(samples):
        for sample, patches, texts in zip(batch, dense, phrase_vectors(encoder, batch), strict=True):
            if len(texts):
                centers = _centers(*patches.shape[:2])
                inside = _inside(centers, sample.boxes) @ linked_boxes(sample).double().T > 0
                best = (texts @ l2_normalize(patches).flatten(0, 1).T).argmax(1)
                right.append(inside.T.gather(1, best[:, None])[:, 0])
                chances.append(inside.double().mean(0))
    return _summary("pointing", right, chances)


def linked_phrases(sample: Sample) -> list[int]:
    """The phrases of a sample that have a box, in order."""
    return sorted({phrase for _, phrase in sample.links})


def linked_boxes(sample: Sample) -> Tensor:
    """Which boxes each linked phrase has, `[P, R]` bool."""
    rows = {phrase: i for i, phrase in enumerate(linked_phrases(sample))}
    linked = torch.zeros(len(rows), len(sample.boxes), dtype=torch.bool)
    for region, phrase in sample.links:
        linked[rows[phrase], region] = True
    return linked


def phrase_vectors(encoder: Encoder, samples: list[Sample]) -> list[Tensor]:
    """The vectors `[P, D]` of each sample's linked phrases, each encoded as a text of its own."""
    texts = [[sample.phrase_texts[p] for p in linked_phrases(sample)] for sample in samples]
    flat = [text for own in texts for text in own]
    vectors = l2_normalize(encoder.text_vectors(flat)) if flat else torch.empty(0, 0)
    return list(vectors.split([len(own) for own in texts]))


def _centers(height: int, width: int) -> Tensor:
    """The center `[H * W, 2]` (x, y) in [0, 1] of each patch of a grid."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([(x.flatten() + 0.5) / width, (y.flatten() + 0.5) / height], 1)


def _inside(points: Tensor, boxes: Tensor) -> Tensor:
    """`[N, R]` 1 where a point lies in a box."""
    point = points[:, None]
    return ((point >= boxes[:, :2]) & (point <= boxes[:, 2:])).all(2).double()


def _summary(
    name: str, right: list[Tensor], chances: list[Tensor], left_out: tuple[str, ...] = ()
) -> Metrics:
    if not right:
        raise DataError(f"{name}: no sample links a phrase to one of several boxes.")
    rows = torch.cat(right)
    score = Metric(name, rows.double().mean().item(), chance=torch.cat(chances).mean().item())
    return Metrics([score, Metric(f"{name}_phrases", len(rows), "count")], left_out)
