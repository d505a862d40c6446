"""Relations between phrases: 'man' - 'riding' - 'horse'."""

from collections.abc import Sequence

from harmoclip.segment.english.chunks import Chunk
from harmoclip.segment.english.tokens import Tokens
from harmoclip.segment.phrase import Relation

_RELATE = ("VB", "IN", "TO", "RP", "RB", "JJ")
_COORDINATE = frozenset((",", "and", "or", "&", "nor"))


def find_relations(
    tokens: Tokens, caption: str, chunks: Sequence[Chunk], reasons: Sequence[str | None]
) -> list[tuple[Relation, ...]]:
    """The relations of which each phrase is the subject, past phrases that cannot be grounded."""
    found: list[list[Relation]] = [[] for _ in chunks]
    seen = [number for number, reason in enumerate(reasons) if reason is None]
    words: tuple[int, int] | None = None
    subject = None
    for place, number in enumerate(seen):
        chunk = chunks[number]
        before = chunks[seen[place - 1]].end if place else 0
        if not (place and _coordinated(tokens, before, chunk.start) and subject is not None):
            back = tokens.subjects[chunk.end - 1]
            subject = seen[place - back] if 0 < back <= place else None
            words = _related(tokens, chunks, before, chunk.start)
        if subject is not None and words is not None:
            start, end = tokens.starts[words[0]], tokens.ends[words[1]]
            found[subject].append(Relation(caption[start:end], start, end, number))
    return [tuple(relations) for relations in found]


def _coordinated(tokens: Tokens, start: int, end: int) -> bool:
    """'plates and napkins', 'plates, cups'."""
    return start < end and all(word in _COORDINATE for word in tokens.words[start:end])


def _related(tokens: Tokens, chunks: Sequence[Chunk], start: int, end: int) -> tuple[int, int] | None:
    """First and last of the words before the phrase that relate it: 'riding', 'sitting on', 'on top of'."""
    inside = {i for chunk in chunks for i in range(chunk.start, chunk.end)}
    first = end
    while first > start and (tokens.tags[first - 1].startswith(_RELATE) or first - 1 in inside):
        first -= 1
    while first < end and tokens.word(first) in ("is", "are", "was", "were", "be", "being", "been"):
        first += 1
    return (first, end - 1) if first < end else None
