"""Base noun phrases: determiner or possessive, numbers, modifiers, nouns."""

from dataclasses import dataclass

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


def find_chunks(tokens: Tokens) -> list[Chunk]:
    """All base noun phrases, from left to right."""
    chunks: list[Chunk] = []
    for start, end in _spans(tokens.places):
        while start < end and tokens.tags[start] in ("CC", ",", "."):
            start += 1
        if chunks and _unfinished(tokens, chunks[-1], start):
            start = chunks.pop().start
        if start < end:
            chunks.append(Chunk(start, end, end - 1, end - 1))
    return [chunk for chunk in chunks if _names_something(tokens, chunk)]


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
