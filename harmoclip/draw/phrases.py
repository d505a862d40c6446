"""A caption with its phrases and relations as an image."""

from collections.abc import Sequence
from typing import Any

from harmoclip.segment.phrase import Phrase


def draw_phrases(caption: str, phrases: Sequence[Phrase]) -> str:
    """An SVG of a caption: phrases with their heads below, and an arrow for each relation.

    Drawn by spaCy's displaCy; a notebook shows it with `IPython.display.SVG`, a browser as it is.

    Args:
        caption: The caption.
        phrases: What a segmenter found in it.

    Returns:
        The text of an SVG file.

    Example:
        >>> segment = CaptionSegmenter()
        >>> svg = draw_phrases("A man rides a horse.", segment("A man rides a horse."))
    """
    from spacy import displacy

    words, places = _words(caption, phrases)
    arcs = [_arc(places[i], places[r.object], r.text) for i, p in enumerate(phrases) for r in p.relations]
    distance = 40 + 9 * max((len(word["text"]) for word in words), default=0)
    options = {"distance": distance, "compact": True, "color": "#20303f", "bg": "#ffffff"}
    return displacy.render(
        {"words": words, "arcs": arcs}, style="dep", manual=True, options=options, jupyter=False
    )


def _words(caption: str, phrases: Sequence[Phrase]) -> tuple[list[dict[str, str]], list[int]]:
    """Phrases and the text between them, in order; where each phrase stands among them."""
    words: list[dict[str, str]] = []
    places, end = [], 0
    for phrase in phrases:
        _add(words, caption[end : phrase.start])
        places.append(len(words))
        words.append({"text": phrase.text, "tag": phrase.reason or phrase.head.lemma})
        end = phrase.end
    _add(words, caption[end:])
    return words, places


def _add(words: list[dict[str, str]], between: str) -> None:
    if any(character.isalnum() for character in between):
        words.append({"text": " ".join(between.split()), "tag": ""})


def _arc(subject: int, other: int, text: str) -> dict[str, Any]:
    direction = "right" if subject < other else "left"
    return {"start": min(subject, other), "end": max(subject, other), "label": text, "dir": direction}
