"""Retrieval that also asks where in an image each phrase of a caption is: late interaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from harmoclip.errors import InputError
from harmoclip.evaluate.captioned import Captioned
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metrics
from harmoclip.evaluate.retrieval import all_ranks, best_ranks, image_owners, mean_recall, recalls
from harmoclip.evaluate.vectors import ArrayLike, check_vectors, comparable, unit_vectors
from harmoclip.segment import CaptionSegmenter
from harmoclip.tensors import l2_normalize

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5)


class Candidates(NamedTuple):
    """The best of one side for each query of the other, by the global vectors."""

    found: Tensor  # [Q, K] rows of the other side, the best first
    plain: Tensor  # [Q, K] global cosine
    phrases: Tensor  # [Q, K] what the caption's phrases find in the image: their part at a share of 1
    right: Tensor  # [Q, K] bool, the targets of the query
    plain_rank: Tensor  # [Q] the rank of the best target among all
    targets: Tensor  # [Q] how many targets a query has
    total: int  # of the other side

    def scores(self, share: float) -> Tensor:
        """`[Q, K]` the score of each candidate."""
        return self.plain + share * self.phrases

    def order(self, share: float) -> Tensor:
        """`[Q, K]` the candidates, ranked again."""
        return self.found.gather(1, self.scores(share).argsort(dim=1, descending=True, stable=True))

    def rank(self, share: float) -> Tensor:
        """`[Q]` the rank of the best target; what is no candidate stays behind those that are."""
        return torch.where(self.right.any(1), best_ranks(self.scores(share), self.right), self.plain_rank)


@dataclass(frozen=True)
class PhraseRanking:
    """Candidates of both directions, to be ranked again with any share; made by `phrase_ranking`.

    Args:
        images: For each caption.
        texts: For each image.
    """

    images: Candidates
    texts: Candidates

    def metrics(self, share: float, *, ks: Sequence[int] = (1, 5, 10)) -> Metrics:
        """Recall at k and median rank both ways, as `phrase_i2t_r1` and so on.

        Args:
            share: The factor of the phrases' part; 0 is plain retrieval. Choose it on other images, which
                training has not seen either.
            ks: The k of recall at k, up to the number of candidates.
        """
        sides = (("phrase_i2t", self.texts), ("phrase_t2i", self.images))
        found = [recalls(name, side.rank(share), ks, side.targets, side.total) for name, side in sides]
        return found[0] | found[1]

    def best_share(self, shares: Sequence[float] = SHARES) -> float:
        """The share with the highest mean of both R@1, the smallest one of equals."""

        def mean_r1(share: float) -> float:
            return mean_recall(self.metrics(share, ks=(1,)), prefix="phrase_")

        return max(sorted(shares), key=mean_r1)


def rank_by_phrases(
    image: ArrayLike,
    text: ArrayLike,
    dense: Iterable[Tensor],
    phrases: ArrayLike,
    text_of_phrase: ArrayLike,
    image_of_text: ArrayLike | None = None,
    *,
    top: int = 100,
) -> PhraseRanking:
    """Let the phrases of a caption look for themselves in the patches of the images that it may belong to.

    A caption t with n phrases and an image i score

        cos(t, i) + share * sqrt(n) * (mean_p max_c cos(p, c) - m)

    over the phrases p of the caption and the patches c of the image, where m is what the mean gives for
    captions and images that do not belong together (one image for each caption). A mean of n phrases is
    sqrt(n) times as sure as one phrase, so evidence adds up (as in Stouffer's method), and an image does not
    go to the caption whose one phrase is vague. Only the `top` best of each caption and of each image by the
    global vectors are scored and ranked again, so an index of global vectors finds the candidates, and the
    cost of a query does not grow with the collection. A caption without phrases is its own phrase.

    Args:
        image: `[N, D]` image vectors.
        text: `[M, D]` caption vectors.
        dense: The patch vectors of each image in order, `[..., D]` each: a tensor `[N, H, W, D]`, or whatever
            yields one image at a time, so that not all have to be held.
        phrases: `[P, D]` vectors of the captions' phrases, encoded as texts of their own.
        text_of_phrase: `[P]` the caption of each phrase.
        image_of_text: `[M]` the image of each caption; caption i belongs to image i where it is None.
        top: How many candidates each caption and each image has.

    Raises:
        EvaluationError: Some vectors are not finite or all zeros.
        InputError: A phrase has no caption, a caption no image, an image no caption or no patches.

    Example:
        >>> import torch
        >>> image, text = torch.tensor([[1.0, 0.2], [1.0, 0.1]]), torch.eye(2)
        >>> dense = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])  # one patch an image
        >>> ranking = rank_by_phrases(image, text, dense, torch.eye(2), [0, 1])
        >>> ranking.metrics(0.0)["phrase_t2i_r1"], ranking.metrics(1.0)["phrase_t2i_r1"]
        (0.0, 1.0)
    """
    image, text = comparable(image, text, ("image vectors", "text vectors"))
    owner = image_owners(image_of_text, len(text), len(image)).to(image.device)
    own = torch.arange(len(image), device=image.device)
    asked = _Phrases.of(text, phrases, text_of_phrase)
    t2i, i2t = _best(text, image, top), _best(image, text, top)
    every = torch.arange(len(text), device=image.device)
    texts = torch.cat([every.repeat_interleave(t2i.shape[1]), i2t.flatten(), every])
    images = torch.cat([t2i.flatten(), own.repeat_interleave(i2t.shape[1]), _strangers(owner, len(image))])
    scores = _search(asked, dense, texts, images, len(image))
    scores = (scores - scores[-len(text) :].mean()) * asked.counts[texts].sqrt()
    of_texts, of_images, _ = scores.split([t2i.numel(), i2t.numel(), len(text)])
    return PhraseRanking(
        _candidates(text, image, owner, own, t2i, of_texts.view_as(t2i)),
        _candidates(image, text, own, owner, i2t, of_images.view_as(i2t)),
    )


def phrase_ranking(encoder: Encoder, captioned: Captioned, *, top: int = 100) -> PhraseRanking:
    """`rank_by_phrases` of a model on a retrieval set.

    The phrases are those that `CaptionSegmenter` finds in the captions, each a text of its own; the patches
    are those of the whole image, resized to the model's input without keeping the aspect.

    Args:
        encoder: The model.
        captioned: Images with their captions, in English.
        top: How many candidates each caption and each image has.

    Raises:
        EvaluationError: Some vectors are not finite or all zeros.

    Example:
        >>> from harmoclip.data.scenes import Scenes
        >>> ranking = phrase_ranking(encoder, Captioned.samples(Scenes("test", 4)))
        >>> sorted(ranking.metrics(share=0.4, ks=(1,)))[:2]
        ['phrase_i2t_median_rank', 'phrase_i2t_r1']
    """
    found = list(CaptionSegmenter().pipe(captioned.captions))
    phrases = [phrase.text for own in found for phrase in own]
    owner = torch.arange(len(found)).repeat_interleave(torch.tensor([len(own) for own in found]))
    text = encoder.text_vectors(captioned.captions)
    return rank_by_phrases(
        encoder.image_vectors(captioned.read, captioned.images),
        text,
        encoder.patch_vectors(captioned.read, captioned.images),
        encoder.text_vectors(phrases) if phrases else text[:0],
        owner,
        captioned.image_of_text,
        top=top,
    )


class _Phrases(NamedTuple):
    """The phrases of all captions, those of one caption in a row."""

    vectors: Tensor  # [P, D]
    first: Tensor  # [M] the first phrase of each caption
    counts: Tensor  # [M] how many there are

    @classmethod
    def of(cls, text: Tensor, phrases: ArrayLike, text_of_phrase: ArrayLike) -> _Phrases:
        """Sorted by caption; a caption without any is its own."""
        owner = torch.as_tensor(text_of_phrase, dtype=torch.int64, device=text.device)
        if owner.shape != (len(phrases),) or (len(owner) and not 0 <= owner.min() <= owner.max() < len(text)):
            raise InputError(
                f"text_of_phrase is of shape {list(owner.shape)}, for {len(phrases)} phrases of {len(text)} "
                "captions: expected the row of a caption for each phrase."
            )
        alone = torch.bincount(owner, minlength=len(text)) == 0
        vectors = [unit_vectors(phrases, "phrase vectors").to(text)] if len(owner) else []
        owner = torch.cat([owner, alone.nonzero()[:, 0]])
        order = owner.argsort(stable=True)
        count = torch.bincount(owner, minlength=len(text))
        return cls(torch.cat([*vectors, text[alone]])[order], count.cumsum(0) - count, count)

    def rows(self, texts: Tensor) -> tuple[Tensor, Tensor]:
        """The phrases of these captions one after the other, and which of the captions each belongs to."""
        count = self.counts[texts]
        which = torch.arange(len(texts), device=texts.device).repeat_interleave(count)
        before = (count.cumsum(0) - count)[which]
        return self.first[texts][which] + torch.arange(len(which), device=texts.device) - before, which


def _best(queries: Tensor, found: Tensor, top: int, chunk: int = 256) -> Tensor:
    """`[Q, K]` the most similar rows of each query."""
    return torch.cat(
        [(rows @ found.T).topk(min(top, len(found)), dim=1).indices for rows in queries.split(chunk)]
    )


def _strangers(owner: Tensor, images: int) -> Tensor:
    """For each caption an image that is not its own; where there is but one, that one."""
    distance = torch.arange(len(owner), device=owner.device) % max(1, images - 1) + 1
    return (owner + distance) % images


def _search(asked: _Phrases, dense: Iterable[Tensor], texts: Tensor, images: Tensor, total: int) -> Tensor:
    """For pairs of a caption and an image: the mean over phrases of the best cosine among the patches."""
    scores = asked.vectors.new_zeros(len(texts))
    pairs_of_image = images.argsort(stable=True).split(torch.bincount(images, minlength=total).tolist())
    seen = 0
    for patches in dense:
        if seen < total:
            scores[pairs_of_image[seen]] = _mean_best(asked, patches, texts[pairs_of_image[seen]], seen)
        seen += 1
    if seen != total:
        raise InputError(f"dense has the patches of {seen} images, but there are {total} image vectors.")
    return scores


def _mean_best(asked: _Phrases, patches: Tensor, texts: Tensor, image: int) -> Tensor:
    # a rectifier may leave a patch without any feature: all zeros, it is like nothing
    check_vectors(patches.reshape(1, -1), "images by their patches", lambda row: f"image {image}")
    cells = l2_normalize(patches.reshape(-1, patches.shape[-1]))
    rows, which = asked.rows(texts)
    best = (asked.vectors[rows] @ cells.to(asked.vectors).T).amax(1)
    return best.new_zeros(len(texts)).index_add(0, which, best) / asked.counts[texts]


def _candidates(
    queries: Tensor, found: Tensor, owner: Tensor, owner_of_found: Tensor, index: Tensor, phrases: Tensor
) -> Candidates:
    blocks = zip(queries.split(64), index.split(64), strict=True)
    plain = torch.cat([torch.einsum("qd,qkd->qk", rows, found[columns]) for rows, columns in blocks])
    return Candidates(
        index,
        plain,
        phrases,
        owner[:, None] == owner_of_found[index],
        all_ranks(queries, found, owner, owner_of_found),
        torch.bincount(owner_of_found, minlength=int(owner.max()) + 1)[owner],
        len(found),
    )
