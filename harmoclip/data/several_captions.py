"""Several captions of an image in one sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch.utils.data import Dataset

from harmoclip.data.dataset import IdentifiedDataset, Indexed, Shown, rows_of_images
from harmoclip.data.sample import Sample
from harmoclip.errors import InputError
from harmoclip.images import each_image_once
from harmoclip.segment import normalize_phrase


class SeveralCaptions(Shown, Dataset[Sample]):
    """Images in the place of captions: a sample has several captions of its image, drawn anew each time.

    The first is the sample's `caption`, the others are its `more_captions`. A batch of B images then teaches
    from K * B captions by one pass of the image tower. The losses of the K captions add up: give
    `weights={"global_contrastive": 1 / K}` to keep the balance between the terms.

    Args:
        dataset: A sample for each caption, with `image_ids`, as every format but shards is.
        captions: K, how many captions a sample has; an image with fewer has all of them.
        phrases_of: From how many of them the sample takes phrases, and the boxes that come with them; None
            for all. Phrases cost text, captions cost less.
        transform: Maps each sample whose phrases are taken before they are joined, such as a
            `GroundingFinder`.

    Raises:
        InputError: A number is too small, or the data set has no `image_ids`.

    Example:
        >>> from PIL import Image
        >>> class Captions(list):
        ...     image_ids = [7, 7, 8]
        >>> image = Image.new("RGB", (8, 8))
        >>> samples = Captions(Sample(image, caption) for caption in ("a dog", "a pug", "sky"))
        >>> images = SeveralCaptions(samples, 2)
        >>> len(images), sorted([images[0].caption, *images[0].more_captions])
        (2, ['a dog', 'a pug'])
    """

    def __init__(
        self,
        dataset: Indexed[Sample],
        captions: int,
        phrases_of: int | None = None,
        transform: Callable[[Sample], Sample] | None = None,
    ) -> None:
        if captions < 1 or (phrases_of is not None and not 1 <= phrases_of <= captions):
            raise InputError(
                f"captions is {captions}, phrases_of {phrases_of}: expected 1 or more captions, and phrases "
                "of 1 or more of them."
            )
        if not isinstance(dataset, IdentifiedDataset):
            raise InputError(
                f"several captions: {type(dataset).__name__} has no image_ids, which tell equal images. "
                "Every format but shards and scenes has them; samples of shards can have more_captions."
            )
        self.dataset, self.transform = dataset, transform
        self.captions, self.phrases_of = captions, captions if phrases_of is None else phrases_of
        images = rows_of_images(dataset)
        self.image_ids, self._rows = list(images), list(images.values())
        self.class_names: Sequence[str] = getattr(dataset, "class_names", ())
        self.is_thing: Sequence[bool] = getattr(dataset, "is_thing", ())

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        rows = self._rows[index]
        drawn = [rows[i] for i in torch.randperm(len(rows)).tolist()[: self.captions]]
        with each_image_once():
            samples: list[Sample] = [self.dataset[row] for row in drawn]  # type: ignore[index]
        if self.transform is not None:
            samples[: self.phrases_of] = map(self.transform, samples[: self.phrases_of])
        return join_captions(samples, self.phrases_of)


def join_captions(samples: Sequence[Sample], phrases_of: int) -> Sample:
    """One sample of an image's samples: the first one, with the captions of the others as further ones.

    Phrases of further captions become texts of their own; a box that several samples have is one box. A
    negative that another caption gives as right is left out.

    Args:
        samples: Of one image, each with one caption or none.
        phrases_of: From how many of the samples the boxes and phrases are taken.
    """
    first = samples[0]
    if len(samples) == 1:
        return first
    giving = samples[:phrases_of]
    boxes: dict[Box, int] = {}
    placed = [[boxes.setdefault(box, len(boxes)) for box in _boxes(s)] for s in giving]
    phrases = [*first.phrases, *(text for s in giving[1:] for text in s.phrase_texts)]
    links, negatives, start = [], [], 0
    for sample, place in zip(giving, placed, strict=True):
        links += [(place[region], start + phrase) for region, phrase in sample.links]
        negatives += [(place[region], start + phrase) for region, phrase in sample.negatives]
        start += len(sample.phrases)
    said = [normalize_phrase(text) for sample in giving for text in sample.phrase_texts]
    right = {(region, said[phrase]) for region, phrase in links}
    captions = [text for s in samples for text in (s.caption, *s.more_captions) if text.strip()]
    labels = [box.label for box in boxes if box.label is not None]
    return first.replace(
        caption=captions[0] if captions else first.caption,
        more_captions=tuple(captions[1:]),
        boxes=torch.tensor([box.corners for box in boxes], dtype=torch.float32).view(-1, 4),
        labels=torch.tensor(labels) if first.labels is not None and len(labels) == len(boxes) else None,
        phrases=tuple(phrases),
        links=tuple(links),
        negatives=tuple(n for n in negatives if (n[0], said[n[1]]) not in right),
        left_out=_once(message for s in giving for message in s.left_out),
        cut=_once(message for s in giving for message in s.cut),
    )


class Box(NamedTuple):
    """What tells a box from the others of its image."""

    corners: tuple[float, ...]
    label: int | None
    number: int  # of boxes that are otherwise the same, within one sample


def _boxes(sample: Sample) -> list[Box]:
    """The boxes of a sample."""
    labels = [None] * len(sample.boxes) if sample.labels is None else sample.labels.tolist()
    seen: Counter[tuple[tuple[float, ...], int | None]] = Counter()
    found = []
    for corners, label in zip(map(tuple, sample.boxes.tolist()), labels, strict=True):
        found.append(Box(corners, label, seen[corners, label]))
        seen[corners, label] += 1
    return found


def _once(messages: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(messages))
