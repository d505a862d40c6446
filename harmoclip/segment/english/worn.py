"""Colors that stand for clothes: 'a man in red', 'dressed all in black and white'."""

from harmoclip.segment.english import lexicon as lx
from harmoclip.segment.english.tokens import Tokens

_JOINTS = frozenset((",", "and"))


def mark_worn(tokens: Tokens) -> None:
    """Make a noun phrase of each color that stands for clothes."""
    for start in range(len(tokens)):
        end = _end_of_colors(tokens, start) if is_worn(tokens, start) else start
        if end > start:
            tokens.places[start:end] = ["B", *["I"] * (end - start - 1)]
            tokens.tags[end - 1] = "NN"


def is_worn(tokens: Tokens, start: int) -> bool:
    """Whether what stands here is worn: after 'wearing', 'dressed in', 'a man in'."""
    before, who = tokens.word(start - 1), tokens.word(start - 2)
    if before in lx.WEARING:
        return True
    person = lx.noun_in(who, lx.PEOPLE_AND_ANIMALS) or who in lx.SOMEBODY or tokens.tag(start - 2) == "CD"
    return before == "in" and (person or who in lx.DRESSED)


def _end_of_colors(tokens: Tokens, start: int) -> int:
    """One past the last word of 'red', 'all black', 'red, white and blue'; `start` if a noun follows."""
    end = start
    while tokens.word(end) in lx.COLORS or tokens.word(end) in lx.SHADES or tokens.word(end) in _JOINTS:
        end += 1
    goes_on = end < len(tokens) and tokens.places[end] == "I"
    while end > start and tokens.word(end - 1) in _JOINTS:
        end -= 1
    named = any(word in lx.COLORS for word in tokens.words[start:end])
    return end if named and not goes_on else start
