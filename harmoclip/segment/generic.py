"""Phrases in languages other than English: spaCy's noun chunks without pronouns."""

from typing import TYPE_CHECKING

from harmoclip.segment.phrase import Attribute, AttributeKind, Head, Phrase

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span, Token

_KINDS: dict[str, AttributeKind] = {"ADJ": "adjective", "NUM": "number"}


def generic_phrases(doc: "Doc", caption: str, *, keep_all: bool) -> list[Phrase]:
    """The noun chunks of a parsed caption; pronouns are the only ones known to be invisible."""
    chunks = [_phrase(chunk, caption) for chunk in doc.noun_chunks]
    return [phrase for phrase in chunks if keep_all or phrase.groundable]


def _phrase(chunk: "Span", caption: str) -> Phrase:
    root = chunk.root
    start, end = chunk.start_char, chunk.end_char
    return Phrase(
        text=caption[start:end],
        start=start,
        end=end,
        head=Head(
            caption[root.idx : root.idx + len(root)], root.idx, root.idx + len(root), root.lemma_.lower()
        ),
        attributes=tuple(_attribute(token, caption) for token in chunk if token.pos_ in _KINDS),
        reason="pronoun" if root.pos_ == "PRON" else None,
    )


def _attribute(token: "Token", caption: str) -> Attribute:
    start, end = token.idx, token.idx + len(token)
    return Attribute(caption[start:end], start, end, _KINDS[token.pos_])
