"""Hard negatives: a phrase with one attribute, its number or its head exchanged for another."""

import random
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from harmoclip.segment.english.classes import (
    ATTRIBUTES,
    BOUND,
    COMPOUNDS,
    COUNTED,
    HEADS,
    LIVING,
    NOT_CLOSED,
    YOUNG,
)
from harmoclip.segment.english.singular import plural, singular
from harmoclip.segment.phrase import Attribute, Phrase, normalize_phrase

_ARTICLE = re.compile(r"\b(an?)(\s+)(?=(\S+))", re.IGNORECASE)
_VOWEL = re.compile(r"(?!uni|use|usu|euro|one\b|once)[aeiou]|hour|honest|heir", re.IGNORECASE)
_OPENS = frozenset("a an the this that these those his her its their my our your some".split())  # noqa: SIM905
_TRIES = 8


@dataclass(frozen=True, slots=True)
class Negative:
    """A phrase that is wrong of what the phrase it was made from names.

    Attributes:
        text: The wrong phrase.
        kind: What was exchanged: "head", or a kind of attribute such as "color", "number" or "size".
        old: The word that was exchanged.
        new: The word in its place.
    """

    text: str
    kind: str
    old: str
    new: str


class NegativeMaker:
    """Makes hard negatives from phrases, with words drawn as often as a data set uses them.

    "a red hat" becomes "a blue hat" or "a red helmet", "two dogs" becomes "three dogs" or "two cats". The
    same phrase gives the same negatives from the same seed, in every process.

    Args:
        phrases: Phrases of the data set, whose words are counted.
        seed: Another seed draws other words.

    Example:
        >>> from harmoclip.segment import CaptionSegmenter
        >>> segment = CaptionSegmenter()
        >>> phrases = [p for c in ("A red hat by a blue cup.", "Two dogs, three cats.") for p in segment(c)]
        >>> make = NegativeMaker(phrases)
        >>> sorted({n.text for n in make(phrases[0], count=9)})
        ['A blue hat']
    """

    def __init__(self, phrases: Iterable[Phrase], *, seed: int = 0) -> None:
        self.seed = seed
        attributes: Counter[str] = Counter()
        heads: Counter[str] = Counter()
        for phrase in phrases:
            heads[phrase.head.lemma] += 1
            attributes.update(attribute.text.lower() for attribute in phrase.attributes)
        self._attributes = _draws(ATTRIBUTES, attributes)
        self._heads = _draws(HEADS, heads)
        self._random = random.Random()

    def __call__(self, phrase: Phrase, *, forbidden: Iterable[str] = (), count: int = 1) -> list[Negative]:
        """Up to `count` different negatives of a phrase; none where nothing of it can be exchanged.

        Args:
            phrase: What is true.
            forbidden: Other phrases that are true of the same region: no word of theirs is put in.
            count: How many are wanted.
        """
        exchanges = [*self._attribute_exchanges(phrase), *self._head_exchange(phrase)]
        if not exchanges or _is_miswritten(phrase):
            return []
        rng = self._random
        rng.seed(zlib.crc32(f"{self.seed} {phrase.text}".encode("utf-8", "surrogatepass")))
        taken = {word for text in (phrase.text, *forbidden) for word in _words_and_singulars(text)}
        found: dict[str, Negative] = {}
        for _ in range(_TRIES * count):
            kind, start, end, draw = rng.choice(exchanges)
            new = draw(rng)
            if new is None or new in taken:
                continue
            negative = _exchanged(phrase, kind, start, end, new)
            found.setdefault(normalize_phrase(negative.text), negative)
            if len(found) == count:
                break
        return list(found.values())

    def _attribute_exchanges(self, phrase: Phrase) -> "list[Exchange]":
        return [
            (kind, attribute.start, attribute.end, draw)
            for attribute in phrase.attributes
            for kind, draw in self._attributes.get(attribute.text.lower(), ())
            if _fits(kind, attribute, phrase)
        ]

    def _head_exchange(self, phrase: Phrase) -> "list[Exchange]":
        """That of a head with only a determiner and attributes before it: no 'hot dog', no 'cup of tea'."""
        attributes = {(attribute.start, attribute.end) for attribute in phrase.attributes}
        before = phrase.text[: phrase.head.start - phrase.start]
        for match in re.finditer(r"\S+", before):
            span = (phrase.start + match.start(), phrase.start + match.end())
            if match[0].lower() not in _OPENS and span not in attributes:
                return []
        head = phrase.head
        if head.end != phrase.end or (*before.lower().split()[-1:], head.lemma) in COMPOUNDS:
            return []
        return [("head", head.start, head.end, draw) for _, draw in self._heads.get(head.lemma, ())]


def _fits(kind: str, attribute: Attribute, phrase: Phrase) -> bool:
    """Whether an attribute of this kind can be exchanged before this head."""
    before = phrase.text[: attribute.start - phrase.start].lower().split()
    behind = phrase.text[attribute.end - phrase.start :].split()
    if BOUND.intersection(before[-1:]):
        return False
    if kind == "number":  # not 'a two color hydrant'
        written = phrase.head.text.lower()
        return _is_plural(phrase) and (written != phrase.head.lemma or written == plural(written))
    if kind == "size":
        return attribute.text.lower() != "little" or phrase.head.lemma not in YOUNG
    if kind == "fill":  # not 'a full dressed marine'
        return not behind[0].endswith("ed") if behind else True
    if kind in ("age", "condition"):
        return (kind == "age") == (phrase.head.lemma in _LIVING)
    return kind != "state" or phrase.head.lemma not in NOT_CLOSED


def _is_plural(phrase: Phrase) -> bool:
    """Also of 'two sheep', 'white sheep' and the misspelled 'two giraffe'."""
    head = phrase.head
    if head.text.lower() != head.lemma:
        return True
    first = phrase.text.split()[0].lower()
    if any(a.kind == "number" and a.text.lower() not in ("one", "1", "single") for a in phrase.attributes):
        return True
    return plural(head.lemma) == head.lemma and first not in ("a", "an", "one", "another", "this")


def _is_miswritten(phrase: Phrase) -> bool:
    """'a boats': with another word no better."""
    first, *others = phrase.text.lower().split()
    return first in ("a", "an") and others[:1] == [phrase.head.text.lower()] != [phrase.head.lemma]


_LIVING = frozenset(word for name in LIVING for group in HEADS[name] for word in group)


class Draw:
    """Draws a word of one class that is not of one of its groups."""

    def __init__(self, words: list[str], weights: list[int]) -> None:
        self.words = words
        self.weights = list(accumulate(weights))

    def __call__(self, rng: random.Random) -> str | None:
        """A word, as often as the data set has it; None where it has none."""
        return rng.choices(self.words, cum_weights=self.weights)[0] if self.words else None


Exchange = tuple[str, int, int, Draw]
"""What kind of word stands where, counted in the caption, and what may stand in its place."""


def _draws(classes: dict[str, list[list[str]]], counts: Counter[str]) -> dict[str, list[tuple[str, Draw]]]:
    """For each word of the classes what can take its place."""
    draws: dict[str, list[tuple[str, Draw]]] = {}
    for name, members in classes.items():
        for group in members:
            others = [word for other in members if other is not group for word in other if counts[word]]
            others = [word for word in others if name != "number" or word in COUNTED]
            draw = Draw(others, [counts[word] for word in others])
            for word in group:
                draws.setdefault(word, []).append((name, draw))
    return draws


def _exchanged(phrase: Phrase, kind: str, start: int, end: int, new: str) -> Negative:
    first, last = start - phrase.start, end - phrase.start
    old = phrase.text[first:last]
    if kind == "head" and _is_plural(phrase):
        new = plural(new)
    if old[0].isupper():
        new = new.upper() if old.isupper() and len(old) > 1 else new.capitalize()
    text = phrase.text[:first] + new + phrase.text[last:]
    return Negative(_with_right_article(text), kind, old, new)


def _with_right_article(text: str) -> str:
    """'an orange hat', 'a blue hat'."""

    def article(match: re.Match[str]) -> str:
        right = "an" if _VOWEL.match(match[3]) else "a"
        return (right.capitalize() if match[1][0].isupper() else right) + match[2]

    return _ARTICLE.sub(article, text)


def _words_and_singulars(text: str) -> Iterable[str]:
    for word in re.findall(r"[\w-]+", text.lower()):
        yield word
        yield singular(word)
