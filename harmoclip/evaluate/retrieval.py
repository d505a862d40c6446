"""Image-to-text and text-to-image retrieval."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harmoclip.errors import InputError
from harmoclip.tensors import l2_normalize


def retrieval(
    image: Tensor,
    text: Tensor,
    image_of_text: Tensor | None = None,
    *,
    ks: Sequence[int] = (1, 5, 10),
    chunk: int = 256,
) -> dict[str, float]:
    """Recall at k both ways, in [0, 1], and the median rank, 1 at best.

    An image is found by any of its captions (its best-ranked one counts); a caption finds its one image.
    Ties count half of the tied rivals as ahead, so that equal vectors give chance, not perfection. Memory
    grows with `chunk` times the larger side: 5,000 images and 25,000 captions need 100 MB.

    Args:
        image: `[N, D]` image vectors.
        text: `[M, D]` text vectors.
        image_of_text: `[M]` the image of each caption; caption i belongs to image i where it is None.
        ks: The k of recall at k.
        chunk: Rows of the similarity matrix held at a time.

    Returns:
        `i2t_r1`, ..., `i2t_median_rank`, `t2i_r1`, ..., `t2i_median_rank`.

    Raises:
        InputError: A caption has no image, or an image no caption.

    Example:
        >>> import torch
        >>> retrieval(torch.eye(4), torch.eye(4), ks=(1,))["i2t_r1"]
        1.0
    """
    if image_of_text is None:
        image_of_text = torch.arange(len(text), device=text.device)
    if len(image_of_text) != len(text) or set(image_of_text.tolist()) != set(range(len(image))):
        raise InputError(
            f"{len(text)} captions name {len(image_of_text.unique())} of {len(image)} images: "
            "expected one image for each caption, and at least one caption for each image."
        )
    own = torch.arange(len(image), device=image.device)
    i2t = _all_ranks(image, text, own, image_of_text.to(image.device), chunk)
    t2i = _all_ranks(text, image, image_of_text.to(image.device), own, chunk)
    return {**_summary("i2t", i2t, ks), **_summary("t2i", t2i, ks)}


def _all_ranks(queries: Tensor, found: Tensor, owner: Tensor, owner_of_found: Tensor, chunk: int) -> Tensor:
    queries, found = l2_normalize(queries), l2_normalize(found)
    return torch.cat(
        [
            _ranks(rows @ found.T, own[:, None] == owner_of_found)
            for rows, own in zip(queries.split(chunk), owner.split(chunk), strict=True)
        ]
    )


def _ranks(similarity: Tensor, target: Tensor) -> Tensor:
    """The rank `[N]` of each row's best target among the columns that are not its targets, from 1."""
    best = similarity.masked_fill(~target, -torch.inf).amax(1, keepdim=True)
    others = similarity.masked_fill_(target, -torch.inf)
    return 1 + (others > best).sum(1) + (others == best).sum(1) / 2


def _summary(name: str, ranks: Tensor, ks: Sequence[int]) -> dict[str, float]:
    recall = {f"{name}_r{k}": (ranks <= k).double().mean().item() for k in ks}
    return {**recall, f"{name}_median_rank": ranks.median().item()}
