"""Where words begin and end: hyphens, apostrophes and slashes are inside them."""

import re
import unicodedata

_JOINT = re.compile(
    r"(?<=[^\W_])[-‐‑](?=[^\W_])|(?<=[^\W_]{2})/(?=[^\W_]{2})|(?<=\d)[/.,:](?=\d)|(?<=\w)&(?=\w)"
)
_APOSTROPHE = re.compile(r"(?<=[^\W_])['’](?=[^\W_])")
_CLITIC = re.compile(r"['’](?:s|m|d|re|ve|ll)(?!\w)", re.IGNORECASE)
# 'l'homme', 'dell'acqua': two words
_ELISION = re.compile(r"(?<!\w)(?:[cdjlmnst]|\w*qu|un|(?:d|n|s)?[ae]ll|quest|quell|gl|bell)$", re.IGNORECASE)


def inside_word(text: str, place: int) -> bool:
    """Whether the boundary before `text[place]` lies inside a word.

    Scripts that write no spaces between words have no such places, and neither have "dog's", where "'s" is a
    word, and the elisions of French and Italian.

    Example:
        >>> [inside_word("a black-and-white cat's tail", place) for place in (2, 4, 8, 18, 21)]
        [False, True, True, False, False]
    """
    if not 0 < place < len(text):
        return False
    before, after = text[place - 1], text[place]
    if (_is_letter(before) and _is_letter(after)) or unicodedata.combining(after):
        return True
    if _JOINT.match(text, place) or _JOINT.match(text, place - 1):
        return True
    if _APOSTROPHE.match(text, place):
        return not (_CLITIC.match(text, place) or _elided(text, place))
    return bool(_APOSTROPHE.match(text, place - 1)) and not _elided(text, place - 1)


def whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    """The span, widened to where its first and its last word begin and end."""
    while inside_word(text, start):
        start -= 1
    while inside_word(text, end):
        end += 1
    return start, end


def _is_letter(character: str) -> bool:
    """Letters of scripts with spaces between words, nearly all of which have two cases, and digits."""
    return character.isdigit() or character.lower() != character.upper()


def _elided(text: str, apostrophe: int) -> bool:
    return _ELISION.search(text, max(apostrophe - 10, 0), apostrophe) is not None
