"""The caption segmenter: from text to the phrases that can be grounded in an image."""

import functools
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

from harmoclip.errors import InputError
from harmoclip.notebook import table
from harmoclip.segment.english.phrases import english_phrases
from harmoclip.segment.generic import generic_phrases
from harmoclip.segment.phrase import Phrases
from harmoclip.segment.pipeline import check_pipeline, load_pipeline, unused_components
from harmoclip.segment.pool import map_batches
from harmoclip.segment.reading import Reading, read

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

RULES_VERSION = 5
"""Another number for each change of what the segmenter finds: phrases kept on disk go by it."""

_LONGEST = 1_000_000


class CaptionSegmenter:
    """Find the phrases of a caption that name something visible.

    A phrase is a base noun phrase; quantities, groups, kinds, portions and containers with "of" stay whole.
    English is read by a small tagger that comes with the package. A spaCy pipeline reads other languages: its
    noun chunks are the phrases, without relations and without the rules for what can be seen.

    Args:
        nlp: None for English; else a spaCy pipeline with a parser, which is not changed, or the name or
            folder of one.
        keep_all: Whether to return phrases that cannot be grounded too; `Phrase.reason` says why they cannot.

    Raises:
        MissingDependencyError: No pipeline of that name is installed.
        InputError: The pipeline has no parser, or its language no noun chunks.

    Example:
        >>> segment = CaptionSegmenter()
        >>> [phrase.text for phrase in segment("A man in a red hat walks two dogs on top of a hill.")]
        ['A man', 'a red hat', 'two dogs', 'a hill']
    """

    def __init__(self, nlp: "Language | str | None" = None, *, keep_all: bool = False) -> None:
        self.nlp = load_pipeline(nlp) if isinstance(nlp, str) else nlp
        self.keep_all = keep_all
        self._unused: list[str] = []
        if self.nlp is not None:
            check_pipeline(self.nlp)
            self._unused = unused_components(self.nlp)

    def __call__(self, caption: str) -> Phrases:
        """The phrases of one caption, in order and without overlap.

        Raises:
            InputError: The caption is not text, or too long.
        """
        reading = read(self.check(caption))
        if self.nlp is None:
            return Phrases(caption, english_phrases(reading, keep_all=self.keep_all))
        return self._of_doc(self.nlp(reading.text, disable=self._unused), reading)

    def pipe(self, captions: Iterable[str], batch_size: int = 256, workers: int = 1) -> Iterator[Phrases]:
        """The phrases of each caption, in the order given; reads no more captions than it needs ahead.

        Args:
            captions: Captions, possibly without end.
            batch_size: Captions parsed at a time.
            workers: Processes; 1 parses in this one.

        Raises:
            InputError: A caption is not text, or too long.
        """
        return map_batches(functools.partial(_segment_batch, self), captions, batch_size, workers)

    def phrases(self, doc: "Doc") -> Phrases:
        """The phrases of a text that a spaCy pipeline has parsed."""
        return self._of_doc(doc, Reading(doc.text, doc.text, range(len(doc.text) + 1)))

    @property
    def pipeline(self) -> str:
        """What reads the captions: "harmoclip", or language, name and version of a spaCy pipeline."""
        if self.nlp is None:
            return "harmoclip"
        return f"{self.nlp.meta['lang']}_{self.nlp.meta['name']} {self.nlp.meta['version']}"

    def check(self, caption: object) -> str:
        """The caption itself, if it can be segmented.

        Raises:
            InputError: It is not text, or too long.
        """
        if not isinstance(caption, str):
            raise InputError(f"A caption must be a str, got {type(caption).__name__}: {caption!r:.80}.")
        longest = _LONGEST if self.nlp is None else self.nlp.max_length
        if len(caption) > longest:
            raise InputError(f"The caption has {len(caption)} characters; {longest} can be read.")
        if not caption.isascii() and any("\ud800" <= character <= "\udfff" for character in caption):
            raise InputError(
                f"The caption holds bytes or surrogates that are no characters: {caption!r:.80}."
            )
        return caption

    def _of_doc(self, doc: "Doc", reading: Reading) -> Phrases:
        return Phrases(reading.caption, generic_phrases(doc, reading, keep_all=self.keep_all))

    def _repr_html_(self) -> str:
        """What it reads with, and what it makes of a caption."""
        kept = "all" if self.keep_all else "those that name something visible"
        rows = table("CaptionSegmenter", {"reads with": self.pipeline, "phrases": kept})
        return rows if self.nlp else rows + self("A man in a red hat walks two dogs.")._repr_html_()


def _segment_batch(segmenter: CaptionSegmenter, captions: list[str]) -> list[Phrases]:
    nlp = segmenter.nlp
    if nlp is None:
        return [segmenter(caption) for caption in captions]
    readings = [read(segmenter.check(caption)) for caption in captions]
    # words met here are forgotten after the batch, so that memory stays flat over millions of captions
    with nullcontext() if nlp.vocab.in_memory_zone else nlp.memory_zone():
        texts = (reading.text for reading in readings)
        docs = nlp.pipe(texts, batch_size=len(captions), disable=segmenter._unused)
        return [segmenter._of_doc(doc, reading) for doc, reading in zip(docs, readings, strict=True)]
