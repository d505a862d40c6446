"""Relations between phrases, read from the dependency parse: 'man' - 'riding' - 'horse'."""

from collections.abc import Sequence

from harmoclip.segment.english.chunks import Chunk
from harmoclip.segment.english.tokens import Tokens
from harmoclip.segment.phrase import Relation

_OBJECTS = ("dobj", "obj", "pobj", "dative", "attr")
_SUBJECTS = ("nsubj", "nsubjpass")
_CLAUSES = ("acl", "relcl")


def find_relations(
    tokens: Tokens, caption: str, chunks: Sequence[Chunk | None]
) -> list[tuple[Relation, ...]]:
    """The relations of which each phrase is the subject; None stands for a phrase to look through."""
    phrases = [(number, chunk) for number, chunk in enumerate(chunks) if chunk is not None]
    owner = {i: number for number, chunk in phrases for i in range(chunk.start, chunk.end)}
    found: list[list[Relation]] = [[] for _ in chunks]
    for number, chunk in phrases:
        subject, words = _climb(tokens, owner, _top(tokens, chunk))
        if subject is None or subject == number or not words:
            continue
        first, last = _run(words)
        start, end = tokens.starts[first], tokens.ends[last]
        found[subject].append(Relation(caption[start:end], start, end, number))
    return [tuple(relations) for relations in found]


def _top(tokens: Tokens, chunk: Chunk) -> int:
    """The token by which the rest of the caption holds the phrase."""
    inside = range(chunk.start, chunk.end)
    i = chunk.last
    while tokens.heads[i] in inside and tokens.heads[i] != i:
        i = tokens.heads[i]
    return i


def _climb(tokens: Tokens, owner: dict[int, int], i: int) -> tuple[int | None, list[int]]:
    """Go from an object up the parse to the phrase it is related to; the words on the way relate the two."""
    words: list[int] = []
    own = owner[i]
    for _ in range(len(tokens)):
        head, dep = tokens.heads[i], tokens.deps[i]
        if head == i or dep in _SUBJECTS:
            return None, []
        if dep == "conj" and not words:
            i = head
            own = owner.get(i, own)
            continue
        if not words and dep not in _OBJECTS:
            return None, []
        i = head
        if i in owner and owner[i] != own:
            return owner[i], words
        if dep not in _CLAUSES:
            words.append(i)
        if tokens.tag(i).startswith("VB"):
            return _subject(tokens, owner, i), words
    return None, []


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


def _run(words: list[int]) -> tuple[int, int]:
    """First and last of the unbroken words nearest to the object; 'hold a knife in' gives 'in'."""
    first = last = words[0]
    for i in words[1:]:
        if i == first - 1:
            first = i
        else:
            break
    return first, last
