"""Flickr30k Entities (Plummer et al., arXiv 1505.04870): which box a phrase of a caption names."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torchvision.ops import box_iou

from harmoclip.data import Sample
from harmoclip.data.formats.flickr30k import Flickr30kEntities
from harmoclip.errors import DataError
from harmoclip.evaluate.captioned import Captioned
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.proposals import Proposals, ProposedBoxes, read_proposals
from harmoclip.evaluate.referring import linked_boxes, phrase_vectors
from harmoclip.evaluate.regions import Regions
from harmoclip.evaluate.samples import Samples, keep_usable_boxes, without_pixels
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.yardsticks.common import expression_tasks, retrieval_tasks

KS = (1, 5, 10)
IOU = 0.5


def phrase_grounding(
    encoder: Encoder, samples: Samples, proposals: dict[str, Proposals], regions: Regions = "dense"
) -> Metrics:
    """Recall at k of phrases: one of the k most similar proposals overlaps the phrase's box at IoU 0.5.

    A phrase with several boxes is found by any of them (`any`), or by the box around them all (`merged`):
    both are published. A phrase of an image without proposals is not found.

    Args:
        encoder: The model.
        samples: With phrases and links; those of one key are captions of one image.
        proposals: The boxes of each image, by its key, in pixels of the image.
        regions: How a box becomes a vector.

    Returns:
        `any_r1`, ..., `merged_r10`, and `proposal_recall`, the share of phrases that any proposal finds.

    Raises:
        DataError: No phrase has a box, or no proposal is of one of the images.
        EvaluationError: Some vectors are not finite or all zeros.
    """
    asked = [keep_usable_boxes(samples, i) for i in range(len(samples))]
    sentences = [without_pixels(usable.sample) for usable in asked]
    first = {s.key: i for i, s in reversed(list(enumerate(sentences)))}
    keys = [key for key in first if key in proposals]
    if not keys:
        raise DataError(
            f"no proposal is of one of the {len(first)} images: their ids are such as "
            f"{next(iter(first), '')!r}, those of the proposals such as {next(iter(proposals), '')!r}."
        )
    found = encoder.region_vectors(
        ProposedBoxes(keys, lambda i: samples[first[keys[i]]].image, proposals), regions
    )
    by_key = dict(zip(keys, zip(found.samples, found.vectors.split(found.counts), strict=True), strict=True))
    hits = [
        _hits(sample, phrases, *by_key[sample.key])
        if sample.key in by_key
        else torch.zeros(len(phrases), 2, len(KS) + 1)
        for sample, phrases in zip(sentences, phrase_vectors(encoder, sentences), strict=True)
    ]
    rows = torch.cat(hits)
    if not len(rows):
        raise DataError("no phrase has a box: nothing to ground.")
    left_out = [text for usable in asked for text in usable.left_out]
    left_out += [f"{key}: the image has no proposals" for key in first if key not in proposals]
    left_out += [f"{key}: proposals of an image that is not asked" for key in proposals if key not in first]
    return _summary(rows, dict.fromkeys((*left_out, *found.left_out)))


def _hits(sample: Sample, phrases: Tensor, proposed: Sample, vectors: Tensor) -> Tensor:
    """`[P, 2, K + 1]` 1 where any box, or the merged one, is found among k proposals, or among all."""
    linked = linked_boxes(sample)
    hits = torch.zeros(len(linked), 2, len(KS) + 1)
    if not len(linked) or not len(vectors):
        return hits
    order = (phrases @ vectors.T).argsort(dim=1, descending=True, stable=True)
    for phrase, rows in enumerate(linked):
        own = sample.boxes[rows]
        around = torch.cat([own[:, :2].amin(0), own[:, 2:].amax(0)])[None]
        for way, boxes in enumerate((own, around)):
            right = (box_iou(proposed.boxes, boxes) >= IOU).any(1)[order[phrase]]
            found = [right[:k].any() for k in (*KS, len(right))]
            hits[phrase, way] = torch.stack(found)
    return hits


def _summary(hits: Tensor, left_out: Iterable[str]) -> Metrics:
    mean = hits.double().mean(0)
    recalls = [
        Metric(f"{way}_r{k}", mean[i, j].item())
        for i, way in enumerate(("any", "merged"))
        for j, k in enumerate(KS)
    ]
    bound = Metric("proposal_recall", mean[0, -1].item())
    return Metrics([*recalls, bound, Metric("grounding_phrases", len(hits), "count")], tuple(left_out))


def tasks(request: Request) -> list[Task]:
    """Retrieval, the right one of the image's boxes for a phrase, pointing, grounding among proposals.

    Raises:
        DataError: The folder is not in its layout, or the split is empty.
    """
    split = request.split or "test"
    samples = Flickr30kEntities(request.path, split, images=request.images)
    if not len(samples):
        raise DataError(
            f"{request.path / f'{split}.txt'} lists no image with a sentence: nothing to measure."
        )
    name = f"Flickr30k Entities {split}"
    found = [
        *retrieval_tasks(name, Captioned.samples(samples), request.phrase_share),
        *expression_tasks(name, samples, request.regions),
    ]
    if request.proposals is not None:
        proposals = read_proposals(request.proposals)
        found.append(
            Task(
                f"phrase grounding, {name}, {request.proposals.name}, {request.regions}",
                "regions",
                lambda encoder: phrase_grounding(encoder, samples, proposals, request.regions),
            )
        )
    return found
