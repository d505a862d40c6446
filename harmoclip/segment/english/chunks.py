"""Base noun phrases: determiner or possessive, numbers, modifiers, nouns."""

from dataclasses import dataclass
from itertools import pairwise

from harmoclip.segment.english import lexicon as lx
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
_NAMELESS = ("JJ", "RB", "VB", "CC", "IN", "POS")
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
            head = start if _begins_with_its_head(tokens, start, end) else end - 1
            chunks.append(Chunk(start, end, head, head))
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
    starts = [i for i, place in enumerate(places) if place == "B"]
    ends = [
        next((i for i in range(start + 1, len(places)) if places[i] != "I"), len(places)) for start in starts
    ]
    return list(zip(starts, ends, strict=True))


def _begins_with_its_head(tokens: Tokens, start: int, end: int) -> bool:
    """'one black and white': the head comes first."""
    return tokens.words[start] == "one" and tokens.tags[end - 1] == "JJ"


def _unfinished(tokens: Tokens, chunk: Chunk, start: int) -> bool:
    """'a red, white, and | blue rug', 'a barren, | snowy field': modifiers without a noun belong to it."""
    opens = tokens.tag(start) in ("DT", "PRP$", "PDT") or tokens.tag(chunk.last).startswith("NN")
    comma = tokens.tag(chunk.start) == "DT" and tokens.words[chunk.end : start] == [","]
    return (start == chunk.end or comma) and not opens and tokens.words[chunk.start] != "one"


def _names_something(tokens: Tokens, chunk: Chunk) -> bool:
    """A lone adjective, adverb, verb or article names nothing."""
    word, tag = tokens.word(chunk.start), tokens.tag(chunk.start)
    nothing = tag.startswith(_NAMELESS) or word in lx.NAMELESS
    return chunk.end - chunk.start > 1 or not nothing
