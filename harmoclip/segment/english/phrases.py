"""From an English caption to its phrases."""

from harmoclip.segment.english import lexicon as lx
from harmoclip.segment.english.chunks import Chunk, find_chunks
from harmoclip.segment.english.groundable import reasons_against
from harmoclip.segment.english.joins import join_over_of
from harmoclip.segment.english.relations import find_relations
from harmoclip.segment.english.singular import singular
from harmoclip.segment.english.stand_ins import mark_stand_ins
from harmoclip.segment.english.tokens import Tokens
from harmoclip.segment.english.worn import is_worn, mark_worn
from harmoclip.segment.phrase import Attribute, AttributeKind, Head, Phrase, Relation
from harmoclip.segment.reading import Reading

_ADJECTIVES = ("JJ", "JJR", "JJS", "VBN", "VBG", "VBD")


def english_phrases(reading: Reading, *, keep_all: bool) -> list[Phrase]:
    """The phrases of a caption.

    Args:
        reading: How the caption is read.
        keep_all: Whether to keep phrases that cannot be grounded.
    """
    caption, tokens = reading.caption, Tokens.read(reading)
    chunks, reasons = judged_chunks(tokens)
    kept = [i for i, reason in enumerate(reasons) if keep_all or reason is None]
    relations = find_relations(tokens, caption, chunks, reasons, {i: n for n, i in enumerate(kept)})
    return [_phrase(tokens, caption, chunks[i], reasons[i], relations[i]) for i in kept]


def judged_chunks(tokens: Tokens) -> tuple[list[Chunk], list[str | None]]:
    """The noun phrases of a caption, and why each cannot be grounded; None where it can."""
    mark_worn(tokens)
    mark_stand_ins(tokens)
    chunks = join_over_of(tokens, find_chunks(tokens))
    return chunks, reasons_against(tokens, chunks)


def _phrase(
    tokens: Tokens, caption: str, chunk: Chunk, reason: str | None, relations: tuple[Relation, ...]
) -> Phrase:
    start, end = tokens.starts[chunk.start], tokens.ends[chunk.end - 1]
    return Phrase(
        text=caption[start:end],
        start=start,
        end=end,
        head=_head(tokens, caption, chunk.head),
        attributes=_attributes(tokens, caption, chunk),
        relations=relations,
        reason=reason,
    )


def _head(tokens: Tokens, caption: str, i: int) -> Head:
    start, end = tokens.starts[i], tokens.ends[i]
    return Head(caption[start:end], start, end, lemma=singular(tokens.words[i]))


def _attributes(tokens: Tokens, caption: str, chunk: Chunk) -> tuple[Attribute, ...]:
    found = []
    color = tokens.word(chunk.head) in lx.COLORS and is_worn(tokens, chunk.start)
    for i in range(chunk.start, chunk.end):
        kind = _kind(tokens, i) if color or i not in (chunk.head, chunk.last) else None
        if kind is not None:
            start, end = tokens.starts[i], tokens.ends[i]
            found.append(Attribute(caption[start:end], start, end, kind))
    return tuple(found)


def _kind(tokens: Tokens, i: int) -> AttributeKind | None:
    word, tag = tokens.words[i], tokens.tags[i]
    parts = word.split("-")
    first, last = parts[0], parts[-1]
    if tag == "CD" or word in lx.NUMBERS:
        return "number"
    if last in lx.COLORS or (len(parts) > 1 and last in lx.COLORED):
        return "color"
    if last in lx.MATERIALS:
        return "material"
    counted = len(parts) > 1 and (first.isdigit() or first in lx.COUNTS)
    return "adjective" if tag in _ADJECTIVES or counted else None
