"""Relations between phrases: 'man' - 'riding' - 'horse'."""

from collections.abc import Mapping, Sequence

from harmoclip.segment.english.chunks import Chunk
from harmoclip.segment.english.tokens import Tokens
from harmoclip.segment.phrase import Relation

_RELATE = ("VB", "IN", "TO", "RP", "RB", "JJ")
_COORDINATE = frozenset((",", "and", "or", "&", "nor"))


def find_relations(
    tokens: Tokens,
    caption: str,
    chunks: Sequence[Chunk],
    reasons: Sequence[str | None],
    numbers: Mapping[int, int],
) -> list[tuple[Relation, ...]]:
    """The relations of which each phrase is the subject, past phrases that cannot be grounded.

    A subject of another sentence is none.

    Args:
        tokens: The caption's words.
        caption: As given.
        chunks: All phrases.
        reasons: Why each cannot be grounded; None if it can.
        numbers: What number each phrase has for the caller.
    """
    found: list[list[Relation]] = [[] for _ in chunks]
    seen = [number for number, reason in enumerate(reasons) if reason is None]
    inside = {i: chunk for chunk in chunks for i in range(chunk.start, chunk.end)}
    words, subject = None, None
    for place, number in enumerate(seen):
        chunk = chunks[number]
        before = chunks[seen[place - 1]].end if place else 0
        if not (subject is not None and _coordinated(tokens, before, chunk.start)):
            back = tokens.subjects[chunk.end - 1]
            subject = seen[place - back] if 0 < back <= place else None
            words = _related(tokens, inside, before, chunk.start)
            if subject is not None and "." in tokens.tags[chunks[subject].end : chunk.start]:
                subject = None
        if subject is not None and words is not None:
            start, end = tokens.starts[words[0]], tokens.ends[words[1]]
            found[subject].append(Relation(caption[start:end], start, end, numbers[number]))
    return [tuple(relations) for relations in found]


def _coordinated(tokens: Tokens, start: int, end: int) -> bool:
    """'plates and napkins', 'plates, cups'."""
    return start < end and all(word in _COORDINATE for word in tokens.words[start:end])


def _related(tokens: Tokens, inside: Mapping[int, Chunk], start: int, end: int) -> tuple[int, int] | None:
    """First and last of the words before the phrase that relate it: 'riding', 'sitting on', 'on top of'.

    None for 'The mood gives', whose subject is a phrase that cannot be grounded.
    """
    first = end
    while first > start and (tokens.tags[first - 1].startswith(_RELATE) or first - 1 in inside):
        first -= 1
    while first < end and tokens.word(first) in ("is", "are", "was", "were", "be", "being", "been"):
        first += 1
    own_subject = first in inside and inside[first].start == first
    return (first, end - 1) if first < end and not own_subject else None
