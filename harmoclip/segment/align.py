"""Map character spans of a caption to positions in a tokenizer's row of ids: exactly, or not at all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harmoclip.errors import InputError
from harmoclip.segment.clean import locate
from harmoclip.segment.encoders import Encoder, Offsets
from harmoclip.segment.families import encoder_for
from harmoclip.segment.words import inside_word


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """Half-open positions in the row of ids that `tokenizer([caption])[0]` returns, start-of-text counted.

    Attributes:
        start: First position; 0 unless the status is "exact".
        end: One past the last position; 0 unless the status is "exact".
        status: "exact"; "truncated", when the tokenizer cuts the caption before the span ends; "not_found",
            when no run of tokens says the span and nothing else, or the span begins or ends inside a word.
    """

    start: int
    end: int
    status: Literal["exact", "truncated", "not_found"]


_TRUNCATED = TokenSpan(0, 0, "truncated")
_NOT_FOUND = TokenSpan(0, 0, "not_found")


class Aligner:
    """Aligns character spans of captions with the tokens of one tokenizer; made by `align`."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def __call__(self, caption: str, spans: Iterable[Sequence[int]]) -> list[TokenSpan]:
        """Find the tokens of each span.

        Args:
            caption: The caption, exactly as the tokenizer will be given it.
            spans: `(start, end)` half-open character offsets, 0 <= start < end <= len(caption).

        Returns:
            One `TokenSpan` a span, in the same order.

        Raises:
            InputError: A span is empty or outside the caption.
        """
        text = self.encoder.clean(caption)
        row = self.encoder.encode(text, truncate=True)
        return [self._align(caption, text, row, start, end) for start, end in _checked(caption, spans)]

    def _align(self, caption: str, text: str, row: Offsets, start: int, end: int) -> TokenSpan:
        if inside_word(caption, start) or inside_word(caption, end):
            return _NOT_FOUND
        place = locate(caption, text, start, end, self.encoder.clean)
        if place is None:
            return _NOT_FOUND
        positions = _cover(row, text, *place)
        if positions is None or positions[1] == _filled(row):
            whole = _cover(self.encoder.encode(text, truncate=False), text, *place)
            if whole is None:
                return _NOT_FOUND
            # the cut may fall between the tokens of one character
            if positions is None or whole[1] - whole[0] > positions[1] - positions[0]:
                return _TRUNCATED
        says = self.encoder.says(text, positions, text[slice(*place)])
        return TokenSpan(*positions, "exact") if says else _NOT_FOUND


def align(tokenizer: Any) -> Aligner:
    """Make an aligner for a tokenizer.

    Args:
        tokenizer: What `open_clip.get_tokenizer` returns (`SimpleTokenizer`, `HFTokenizer`), open_clip's
            `SigLipTokenizer`, OpenAI's `clip.tokenize`, or a fast Hugging Face tokenizer. Arguments that
            change the row, such as `truncation` and `max_length`, go into a `functools.partial` of it.

    Raises:
        InputError: The tokenizer keeps no trace of where its tokens come from.

    Example:
        >>> import open_clip
        >>> aligner = align(open_clip.get_tokenizer("ViT-B-32"))
        >>> aligner("A man walks two dogs.", [(0, 5), (12, 20)])
        [TokenSpan(start=1, end=3, status='exact'), TokenSpan(start=4, end=6, status='exact')]
    """
    return Aligner(encoder_for(tokenizer))


def _checked(caption: str, spans: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    pairs = [(int(start), int(end)) for start, end in spans]
    for number, (start, end) in enumerate(pairs):
        if not 0 <= start < end <= len(caption):
            raise InputError(
                f"Span {number} is ({start}, {end}); expected 0 <= start < end <= {len(caption)}, "
                f"the length of the caption {caption!r}."
            )
    return pairs


def _cover(offsets: Offsets, text: str, start: int, end: int) -> tuple[int, int] | None:
    """The positions whose tokens make up text[start:end]; None if a token crosses its border."""
    inside = []
    for position, (first, last) in enumerate(offsets):
        first, last = _strip(text, first, last)
        if first < end and last > start and first < last:
            if first < start or last > end:
                return None
            inside.append((position, first, last))
    if not inside or min(a for _, a, _ in inside) > start or max(b for _, _, b in inside) < end:
        return None
    return inside[0][0], inside[-1][0] + 1


def _filled(offsets: Offsets) -> int:
    """One past the last position that holds text."""
    return max((i + 1 for i, (start, end) in enumerate(offsets) if start < end), default=0)


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave the space that byte-level and sentencepiece tokens carry out of their offsets."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end
