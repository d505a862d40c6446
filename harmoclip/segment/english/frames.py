"""Tell words about the picture from words about what is in it."""

from harmoclip.segment.english import lexicon as lx
from harmoclip.segment.english.chunks import Chunk
from harmoclip.segment.english.tokens import Tokens


def is_frame(tokens: Tokens, chunk: Chunk, *, first: bool) -> bool:
    """'a close up of', 'A photo of', 'taking a picture': words about the picture, not in it."""
    joined = chunk.end > chunk.last + 1
    if joined and chunk.head == chunk.last:
        return False
    word, after = tokens.word(chunk.head), tokens.word(chunk.end)
    if lx.noun_in(word, lx.ALWAYS_FRAMES):
        return True
    if lx.noun_in(word, lx.CAMERA_SHOTS) and _taken(tokens, chunk):
        return True
    if lx.noun_in(word, lx.CAMERA_SHOTS | lx.SCENES) and _in_picture(tokens, chunk):
        return True
    if word == "scene" and after != "of":
        return tokens.words[chunk.start : chunk.end] == ["the", "scene"]
    return first and lx.noun_in(word, lx.FRAMES) and after in lx.FRAME_FOLLOWERS


def _in_picture(tokens: Tokens, chunk: Chunk) -> bool:
    """'in this picture', 'at the edge of the photo'."""
    before = tokens.word(chunk.start - 1)
    if before == "of":
        return lx.noun_in(tokens.word(chunk.start - 2), lx.SPATIAL)
    return before == "in" and tokens.word(chunk.start) in ("the", "this")


def _taken(tokens: Tokens, chunk: Chunk) -> bool:
    return any(word in lx.TAKERS for word in tokens.words[max(chunk.start - 2, 0) : chunk.start])
