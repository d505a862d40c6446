"""Image-to-text and text-to-image retrieval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb

import torch
from torch import Tensor

from harmoclip.errors import InputError
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.vectors import ArrayLike, comparable


def retrieval(
    image: ArrayLike,
    text: ArrayLike,
    image_of_text: ArrayLike | None = None,
    *,
    ks: Sequence[int] = (1, 5, 10),
    chunk: int = 256,
) -> Metrics:
    """Recall at k both ways, in [0, 1], and the median rank, 1 at best.

    An image is found by any of its captions (its best-ranked one counts); a caption finds its one image.
    Ties count half of the tied rivals as ahead, so that equal vectors give chance, not perfection. Memory
    grows with `chunk` times the larger side: 5,000 images and 25,000 captions need 100 MB.

    Args:
        image: `[N, D]` image vectors.
        text: `[M, D]` text vectors.
        image_of_text: `[M]` the image of each caption, a tensor or a list; caption i belongs to image i where
            it is None.
        ks: The k of recall at k.
        chunk: Rows of the similarity matrix held at a time.

    Returns:
        `i2t_r1`, ..., `i2t_median_rank`, `t2i_r1`, ..., `t2i_median_rank`.

    Raises:
        EvaluationError: Some vectors are not finite or all zeros, or there are none.
        InputError: A caption has no image, or an image no caption.

    Example:
        >>> import torch
        >>> retrieval(torch.eye(4), torch.eye(4), ks=(1,))["i2t_r1"]
        1.0
    """
    image, text = comparable(image, text, ("image vectors", "text vectors"))
    owner = image_owners(image_of_text, len(text), len(image)).to(image.device)
    own = torch.arange(len(image), device=image.device)
    captions = torch.bincount(owner, minlength=len(image))
    i2t = all_ranks(image, text, own, owner, chunk)
    t2i = all_ranks(text, image, owner, own, chunk)
    return recalls("i2t", i2t, ks, captions, len(text)) | recalls(
        "t2i", t2i, ks, torch.ones_like(owner), len(image)
    )


def mean_recall(found: Mapping[str, float], k: int = 1, *, prefix: str = "") -> float:
    """The mean of both directions' recall at k.

    Args:
        found: With `i2t_r1` and `t2i_r1`, where k is 1.
        k: The k of recall at k.
        prefix: What these names begin with: `phrase_` in retrieval by phrases.

    Example:
        >>> mean_recall({"i2t_r1": 0.5, "t2i_r1": 0.25})
        0.375
    """
    return (found[f"{prefix}i2t_r{k}"] + found[f"{prefix}t2i_r{k}"]) / 2


def image_owners(image_of_text: ArrayLike | None, texts: int, images: int) -> Tensor:
    """The image `[M]` of each caption."""
    owner = torch.arange(texts) if image_of_text is None else torch.as_tensor(image_of_text)
    if owner.shape != (texts,) or set(owner.tolist()) != set(range(images)):
        raise InputError(
            f"image_of_text is of shape {list(owner.shape)} and names {len(owner.unique())} images, for "
            f"{texts} captions of {images} images: expected one image for each caption, and at least one "
            "caption for each image."
        )
    return owner.long()


def all_ranks(
    queries: Tensor, found: Tensor, owner: Tensor, owner_of_found: Tensor, chunk: int = 256
) -> Tensor:
    """The rank `[N]` of each query's best target, from 1; a target is what has the query's owner."""
    return torch.cat(
        [
            best_ranks(rows @ found.T, own[:, None] == owner_of_found)
            for rows, own in zip(queries.split(chunk), owner.split(chunk), strict=True)
        ]
    )


def best_ranks(similarity: Tensor, target: Tensor) -> Tensor:
    """The rank `[N]` of each row's best target among the columns that are not its targets, from 1.

    Ties count half of the tied columns as ahead.

    Args:
        similarity: `[N, M]`, -inf where a column is no candidate; it is overwritten.
        target: `[N, M]` bool, the right columns.

    Example:
        >>> best_ranks(torch.tensor([[0.3, 0.9, 0.3]]), torch.tensor([[True, False, False]]))
        tensor([2.5000])
    """
    best = similarity.masked_fill(~target, -torch.inf).amax(1, keepdim=True)
    others = similarity.masked_fill_(target, -torch.inf)
    return 1 + (others > best).sum(1) + (others == best).sum(1) / 2


def recalls(name: str, rank: Tensor, ks: Sequence[int], targets: Tensor, found: int) -> Metrics:
    """Recall at k and median rank of ranks from 1, each query with so many targets among `found` rows."""
    found_at = [
        Metric(f"{name}_r{k}", (rank <= k).double().mean().item(), chance=_chance(targets, found, k))
        for k in ks
    ]
    return Metrics([*found_at, Metric(f"{name}_median_rank", rank.median().item(), "rank")])


def _chance(targets: Tensor, found: int, k: int) -> float:
    """How likely one of the targets is among k of all, in random order: 1 - C(found - t, k) / C(found, k)."""
    count, often = targets.unique(return_counts=True)
    missed = [comb(found - t, k) / comb(found, min(k, found)) for t in count.tolist()]
    return 1 - sum(m * n for m, n in zip(missed, often.tolist(), strict=True)) / len(targets)
