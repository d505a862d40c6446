"""Phrases against the boxes and the patches of their own picture."""

from __future__ import annotations

import torch
from torch import Tensor

from harmoclip.data import Sample
from harmoclip.errors import DataError
from harmoclip.evaluate.subject import Regions, Samples, Subject
from harmoclip.tensors import l2_normalize


def referring(subject: Subject, samples: Samples, regions: Regions = "dense") -> dict[str, float]:
    """How often the best of a picture's boxes for an expression is a box it is linked to.

    Expressions are the linked phrases, each encoded as a text of its own; those of pictures where every box
    is linked are left out, as nothing could be wrong.

    Args:
        subject: The model.
        samples: With phrases and links, such as RefCOCO's.
        regions: How a box becomes a vector, see `Subject.region_vectors`.

    Raises:
        DataError: No picture asks anything.
    """
    right = []
    for batch, vectors in subject.region_vectors(samples, regions):
        for sample, boxes in zip(batch, vectors.split([len(s.boxes) for s in batch]), strict=True):
            linked = _linked(sample)
            asked = ~linked.all(1)
            if asked.any():
                best = (_phrases(subject, sample)[asked] @ l2_normalize(boxes).T).argmax(1)
                right.append(linked[asked].gather(1, best[:, None])[:, 0])
    return _share("referring", right)


def pointing(subject: Subject, samples: Samples) -> dict[str, float]:
    """How often the patch that is most like a phrase has its centre in a box of the phrase.

    The pointing game of Zhang et al. (arXiv 1608.00507), at the model's own grid and without a tolerance.

    Args:
        subject: The model.
        samples: With phrases and links.

    Raises:
        DataError: No phrase has a box.
    """
    right = []
    for batch, dense in subject.dense_vectors(samples):
        for sample, patches in zip(batch, dense, strict=True):
            linked = _linked(sample)
            if len(linked):
                point = _peak(_phrases(subject, sample), patches)
                inside = (
                    (point[:, None] >= sample.boxes[:, :2]) & (point[:, None] <= sample.boxes[:, 2:])
                ).all(2)
                right.append((inside & linked).any(1))
    return _share("pointing", right)


def _peak(phrases: Tensor, patches: Tensor) -> Tensor:
    """The centre `[P, 2]` (x, y) in [0, 1] of the patch most like each phrase."""
    height, width, _ = patches.shape
    best = (phrases @ l2_normalize(patches).flatten(0, 1).T).argmax(1)
    return torch.stack([(best % width + 0.5) / width, (best // width + 0.5) / height], 1)


def _named(sample: Sample) -> list[int]:
    return sorted({phrase for _, phrase in sample.links})


def _linked(sample: Sample) -> Tensor:
    """Which boxes each linked phrase has, `[P, R]` bool."""
    rows = {phrase: i for i, phrase in enumerate(_named(sample))}
    linked = torch.zeros(len(rows), len(sample.boxes), dtype=torch.bool)
    for region, phrase in sample.links:
        linked[rows[phrase], region] = True
    return linked


@torch.no_grad()
def _phrases(subject: Subject, sample: Sample) -> Tensor:
    texts = sample.phrase_texts
    ids = subject.tokenizer([texts[p] for p in _named(sample)]).to(subject.device)
    return l2_normalize(subject.harmo.towers.encode_text(ids)).cpu()


def _share(name: str, right: list[Tensor]) -> dict[str, float]:
    if not right:
        raise DataError(f"{name}: no sample links a phrase to one of several boxes.")
    rows = torch.cat(right)
    return {name: rows.double().mean().item(), f"{name}_phrases": len(rows)}
