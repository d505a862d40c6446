"""Tell what a caption says is not there."""

from collections.abc import Sequence

from harmoclip.segment.english import lexicon as lx
from harmoclip.segment.english.chunks import Chunk
from harmoclip.segment.english.tokens import Tokens

_ENDS = lx.NOT | lx.NOBODY | {"but", "except"}


def find_absent(tokens: Tokens, chunks: Sequence[Chunk]) -> list[bool]:
    """Which phrases are denied: 'no people', 'not wearing a hat or gloves', 'the lid is missing'."""
    denied = [_is_denied(tokens, chunk) for chunk in chunks]
    goes_on = False
    lists = [False] * len(chunks)
    for k in range(len(chunks) - 1, 0, -1):
        between = tokens.words[chunks[k - 1].end : chunks[k].start]
        goes_on = between in (["or"], ["nor"], [",", "or"], [",", "nor"]) or (goes_on and between == [","])
        lists[k] = goes_on
    for k in range(1, len(chunks)):
        denied[k] |= denied[k - 1] and lists[k]
    return denied


def _is_denied(tokens: Tokens, chunk: Chunk) -> bool:
    return _denies_itself(tokens, chunk) or _denied_before(tokens, chunk) or _denied_after(tokens, chunk.end)


def _denies_itself(tokens: Tokens, chunk: Chunk) -> bool:
    """'no people', 'zero candles', 'neither dog', but not 'no parking signs'."""
    sign = lx.noun_in(tokens.word(chunk.head), lx.SIGNS) and tokens.word(chunk.start + 1) in lx.FORBIDDEN
    return tokens.word(chunk.start) in lx.NO and not sign


def _denied_before(tokens: Tokens, chunk: Chunk) -> bool:
    """'without a lid', 'instead of a cat', 'is not a poodle', 'doesn't have a hat', 'not on a leash'."""
    i = chunk.start - 1
    if tokens.word(i) in lx.WITHOUT or (tokens.word(i - 1), tokens.word(i)) in lx.WITHOUT_PAIRS:
        return True
    first, stop = tokens.word(chunk.start), max(i - 4, -1)
    while i > stop and tokens.tag(i)[:2] in ("VB", "IN", "TO", "RP", "RB") and tokens.word(i) not in _ENDS:
        i -= 1
    between = range(i + 1, chunk.start)
    had = any(tokens.word(k) in lx.HAVING for k in between)
    if tokens.word(i) in lx.NOBODY or (tokens.word(i - 1), tokens.word(i)) == ("no", "one"):
        return had
    if tokens.word(i) not in lx.NOT or tokens.tag(i - 1) == "MD" or tokens.word(i + 1) in lx.NOT_ONLY:
        return False
    if had or all(tokens.tag(k) == "RB" for k in between):
        return first not in lx.NOT_ALL
    return first in ("a", "an", "any")


def _denied_after(tokens: Tokens, i: int) -> bool:
    """'the lid is missing', 'its handle absent', 'the driver is not visible'."""
    while tokens.word(i) in lx.BEING:
        i += 1
    if tokens.word(i) in ("not", "n't") or (tokens.word(i), tokens.word(i + 1)) == ("no", "longer"):
        i += 1 if tokens.word(i) != "no" else 2
        return tokens.word(i) in lx.PRESENT
    return tokens.word(i) in lx.MISSING and tokens.tag(i + 1)[:2] not in ("DT", "NN", "PR", "JJ", "CD")
