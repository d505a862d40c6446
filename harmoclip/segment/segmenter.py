"""CaptionSegmenter: captions in, phrases out."""

import functools
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

from harmoclip.errors import InputError
from harmoclip.segment.english.phrases import english_phrases
from harmoclip.segment.generic import generic_phrases
from harmoclip.segment.phrase import Phrase
from harmoclip.segment.pipeline import check_pipeline, load_pipeline, unused_components
from harmoclip.segment.pool import map_batches
from harmoclip.segment.reading import Reading, read

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

RULES_VERSION = 2
"""Another number for each change of what the segmenter finds: phrases kept on disk go by it."""


class CaptionSegmenter:
    """Find the phrases of a caption that name something visible.

    A phrase is a base noun phrase; quantities, groups, kinds, portions and containers with "of" stay whole.
    English is segmented by rules over the parse, other languages by spaCy's noun chunks, without relations.

    Args:
        nlp: A spaCy pipeline with a parser, which is not changed, or the name or folder of one; None loads
            an installed English one.
        keep_all: Whether to return phrases that cannot be grounded too; `Phrase.reason` says why they cannot.

    Raises:
        MissingDependencyError: No pipeline is installed; the message says how to install one.
        InputError: The pipeline has no parser, or its language no noun chunks.

    Example:
        >>> segment = CaptionSegmenter()
        >>> [phrase.text for phrase in segment("A man in a red hat walks two dogs on top of a hill.")]
        ['A man', 'a red hat', 'two dogs', 'a hill']
    """

    def __init__(self, nlp: "Language | str | None" = None, *, keep_all: bool = False) -> None:
        self.nlp = load_pipeline(nlp) if nlp is None or isinstance(nlp, str) else nlp
        check_pipeline(self.nlp)
        self.keep_all = keep_all
        self._unused = unused_components(self.nlp)

    def __call__(self, caption: str) -> list[Phrase]:
        """The phrases of one caption, in order and without overlap.

        Raises:
            InputError: The caption is not text, or longer than the pipeline can parse.
        """
        reading = read(self.check(caption))
        return self._phrases(self.nlp(reading.text, disable=self._unused), reading)

    def pipe(
        self, captions: Iterable[str], batch_size: int = 256, workers: int = 1
    ) -> Iterator[list[Phrase]]:
        """The phrases of each caption, in the order given; reads no more captions than it needs ahead.

        Args:
            captions: Captions, possibly without end.
            batch_size: Captions parsed at a time.
            workers: Processes; 1 parses in this one.

        Raises:
            InputError: A caption is not text, or longer than the pipeline can parse.
        """
        return map_batches(functools.partial(_segment_batch, self), captions, batch_size, workers)

    def phrases(self, doc: "Doc") -> list[Phrase]:
        """The phrases of a text that is already parsed, with tags and a dependency parse."""
        return self._phrases(doc, Reading(doc.text, doc.text, range(len(doc.text) + 1)))

    def _phrases(self, doc: "Doc", reading: Reading) -> list[Phrase]:
        find = english_phrases if doc.lang_ == "en" else generic_phrases
        return find(doc, reading, keep_all=self.keep_all)

    @property
    def pipeline(self) -> str:
        """Language, name and version of the pipeline: "en_core_web_sm 3.8.0"."""
        meta = self.nlp.meta
        return f"{meta['lang']}_{meta['name']} {meta['version']}"

    def check(self, caption: object) -> str:
        """The caption itself, if it can be segmented.

        Raises:
            InputError: It is not text, or longer than the pipeline can parse.
        """
        if not isinstance(caption, str):
            raise InputError(f"A caption must be a str, got {type(caption).__name__}: {caption!r:.80}.")
        if len(caption) > self.nlp.max_length:
            raise InputError(
                f"The caption has {len(caption)} characters; {self.nlp.max_length} can be parsed."
            )
        if not caption.isascii() and any("\ud800" <= character <= "\udfff" for character in caption):
            raise InputError(
                f"The caption holds bytes or surrogates that are no characters: {caption!r:.80}."
            )
        return caption


def _segment_batch(segmenter: CaptionSegmenter, captions: list[str]) -> list[list[Phrase]]:
    nlp = segmenter.nlp
    readings = [read(segmenter.check(caption)) for caption in captions]
    # words met here are forgotten after the batch, so that memory stays flat over millions of captions
    with nullcontext() if nlp.vocab.in_memory_zone else nlp.memory_zone():
        texts = (reading.text for reading in readings)
        docs = nlp.pipe(texts, batch_size=len(captions), disable=segmenter._unused)
        return [segmenter._phrases(doc, reading) for doc, reading in zip(docs, readings, strict=True)]
