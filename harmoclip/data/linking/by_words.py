"""Link phrases to boxes by the words for the boxes' categories."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harmoclip.segment import Phrase

Link = tuple[int, int]
Names = Sequence[str | Sequence[str]]
"""What classes are called, in the singular: one name each, or several, the usual one first."""

_NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "both": 2, "couple": 2, "pair": 2, "trio": 3,
}  # fmt: skip
_ONE = frozenset(
    {"a", "an", "the", "this", "that", "another", "his", "her", "its", "their", "single", "lone"}
)
_MANY = frozenset({"family", "crowd", "team", "audience", "group", "herd", "flock", "bunch", "row", "several",
                   "many", "some", "various", "all", "every", "each"})  # fmt: skip


@dataclass(frozen=True)
class _Meant:
    """What a phrase asks for: things of one of these categories, this many of them or None for all."""

    phrase: int
    categories: tuple[int, ...]
    count: int | None
    head: str
    definite: bool

    def repeats(self, first: _Meant) -> bool:
        """Whether this is another mention of the same things, as in "a dog ... the dog"."""
        return self.definite and (self.head, self.count) == (first.head, first.count)


class WordLinker:
    """Links a phrase to the boxes whose category has a name that the phrase ends in.

    The longest name counts, so that "a teddy bear" is no bear. "Two dogs" are the two largest dog boxes, "a
    dog" is the largest, "dogs" are all of them. Where the boxes do not tell which ones are meant - there are
    more than the phrase speaks of, of much the same size, or two phrases speak of the same category, such as
    "a man and a woman" - there is no link: a missing link costs less than a wrong one. Nor is there one for
    a color that is worn: "a man in orange" says nothing of fruit.

    Args:
        names: What each category is called.
        margin: By how much the smallest box that is meant has to be larger than the next.

    Example:
        >>> from harmoclip import CaptionSegmenter
        >>> phrases = CaptionSegmenter()("Two dogs sit by a woman.")
        >>> WordLinker([("person", "woman"), ("dog",)])(phrases, [1, 0, 1], areas=[40, 30, 20])
        [(0, 0), (2, 0), (1, 1)]
    """

    def __init__(self, names: Names, *, margin: float = 1.5) -> None:
        self.margin = margin
        self._categories: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
        for category, own in enumerate(with_synonyms(names)):
            for rank, name in enumerate(own):
                self._categories[tuple(name.casefold().split())].append((rank, category))
        self._longest = max(map(len, self._categories), default=0)

    def __call__(
        self,
        phrases: Sequence[Phrase],
        labels: Sequence[int],
        areas: Sequence[float],
        crowds: Iterable[int] = (),
    ) -> list[Link]:
        """The links (row, phrase), by phrase.

        Args:
            phrases: What the segmenter found in the caption.
            labels: The category of each box.
            areas: The area of each box, in any unit.
            crowds: Rows of boxes that hold many things; only phrases for many are linked to them.
        """
        crowd = set(crowds)
        rows: dict[int, list[int]] = defaultdict(list)
        for row in sorted(range(len(labels)), key=lambda r: -areas[r]):
            rows[int(labels[row])].append(row)
        wanted: dict[int, list[_Meant]] = defaultdict(list)
        for number, phrase in enumerate(phrases):
            meant = self._meant(number, phrase)
            category = next((c for c in meant.categories if c in rows), None)
            if category is not None:
                wanted[category].append(meant)
        links = [link for c, meant in wanted.items() for link in self._assign(meant, rows[c], areas, crowd)]
        return sorted(links, key=lambda link: (link[1], link[0]))

    def _meant(self, number: int, phrase: Phrase) -> _Meant:
        before = phrase.text[: phrase.head.start - phrase.start].casefold().split()
        head, lemma = phrase.head.text.casefold(), phrase.head.lemma.casefold()
        definite = before[:1] in (["the"], ["this"], ["that"], ["these"], ["those"])
        worn = any(attribute.start == phrase.head.start for attribute in phrase.attributes)
        categories = () if worn else self._named([*before, lemma]) or self._named([*before, head])
        return _Meant(number, categories, _count(before, phrase), lemma, definite)

    def _named(self, words: list[str]) -> tuple[int, ...]:
        """The categories with the longest name that the words end in."""
        for length in range(min(self._longest, len(words)), 0, -1):
            if found := self._categories.get(tuple(words[-length:])):
                return tuple(category for _, category in sorted(found))
        return ()

    def _assign(
        self, meant: list[_Meant], rows: list[int], areas: Sequence[float], crowd: set[int]
    ) -> list[Link]:
        """Links of one category's phrases to its boxes, which come in order of size."""
        counted = [m for m in meant if m.count is not None]
        shown: list[int] = []
        if counted and all(m.repeats(counted[0]) for m in counted[1:]):
            shown = self._largest([row for row in rows if row not in crowd], counted[0].count or 0, areas)
        links = [(row, m.phrase) for m in counted for row in shown]
        if shown or not counted:
            rest = [row for row in rows if row not in shown]
            links += [(row, m.phrase) for m in meant if m.count is None for row in rest]
        return links

    def _largest(self, rows: list[int], count: int, areas: Sequence[float]) -> list[int]:
        if len(rows) > count and areas[rows[count - 1]] < self.margin * areas[rows[count]]:
            return []
        return rows[:count]


def with_synonyms(names: Names) -> list[list[str]]:
    """Every name of each class.

    Example:
        >>> with_synonyms(["dog", ["car", "automobile"]])
        [['dog'], ['car', 'automobile']]
    """
    return [[name] if isinstance(name, str) else list(name) for name in names]


def _count(before: list[str], phrase: Phrase) -> int | None:
    """How many things the phrase speaks of; None for an unknown number."""
    for word in before:
        if word in _NUMBERS:
            return _NUMBERS[word]
        if word.isdigit() and int(word):
            return int(word)
    head, lemma = phrase.head.text.casefold(), phrase.head.lemma.casefold()
    if head in _NUMBERS:
        return _NUMBERS[head]
    if head != lemma or head in _MANY or not _MANY.isdisjoint(before):
        return None
    return 1 if before[:1] and before[0] in _ONE else None
