"""Hard negatives for the phrases of a data set: nearly right, and wrong of their boxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, zip_longest

from harmoclip.data.dataset import Indexed
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError, InputError
from harmoclip.segment import NegativeMaker, Phrase

Box = tuple[int | str | None, tuple[float, ...]]
"""The identity of an image, and a box of it."""


class HardNegatives:
    """A step that adds hard negatives of linked phrases, such as "a blue hat" of "a red hat".

    They are texts of their own, and negatives of the boxes that the phrase is linked to. What is put in is
    never said of the same box: not by another caption of its image, and not by the box's class. Of a longer
    text one phrase is altered at a time: "a man in a red hat" gives "a woman in a red hat" and "a man in a
    blue hat". A sample that has negatives stays as it is.

    Args:
        dataset: Samples with phrases and links, such as a `Prepared` one. All of it is read once, for the
            words that it uses and for what it says of each box.
        segment: From a text to its phrases, such as a `CaptionSegmenter`.
        count: How many a linked phrase gets at most; one in which nothing can be exchanged gets none.
        seed: Another one draws other words.
        progress: Called with how many samples were read.

    Raises:
        InputError: `count` is below 1.

    Example:
        >>> from PIL import Image
        >>> from harmoclip import CaptionSegmenter
        >>> boxes, image = [[0.1, 0.1, 0.4, 0.9], [0.5, 0.1, 0.9, 0.9]], Image.new("RGB", (8, 8))
        >>> data = [Sample(image, "A red hat, a blue cup.", boxes, ((0, 9), (11, 21)), ((0, 0), (1, 1)))]
        >>> found = HardNegatives(data, CaptionSegmenter())(data[0])
        >>> [(box, found.phrase_texts[phrase]) for box, phrase in found.negatives]
        [(0, 'A blue hat'), (1, 'a red cup')]
    """

    def __init__(
        self,
        dataset: Indexed[Sample],
        segment: Callable[[str], Sequence[Phrase]],
        *,
        count: int = 3,
        seed: int = 0,
        progress: Callable[[int], None] = lambda done: None,
    ) -> None:
        if count < 1:
            raise InputError(f"count is {count}: expected 1 or more hard negatives of a phrase.")
        self._segment, self._count = segment, count
        self._class_names: Sequence[str] = getattr(dataset, "class_names", ())
        self._said: defaultdict[Box, set[str]] = defaultdict(set)
        self._make = NegativeMaker(self._learn(dataset, progress), seed=seed)

    def __call__(self, sample: Sample) -> Sample:
        """The sample with its negatives."""
        if sample.negatives or not sample.links:
            return sample
        phrases, pairs = list(sample.phrases), list[tuple[int, int]]()
        boxes, found = _boxes(sample), self._found(sample)
        for phrase, regions in _regions(sample).items():
            said = {text for region in regions for text in self._said[boxes[region]]}
            for text in self._altered(sample.phrase_texts[phrase], found[phrase], said):
                pairs += [(region, len(phrases)) for region in regions]
                phrases.append(text)
        return sample.replace(phrases=tuple(phrases), negatives=tuple(pairs))

    def _learn(self, dataset: Indexed[Sample], progress: Callable[[int], None]) -> Iterator[Phrase]:
        """The linked phrases of all samples; what they say of each box is noted on the way."""
        for index in range(len(dataset)):
            progress(index + 1)
            try:
                sample = dataset[index]
            except DataError:  # whoever reads the sample itself tells of it
                continue
            boxes = _boxes(sample)
            for region, text in self._said_of(sample):
                self._said[boxes[region]].add(text)
            yield from (phrase for own in self._found(sample).values() for phrase, _ in own)

    def _said_of(self, sample: Sample) -> Iterator[tuple[int, str]]:
        """What a sample says of each region: its phrases, and the name of its class."""
        texts = sample.phrase_texts
        yield from ((region, texts[phrase]) for region, phrase in sample.links)
        labels: list[int] = [] if sample.labels is None else sample.labels.tolist()
        names = self._class_names
        yield from ((row, names[label]) for row, label in enumerate(labels) if 0 <= label < len(names))

    def _altered(self, text: str, found: list[tuple[Phrase, int]], said: set[str]) -> list[str]:
        """Negatives of one text, in turn from each phrase that it holds."""
        altered = [
            [
                text[:start] + negative.text + text[start + len(phrase.text) :]
                for negative in self._make(phrase, forbidden=said, count=self._count)
            ]
            for phrase, start in found
        ]
        in_turn = chain.from_iterable(zip_longest(*altered))
        return list(dict.fromkeys(text for text in in_turn if text))[: self._count]

    def _found(self, sample: Sample) -> dict[int, list[tuple[Phrase, int]]]:
        """What the segmenter finds in each linked phrase's text, with where it starts there."""
        linked = {phrase: sample.phrases[phrase] for _, phrase in sample.links}
        of_caption = any(not isinstance(given, str | Phrase) for given in linked.values())
        in_caption = self._segment(sample.caption) if of_caption else ()
        found = {}
        for phrase, given in linked.items():
            start, end = sample.spans[phrase]
            if isinstance(given, Phrase):
                found[phrase] = [(given, 0)]
            else:
                within = self._segment(given) if isinstance(given, str) else in_caption
                found[phrase] = [(p, p.start - start) for p in within if start <= p.start and p.end <= end]
        return found


def _regions(sample: Sample) -> dict[int, list[int]]:
    """The regions of each linked phrase."""
    regions: dict[int, list[int]] = {}
    for region, phrase in sample.links:
        regions.setdefault(phrase, []).append(region)
    return regions


def _boxes(sample: Sample) -> list[Box]:
    return [(sample.image_id, tuple(box)) for box in sample.boxes.tolist()]
