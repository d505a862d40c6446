"""Base noun phrases: determiner or possessive, numbers, modifiers, nouns."""

from dataclasses import dataclass
from itertools import pairwise

from harmoclip.segment.english.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Chunk:
    """Words [start, end) of a noun phrase.

    Attributes:
        start: First word.
        end: One past the last word.
        head: The word that says what it is.
        last: The last noun of its first base phrase; the syntactic head before any 'of'.
    """

    start: int
    end: int
    head: int
    last: int


_JOINTS = ("CC", ",", ".")
_MODIFIERS = ("DT", "PRP$", "JJ", "CD")
_QUOTES = frozenset(('"', "'", "\u201c", "\u201d"))


def find_chunks(tokens: Tokens) -> list[Chunk]:
    """All base noun phrases, from left to right."""
    _take_in_quotes(tokens)
    chunks: list[Chunk] = []
    for start, end in _spans(tokens.places):
        while start < end and tokens.tags[start] in _JOINTS:
            start += 1
        while start < end and tokens.tags[end - 1] in _JOINTS:
            end -= 1
        if chunks and _unfinished(tokens, chunks[-1], start):
            start = chunks.pop().start
        if start < end:
            chunks.append(Chunk(start, end, end - 1, end - 1))
    return [chunk for chunk in chunks if _names_something(tokens, chunk)]


def _take_in_quotes(tokens: Tokens) -> None:
    """'a red "Free Hugs" | sign': what is quoted between a modifier and its noun belongs to the phrase."""
    quotes = [i for i, word in enumerate(tokens.words) if word in _QUOTES]
    for first, last in pairwise(quotes):
        start = first
        while tokens.tag(start - 1) in _MODIFIERS:
            start -= 1
        if start < first and tokens.tag(last + 1).startswith("NN") and tokens.places[last + 1] != "O":
            tokens.places[start : last + 2] = ["B", *"I" * (last + 1 - start)]


def _spans(places: list[str]) -> list[tuple[int, int]]:
    starts = [i for i, p in enumerate(places) if p == "B" or (p == "I" and (i == 0 or places[i - 1] == "O"))]
    ends = [
        next((i for i in range(start + 1, len(places)) if places[i] != "I"), len(places)) for start in starts
    ]
    return list(zip(starts, ends, strict=True))


def _unfinished(tokens: Tokens, chunk: Chunk, start: int) -> bool:
    """'a red, white, and | blue rug': modifiers without a noun belong to what follows at once."""
    opens = tokens.tag(start) in ("DT", "PRP$", "PDT") or tokens.tag(chunk.last).startswith("NN")
    return start == chunk.end and not opens


def _names_something(tokens: Tokens, chunk: Chunk) -> bool:
    """A lone adjective, adverb or verb names nothing."""
    return chunk.end - chunk.start > 1 or not tokens.tag(chunk.start).startswith(
        ("JJ", "RB", "VB", "CC", "IN")
    )
