"""What a sample lacks of its grounding, found on the way: phrases, and links by words."""

from __future__ import annotations

from harmoclip.data.linking.by_words import Names, WordLinker
from harmoclip.data.sample import Sample
from harmoclip.errors import InputError
from harmoclip.segment import Phrase
from harmoclip.segment.phrase import Segment


class GroundingFinder:
    """A transform that finds phrases where a sample has none, and links where it has none.

    Phrases are linked to boxes by the words for the boxes' classes; `link` does it by a model's similarity.

    Args:
        segment: From a caption to its phrases, such as a `CaptionSegmenter`; None finds none.
        names: The names of each class, the usual one first, or one name each; None links nothing.

    Raises:
        InputError: A sample that shall be linked has boxes without a class, a class without a name, or
            phrases that the segmenter did not find, of which nobody knows the head.

    Example:
        >>> import torch
        >>> from PIL import Image
        >>> from harmoclip import CaptionSegmenter
        >>> box, dog = torch.tensor([[0.1, 0.1, 0.9, 0.9]]), torch.tensor([0])
        >>> sample = Sample(Image.new("RGB", (8, 8)), "A dog barks.", box, labels=dog)
        >>> found = GroundingFinder(CaptionSegmenter(), ["dog"])(sample)
        >>> found.phrase_texts, found.links
        (('A dog',), ((0, 0),))
    """

    def __init__(
        self,
        segment: Segment | None = None,
        names: Names | None = None,
    ) -> None:
        self._segment = segment
        self._count = len(names or ())
        self._linker = None if names is None else WordLinker(names)

    def __call__(self, sample: Sample) -> Sample:
        """The sample with its phrases and links."""
        if self._segment is not None and not sample.phrases:
            sample = sample.replace(phrases=tuple(self._segment(sample.caption)))
        if self._linker is None or sample.links or not len(sample.boxes) or not sample.phrases:
            return sample
        phrases = [phrase for phrase in sample.phrases if isinstance(phrase, Phrase)]
        if len(phrases) < len(sample.phrases):
            raise InputError(
                f"sample {sample.key!r} has phrases without a head: expected those of a segmenter, to link "
                "them by words. Leave the phrases out, so that they are found, or link by similarity."
            )
        areas = (sample.boxes[:, 2:] - sample.boxes[:, :2]).prod(1).tolist()
        return sample.replace(links=tuple(self._linker(phrases, self._labels(sample), areas)))

    def _labels(self, sample: Sample) -> list[int]:
        labels: list[int] = [] if sample.labels is None else sample.labels.tolist()
        if not labels or not 0 <= min(labels) <= max(labels) < self._count:
            raise InputError(
                f"sample {sample.key!r}: the boxes' classes are {labels or None}: expected a number for each "
                f"box, from 0 to {self._count - 1}, to link phrases by the words for them."
            )
        return labels
