"""What the segmenter finds: phrases, their attributes and their relations."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from harmoclip.notebook import grid, marked, table

_ARTICLES = frozenset({"a", "an", "the"})


AttributeKind = Literal["adjective", "color", "material", "number"]


@dataclass(frozen=True, slots=True)
class Head:
    """The one word that says what a phrase is.

    Attributes:
        text: As spelled in the caption.
        start: First character, counted in the caption as given.
        end: One past the last character.
        lemma: Singular, in lower case ("Dogs" -> "dog").
    """

    text: str
    start: int
    end: int
    lemma: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """A word of a phrase that says how its head is, how many there are or what it is made of.

    Attributes:
        text: As spelled in the caption.
        start: First character, counted in the caption as given.
        end: One past the last character.
        kind: "adjective" (participles too), "color", "material" or "number".
    """

    text: str
    start: int
    end: int
    kind: AttributeKind


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
        head: What it is: "dogs" in "two brown dogs", "people" in "a group of people".
        attributes: Adjectives, colors, numbers and materials that stand in the phrase. A color that is worn
            ("a man in red") is both the head and an attribute.
        relations: Relations of which this phrase is the subject.
        reason: None for a phrase that names something visible; else why it does not: "pronoun", "absent",
            "comparison", "frame", "spatial", "time", "event", "attribute" or "abstract".
    """

    text: str
    start: int
    end: int
    head: Head
    attributes: tuple[Attribute, ...] = ()
    relations: tuple[Relation, ...] = ()
    reason: str | None = None

    @property
    def groundable(self) -> bool:
        """Whether the phrase names something visible."""
        return self.reason is None

    def _repr_html_(self) -> str:
        rows = {
            "characters": f"{self.start} to {self.end}",
            "head": self.head.text,
            "attributes": ", ".join(attribute.text for attribute in self.attributes),
            "relations": ", ".join(relation.text for relation in self.relations),
            "groundable": self.reason or "yes",
        }
        return table(self.text, {name: value for name, value in rows.items() if value})


Segment = Callable[[str], Sequence[Phrase]]
"""From a caption to its phrases, as a `CaptionSegmenter` does it."""


class Phrases(list[Phrase]):
    """The phrases of one caption, a list that also knows the caption.

    Args:
        caption: As given.
        found: Its phrases.
    """

    def __init__(self, caption: str, found: Iterable[Phrase] = ()) -> None:
        super().__init__(found)
        self.caption = caption

    def _repr_html_(self) -> str:
        """The caption with its phrases underlined, and a row for each of them."""
        rows = [
            (
                phrase.text,
                phrase.head.lemma,
                ", ".join(attribute.text for attribute in phrase.attributes),
                ", ".join(
                    f"{relation.text} {other.text}"
                    for relation in phrase.relations
                    for other in self[relation.object : relation.object + 1]
                ),
                phrase.reason or "yes",
            )
            for phrase in self
        ]
        head = ("phrase", "head", "attributes", "relations", "groundable")
        return marked(self.caption, [(phrase.start, phrase.end) for phrase in self]) + grid("", head, rows)


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
    """A 64-bit id of the normalised phrase, in [-2**63, 2**63), the same on every machine.

    Example:
        >>> phrase_id("A dog") == phrase_id("the  Dog")
        True
    """
    digest = hashlib.blake2b(normalize_phrase(text).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
