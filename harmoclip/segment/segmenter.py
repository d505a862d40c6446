"""CaptionSegmenter: captions in, phrases out."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from harmoclip.segment.phrase import Phrase, Word
from harmoclip.segment.pipeline import load_pipeline

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc


class CaptionSegmenter:
    """Find the phrases of a caption that name something visible.

    Example:
        >>> segment = CaptionSegmenter()
        >>> [phrase.text for phrase in segment("A man in a red hat walks two dogs.")]
        ['A man', 'a red hat', 'two dogs']
    """

    def __init__(self, nlp: "Language | str | None" = None) -> None:
        self.nlp = load_pipeline(nlp) if nlp is None or isinstance(nlp, str) else nlp

    def __call__(self, caption: str) -> list[Phrase]:
        """The phrases of one caption, in order and without overlap."""
        return _phrases(self.nlp(caption))

    def pipe(
        self, captions: Iterable[str], batch_size: int = 1000, workers: int = 1
    ) -> Iterator[list[Phrase]]:
        """The phrases of each caption, in the order given."""
        for doc in self.nlp.pipe(captions, batch_size=batch_size, n_process=workers):
            yield _phrases(doc)


def _phrases(doc: "Doc") -> list[Phrase]:
    found = []
    for chunk in doc.noun_chunks:
        if chunk.root.tag_ in {"PRP", "WP", "WDT", "DT", "EX"}:
            continue
        root = chunk.root
        head = Word(root.text, root.idx, root.idx + len(root), root.lemma_.lower() or root.lower_)
        found.append(Phrase(chunk.text, chunk.start_char, chunk.end_char, head))
    return found
