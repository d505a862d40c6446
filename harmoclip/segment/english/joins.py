"""Join base phrases over 'of': 'a group' and 'surfers' name one thing, 'the hood' and 'a car' two."""

from dataclasses import replace

from harmoclip.segment.english import lexicon as lx
from harmoclip.segment.english.chunks import Chunk
from harmoclip.segment.english.frames import is_frame
from harmoclip.segment.english.groundable import reason_against
from harmoclip.segment.english.tokens import Tokens


def join_over_of(tokens: Tokens, chunks: list[Chunk]) -> list[Chunk]:
    """Join phrases that name one thing; from right to left, so that chains join."""
    joined: list[Chunk] = []
    for chunk in reversed(chunks):
        after = joined[-1] if joined else None
        if after is not None and tokens.word(chunk.end) == "of" and after.start == chunk.end + 1:
            joined[-1:] = _join(tokens, chunk, after, leading=chunk is chunks[0])
        else:
            joined.append(chunk)
    return joined[::-1]


def _join(tokens: Tokens, first: Chunk, second: Chunk, *, leading: bool) -> list[Chunk]:
    """What becomes of 'first of second', second one first."""
    if is_frame(tokens, first, first=leading):
        return [second, first]
    word = tokens.word(first.head)
    if lx.noun_in(word, lx.GROUPS) or word in lx.QUANTIFIERS:
        return [replace(first, end=second.end, head=second.head)]
    whole = _is_filled(tokens, first, second) or _is_part(tokens, first, second)
    if lx.noun_in(word, lx.DEPICTIONS) or whole:
        return [replace(first, end=second.end)]
    return [second, first]


def _is_filled(tokens: Tokens, first: Chunk, second: Chunk) -> bool:
    """'a cup of coffee', 'panes of glass'; not 'the chair of a desk', 'top of hills', 'cars of two sizes'."""
    bare = tokens.tag(second.start) not in ("DT", "PRP$")
    return bare and reason_against(tokens, first) is None and reason_against(tokens, second) is None


def _is_part(tokens: Tokens, first: Chunk, second: Chunk) -> bool:
    """'the edge of the pool', 'the hand of a boy'; but not 'top of a hill', 'the end of the day'."""
    named = first.end - first.start > 1 and tokens.tag(first.start) in ("DT", "CD", "JJ")
    part = lx.noun_in(tokens.word(first.head), lx.ENDS | lx.BODY_PARTS)
    return named and part and reason_against(tokens, second) is None
