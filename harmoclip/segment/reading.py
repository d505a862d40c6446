"""A caption as the parser reads it best, with the way back to the caption as given."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

_SHORTHAND = {
    "w/": "with ",
    "w/o": "without",
    "w/out": "without",
    "b&w": "black-and-white",
    "b/w": "black-and-white",
    "and/or": "or",
    "&": "and",
    "+": "and",
    "@": "at",
    "n'": "and",
    "'n'": "and",
    "’": "'",
    "‘": "'",
    "‐": "-",
    "‑": "-",
}
_ENTITY = r"&(?:amp;)*(?:\#\d+|\#x[\da-f]+|[a-z]\w*);"
_CHANGED = re.compile(
    rf"""
    \bb (?: & | &amp; | / ) w \b | \b w/o (?:ut)? \b | \b w/ (?!\w/) | \b and/or \b
    | (?<=\s) (?: 'n' | n' | [&+@] ) (?=\s)
    | [’‘‐‑]
    | {_ENTITY}
    | </?[a-z][^<>]*>
    | [\u2190-\u2bff\u2e80-\u2eff\ufe0e\ufe0f\u200d\u20e3\U0001f000-\U0001faff\U000e0020-\U000e007f]+
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SUSPECT = re.compile(r"[&/<@+]|n'|[^\x00-\x7f]")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the parser is given in the place of a caption.

    HTML entities are unescaped, tags and emoji give way to a space, shorthand such as "w/" is written out,
    and text all in capitals is lower-cased.

    Attributes:
        caption: As given.
        text: As the parser reads it.
        places: Where each character of the text stands in the caption, and where the caption ends.

    Example:
        >>> reading = read("A dog w/ a ball &amp; a cat")
        >>> reading.text
        'A dog with  a ball and a cat'
        >>> reading.caption[reading.places[19] : reading.places[22]]
        '&amp;'
    """

    caption: str
    text: str
    places: Sequence[int]


def read(caption: str) -> Reading:
    """How the parser reads a caption best."""
    text, places = _rewritten(caption)
    lower = text.lower()
    if text.isupper() and len(lower) == len(text):
        text = lower
    return Reading(caption, text, places)


def _rewritten(caption: str) -> tuple[str, Sequence[int]]:
    if not _SUSPECT.search(caption):
        return caption, range(len(caption) + 1)
    pieces: list[str] = []
    places: list[int] = []
    last = 0
    for found in _CHANGED.finditer(caption):
        new = _replacement(found[0])
        pieces += (caption[last : found.start()], new)
        places += (*range(last, found.start()), *[found.start()] * len(new))
        last = found.end()
    return "".join([*pieces, caption[last:]]), [*places, *range(last, len(caption) + 1)]


def _replacement(piece: str) -> str:
    if piece[0] == "&" and piece[-1] == ";":
        return _unescaped(piece)
    return _SHORTHAND.get(piece.lower().replace("&amp;", "&"), " ")


def _unescaped(entity: str) -> str:
    """The character, also where it was escaped twice; an unknown name stays."""
    while (text := html.unescape(entity)) != entity:
        entity = text
    return _SHORTHAND.get(text, " " if text.isspace() else text)
