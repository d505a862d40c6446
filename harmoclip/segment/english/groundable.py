"""Say why a noun phrase names nothing visible, or that it does name something."""

from collections.abc import Sequence

from harmoclip.segment.english import lexicon as lx
from harmoclip.segment.english.absence import find_absent
from harmoclip.segment.english.chunks import Chunk
from harmoclip.segment.english.frames import is_frame
from harmoclip.segment.english.stand_ins import is_color_of_two, stands_for_object
from harmoclip.segment.english.tokens import Tokens
from harmoclip.segment.english.worn import is_worn


def reasons_against(tokens: Tokens, chunks: Sequence[Chunk]) -> list[str | None]:
    """Why each phrase of a caption cannot be grounded; None where it can."""
    reasons = [reason_against(tokens, chunk, first=chunk is chunks[0]) for chunk in chunks]
    absent = find_absent(tokens, chunks)
    return [
        "absent" if missing and reason != "pronoun" else reason
        for reason, missing in zip(reasons, absent, strict=True)
    ]


def reason_against(tokens: Tokens, chunk: Chunk, *, first: bool = False) -> str | None:
    """Why a phrase on its own cannot be grounded; None where it can."""
    head = tokens.word(chunk.head).removesuffix("s")
    if tokens.word(chunk.head - 1) in lx.OBJECT_COMPOUNDS.get(head, ()):
        return None
    return next((reason for reason, holds in _REASONS if holds(tokens, chunk, first)), None)


def _is_pronoun(tokens: Tokens, chunk: Chunk, first: bool) -> bool:
    """'watching something', 'another', 'no one'."""
    return tokens.word(chunk.head) in lx.PRONOUNS and not stands_for_object(tokens, chunk)


def _is_comparison(tokens: Tokens, chunk: Chunk, first: bool) -> bool:
    """'looks like Lassy'."""
    return tokens.word(chunk.start - 1) == "like"


def _is_camera(tokens: Tokens, chunk: Chunk, first: bool) -> bool:
    """'looking at the camera', 'facing the camera' name the viewer, 'holding a camera' a thing."""
    viewer = tokens.words[chunk.start : chunk.end] in (["the", "camera"], ["camera"])
    before = tokens.word(chunk.start - 1)
    return viewer and (before in lx.VIEWING or (before == "of" and tokens.word(chunk.start - 2) == "front"))


def _is_frame(tokens: Tokens, chunk: Chunk, first: bool) -> bool:
    """'a close up of', 'A photo of', 'taking a picture'; 'holding a picture of himself' is a thing."""
    return is_frame(tokens, chunk, first=first)


def _is_spatial(tokens: Tokens, chunk: Chunk, first: bool) -> bool:
    """'the side of', 'on top of', 'the far end', but not 'a counter top' or 'a blue top'."""
    word = tokens.word(chunk.last)
    if chunk.end != chunk.last + 1 or not lx.noun_in(word, lx.SPATIAL):
        return False
    modifiers = tokens.words[chunk.start + (tokens.tag(chunk.start) in ("DT", "PRP$")) : chunk.last]
    if word in ("back", "backs") and tokens.tag(chunk.start) == "PRP$":  # a part of the body
        return False
    if word == "base" and tokens.word(chunk.end) != "of":  # of a baseball field
        return False
    return word in lx.ALWAYS_SPATIAL or all(word in lx.SPATIAL_MODIFIERS for word in modifiers)


def _is_wrapper(tokens: Tokens, chunk: Chunk, first: bool) -> bool:
    """'the interior of a kitchen': only the kitchen is taken."""
    return tokens.word(chunk.last) in lx.WRAPPERS and tokens.word(chunk.end) == "of"


def _is_time(tokens: Tokens, chunk: Chunk, first: bool) -> bool:
    """'at night', 'several times'; a bare 'at sunset' but not 'a sunset'."""
    word = tokens.word(chunk.head)
    return lx.noun_in(word, lx.TIMES) or (_is_bare(chunk) and word in lx.BARE_TIMES)


def _is_event(tokens: Tokens, chunk: Chunk, first: bool) -> bool:
    """'a baseball game', 'for dinner', 'playing frisbee', 'a game of frisbee', 'takes a swing'."""
    word = tokens.word(chunk.head)
    if word == "swing" and tokens.word(chunk.start - 1) in lx.TAKERS:
        return True
    if lx.noun_in(word, lx.EVENTS) or tokens.word(chunk.last) in lx.ACTIVITIES_OF:
        return True
    if _is_bare(chunk) and (
        word in lx.SPORTS or (word in lx.BARE_EVENTS and tokens.tag(chunk.start - 1) == "IN")
    ):
        return True
    before = tokens.word(chunk.start - 1)
    played = before.startswith("play") or (
        before == "of" and tokens.word(chunk.start - 2) in lx.ACTIVITIES_OF
    )
    return played and lx.noun_in(word, lx.PLAYED | lx.SPORTS)


def _is_attribute(tokens: Tokens, chunk: Chunk, first: bool) -> bool:
    """'in many sizes', 'painted in yellow'; 'a man in yellow' wears something."""
    word = tokens.word(chunk.head)
    if lx.noun_in(word, lx.ATTRIBUTES):
        return True
    if is_worn(tokens, chunk.start) or is_color_of_two(tokens, chunk.head):
        return False
    bare = all(w in lx.COLORS or w in lx.COLOR_MODIFIERS for w in tokens.words[chunk.start : chunk.end])
    return (
        bare and word in lx.COLORS and (word not in lx.COLOR_OBJECTS or tokens.word(chunk.start - 1) == "in")
    )


def _is_abstract(tokens: Tokens, chunk: Chunk, first: bool) -> bool:
    """'tricks', 'a calm mood', 'on display', 'suggesting a recent rain', 'hand in hand'."""
    word = tokens.word(chunk.head)
    if lx.noun_in(word, lx.ABSTRACT):
        return True
    if tokens.word(chunk.start - 1) in lx.GUESSERS:
        return True
    for between, other in ((chunk.start - 1, chunk.start - 2), (chunk.end, chunk.end + 1)):
        if _is_bare(chunk) and tokens.word(other) == word and tokens.word(between) == "in":
            return True
    return _is_bare(chunk) and tokens.tag(chunk.start - 1) == "IN" and word in lx.BARE_ABSTRACT


def _is_bare(chunk: Chunk) -> bool:
    return chunk.end - chunk.start == 1


_REASONS = (
    ("pronoun", _is_pronoun),
    ("comparison", _is_comparison),
    ("frame", _is_camera),
    ("frame", _is_frame),
    ("spatial", _is_spatial),
    ("frame", _is_wrapper),
    ("time", _is_time),
    ("event", _is_event),
    ("attribute", _is_attribute),
    ("abstract", _is_abstract),
)
