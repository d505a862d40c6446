"""Relations between phrases, read from the dependency parse: 'man' - 'riding' - 'horse'."""

from collections.abc import Sequence

from harmoclip.segment.english.chunks import Chunk
from teacher.tokens import Tokens

_OBJECTS = ("dobj", "obj", "pobj", "dative", "attr")
_SUBJECTS = ("nsubj", "nsubjpass")
_CLAUSES = ("acl", "relcl")


def find_relations(tokens: Tokens, chunks: Sequence[Chunk]) -> dict[int, int]:
    """Which phrase is the subject of the relation that holds each phrase, where there is one."""
    owner = {i: number for number, chunk in enumerate(chunks) for i in range(chunk.start, chunk.end)}
    found = {}
    for number, chunk in enumerate(chunks):
        subject = _climb(tokens, owner, _top(tokens, chunk))
        if subject is not None and subject != number:
            found[number] = subject
    return found


def _top(tokens: Tokens, chunk: Chunk) -> int:
    """The token by which the rest of the caption holds the phrase."""
    inside = range(chunk.start, chunk.end)
    i = chunk.last
    while tokens.heads[i] in inside and tokens.heads[i] != i:
        i = tokens.heads[i]
    return i


def _climb(tokens: Tokens, owner: dict[int, int], i: int) -> int | None:
    """Go from an object up the parse to the phrase it is related to."""
    related = False
    own = owner[i]
    for _ in range(len(tokens)):
        head, dep = tokens.heads[i], tokens.deps[i]
        if head == i or dep in _SUBJECTS:
            return None
        if dep == "conj" and not related:
            i = head
            own = owner.get(i, own)
            continue
        if not related and dep not in _OBJECTS:
            return None
        i = head
        if i in owner and owner[i] != own:
            return owner[i] if related else None
        related |= dep not in _CLAUSES
        if tokens.tag(i).startswith("VB"):
            return _subject(tokens, owner, i) if related else None
    return None


def _subject(tokens: Tokens, owner: dict[int, int], verb: int) -> int | None:
    """The phrase that does what the verb says: its subject, that of a verb above, or the noun it modifies."""
    for _ in range(len(tokens)):
        for i, head in enumerate(tokens.heads):
            if head == verb and tokens.deps[i] in _SUBJECTS and i in owner:
                return owner[i]
        above = tokens.heads[verb]
        if above == verb:
            return None
        if above in owner:
            return owner[above]
        verb = above
    return None
