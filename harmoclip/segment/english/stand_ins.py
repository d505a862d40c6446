"""Words that stand for an object named before: 'one in red', 'the other', 'one of the dogs'."""

from harmoclip.segment.english import lexicon as lx
from harmoclip.segment.english.chunks import Chunk
from harmoclip.segment.english.tokens import Tokens

_AND_ANOTHER = (["and", "a"], ["and", "an"], ["and", "another"], ["and", "one"])


def mark_stand_ins(tokens: Tokens) -> None:
    """Make noun phrases of 'one', 'one black and white', 'a pink one', of 'two' in 'two wearing hats'."""
    for place in range(len(tokens)):
        start, end = _start_of_adjectives(tokens, place), _end_of_adjectives(tokens, place + 1)
        free = (tokens.places[place] != "I" or start < place) and tokens.place(end) != "I"
        if free and _stands_alone(tokens, place):
            tokens.places[start:end] = ["B", *["I"] * (end - start - 1)]


def stands_for_object(tokens: Tokens, chunk: Chunk) -> bool:
    """Whether a pronoun names an object: 'one in red', 'the other', 'a black one', 'holding something'."""
    word, start = tokens.word(chunk.head), tokens.word(chunk.start)
    if word == "something":
        return tokens.word(chunk.start - 1) not in lx.NOT_HELD
    if word == "other":
        return start == "the"
    return _is_elliptic(tokens, chunk.head) and start not in lx.INDEFINITE


def _is_elliptic(tokens: Tokens, place: int) -> bool:
    """'one' but not 'one another' or 'one of them'; 'two wearing hats', 'some with flags'."""
    word, after = tokens.word(place), tokens.word(place + 1)
    if word in ("one", "ones"):
        return after not in ("another", "of")
    return word in lx.ELLIPTIC and after != "of" and tokens.tag(place + 1)[:2] in ("IN", "VB")


def _stands_alone(tokens: Tokens, place: int) -> bool:
    """Also 'two' in 'two of the dogs', and 'brown' in 'a brown and a black dog'."""
    of = tokens.word(place + 1) == "of" and tokens.tag(place + 2) in ("DT", "PRP$")
    counted = of and tokens.word(place) in lx.QUANTIFIERS
    return counted or _is_elliptic(tokens, place) or is_color_of_two(tokens, place)


def is_color_of_two(tokens: Tokens, place: int) -> bool:
    """The first color of 'a brown and a black dog', which names a dog."""
    article, follows = tokens.word(place - 1), tokens.words[place + 1 : place + 3]
    return tokens.word(place) in lx.COLORS and article in ("a", "an") and follows in _AND_ANOTHER


def _start_of_adjectives(tokens: Tokens, place: int) -> int:
    """Where 'a pink one' begins."""
    start = place
    while tokens.tag(start - 1) == "JJ" or tokens.word(start - 1) in lx.COLORS:
        start -= 1
    return start - 1 if tokens.tag(start - 1) in ("DT", "CD") and tokens.word(start - 1) != "one" else place


def _end_of_adjectives(tokens: Tokens, end: int) -> int:
    """One past the last of the adjectives that stand here: 'brown', 'black and white'."""
    while tokens.tag(end + (tokens.word(end) == "and")) == "JJ":
        end += 1
    return end
