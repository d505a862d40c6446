"""Phrases in languages other than English: spaCy's noun chunks without pronouns."""

from typing import TYPE_CHECKING

from harmoclip.segment.phrase import Attribute, AttributeKind, Head, Phrase
from harmoclip.segment.reading import Reading
from harmoclip.segment.words import whole_words

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span, Token

_KINDS: dict[str, AttributeKind] = {"ADJ": "adjective", "NUM": "number"}


def generic_phrases(doc: "Doc", reading: Reading, *, keep_all: bool) -> list[Phrase]:
    """The noun chunks of a parsed caption; pronouns are the only ones known to be invisible."""
    phrases: list[Phrase] = []
    for chunk in doc.noun_chunks:
        start, end = whole_words(doc.text, chunk.start_char, chunk.end_char)
        span = doc.char_span(start, end) or chunk
        if not phrases or reading.places[start] >= phrases[-1].end:
            phrases.append(_phrase(span, chunk.root, reading))
    return [phrase for phrase in phrases if keep_all or phrase.groundable]


def _phrase(span: "Span", root: "Token", reading: Reading) -> Phrase:
    start, end, text = _place(span.start_char, span.end_char, reading)
    first, last, word = _place(root.idx, root.idx + len(root), reading)
    return Phrase(
        text=text,
        start=start,
        end=end,
        head=Head(word, first, last, root.lemma_.lower()),
        attributes=tuple(_attribute(token, reading) for token in span if token.pos_ in _KINDS),
        reason="pronoun" if root.pos_ == "PRON" else None,
    )


def _attribute(token: "Token", reading: Reading) -> Attribute:
    start, end, text = _place(token.idx, token.idx + len(token), reading)
    return Attribute(text, start, end, _KINDS[token.pos_])


def _place(start: int, end: int, reading: Reading) -> tuple[int, int, str]:
    """Where a part of the reading stands in the caption, and how it is spelled there."""
    start, end = reading.places[start], reading.places[end]
    return start, end, reading.caption[start:end]
