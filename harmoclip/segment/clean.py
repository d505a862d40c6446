"""Follow a span of a caption through the clean-up that a tokenizer does before it cuts text into tokens."""

from collections.abc import Callable

Clean = Callable[[str], str]


def locate(caption: str, text: str, start: int, end: int, clean: Clean) -> tuple[int, int] | None:
    """Where caption[start:end] lies in `text` = clean(caption); None when that cannot be told for sure.

    Clean-up repairs encodings, unescapes HTML, collapses whitespace and lower-cases, and says nothing
    about offsets. So the parts before, in and after the span are cleaned alone; where they add up to the
    whole text, the place is known.
    """
    stripped = caption.strip()
    if len(stripped) == len(text) and stripped.lower() == text.lower():
        shift = len(caption) - len(caption.lstrip())
        return _trim(text, max(start - shift, 0), end - shift)
    before, phrase, after = clean(caption[:start]), clean(caption[start:end]), clean(caption[end:])
    if not phrase:
        return None
    for left in ("", " "):
        for right in ("", " "):
            if before + left + phrase + right + after == text:
                return len(before + left), len(before + left + phrase)
    return _anchor(caption, text, start, end, (before, phrase, after))


def _anchor(
    caption: str, text: str, start: int, end: int, parts: tuple[str, str, str]
) -> tuple[int, int] | None:
    """The place by one side alone, for text whose other side is cleaned differently on its own.

    Whitespace between the span and that other side keeps the clean-up of one from reaching into the other.
    """
    before, phrase, after = parts
    for gap in ("", " "):
        if caption[end : end + 1].isspace() and text.startswith(before + gap + phrase + " "):
            return len(before + gap), len(before + gap + phrase)
        if caption[start - 1 : start].isspace() and text.endswith(" " + phrase + gap + after):
            last = len(text) - len(gap + after)
            return last - len(phrase), last
    return None


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    phrase = text[start:end]
    if not phrase.strip():
        return None
    return start + len(phrase) - len(phrase.lstrip()), start + len(phrase.rstrip())
