"""What the segmenter finds: phrases, their attributes and their relations."""

import hashlib
from dataclasses import dataclass

_ARTICLES = frozenset({"a", "an", "the"})


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a phrase.

    Attributes:
        text: As spelled in the caption.
        start: First character, counted in the caption as given.
        end: One past the last character.
        lemma: Dictionary form, lower case ("dogs" -> "dog").
    """

    text: str
    start: int
    end: int
    lemma: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation from the phrase that holds it to another phrase of the same caption.

    Attributes:
        text: The words that relate the two, as spelled ("riding", "on top of").
        start: First character of those words, counted in the caption as given.
        end: One past the last character.
        object: Position of the other phrase in the list that the segmenter returned.
    """

    text: str
    start: int
    end: int
    object: int


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase of a caption; `caption[phrase.start:phrase.end] == phrase.text`.

    Attributes:
        text: As spelled in the caption.
        start: First character, counted in the caption as given.
        end: One past the last character.
        head: The one word that says what it is: "dogs" in "two brown dogs", "people" in "a group of people".
        attributes: Adjectives, colours, numbers and materials that stand in the phrase.
        relations: Relations of which this phrase is the subject.
        reason: None for a phrase that names something visible; else why it does not: "pronoun", "frame",
            "spatial", "time", "event", "abstract", "attribute" or "comparison".
    """

    text: str
    start: int
    end: int
    head: Word
    attributes: tuple[Word, ...] = ()
    relations: tuple[Relation, ...] = ()
    reason: str | None = None

    @property
    def groundable(self) -> bool:
        """Whether the phrase names something visible."""
        return self.reason is None


def normalize_phrase(text: str) -> str:
    """Case-fold, collapse whitespace and drop a leading article, so that equal phrases compare equal.

    Example:
        >>> normalize_phrase("  A  Red Hat")
        'red hat'
    """
    words = text.casefold().split()
    if len(words) > 1 and words[0] in _ARTICLES:
        words = words[1:]
    return " ".join(words)


def phrase_id(text: str) -> int:
    """A 64-bit id of the normalised phrase, in [-2**63, 2**63), the same in every process and on every machine.

    Example:
        >>> phrase_id("A dog") == phrase_id("the  Dog")
        True
    """
    digest = hashlib.blake2b(normalize_phrase(text).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
