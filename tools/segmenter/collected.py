"""Noun phrases that occur in labelled captions."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from harmoclip.segment.english import lexicon as lx
from harmoclip.segment.english.singular import singular

Token = tuple[str, str]
"""A word and its label: place in a noun phrase (B, I or O), a hyphen, and a Penn Treebank tag."""

_LONGEST = 6
_MOST = 12
"""How often one phrase is kept at most."""


@dataclass
class NounPhrases:
    """Noun phrases of captions, as labelled tokens, by what they can be in a sentence.

    Attributes:
        one: A person or an animal.
        many: Several.
        things: All else.
        adjectives: Those that stand in any of them.
    """

    one: list[list[Token]]
    many: list[list[Token]]
    things: list[list[Token]]
    adjectives: list[str]

    @classmethod
    def collect(cls, rows: Iterable[tuple[list[str], list[str]]], verbs: set[str]) -> "NounPhrases":
        """Those that occur more than once and do not end in what may be a verb."""
        found: Counter[tuple[Token, ...]] = Counter()
        for words, labels in rows:
            for start, end in spans(labels):
                found[tuple(zip(words[start:end], labels[start:end], strict=True))] += 1
        phrases = cls([], [], [], [])
        for phrase, count in found.items():
            head, label = phrase[-1]
            if count < 2 or head in verbs or not label[2:].startswith("NN") or len(phrase) > _LONGEST:
                continue
            phrases.adjectives += [
                word for word, label in phrase[:-1] if label.endswith("-JJ") and "-" not in word
            ]
            phrases.of_kind(head).extend([list(phrase)] * min(count, _MOST))
        return phrases

    def of_kind(self, head: str) -> list[list[Token]]:
        """Where phrases with this head are kept."""
        if not lx.noun_in(head, lx.PEOPLE_AND_ANIMALS):
            return self.things
        return self.many if singular(head) != head else self.one


def spans(labels: list[str]) -> list[tuple[int, int]]:
    """The noun phrases that labels mark."""
    starts = [i for i, label in enumerate(labels) if label[0] == "B"]
    ends = []
    for start in starts:
        end = start + 1
        while end < len(labels) and labels[end][0] == "I":
            end += 1
        ends.append(end)
    return list(zip(starts, ends, strict=True))
