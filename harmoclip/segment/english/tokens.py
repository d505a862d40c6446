"""One caption as plain lists of its words, which the rules read many times."""

import re
from dataclasses import dataclass

from harmoclip.segment.english.tagger import tagger
from harmoclip.segment.reading import Reading

_LETTER = r"(?:[^\W_][\u0300-\u036f]*)"
_CLITIC = r"'(?:s|m|d|re|ve|ll)(?!\w)"
_JOINT = rf"(?: - | (?<=[^\W_]{{2}})/(?=[^\W_]{{2}}) | (?<=\d)[/.,:](?=\d) | & | (?!{_CLITIC})' )"
_WORD = re.compile(
    rf"""
    {_LETTER}+?(?=n't(?!\w)) | n't(?!\w) | {_CLITIC}
    | (?: [^\W\d_] \. ){{2,}}
    | {_LETTER}+ (?: {_JOINT} {_LETTER}+ )*
    | \S
    """,
    re.VERBOSE,
)


@dataclass(slots=True)
class Tokens:
    """Parallel lists over the words of a caption.

    Attributes:
        words: Lower-case text.
        tags: Penn Treebank tags.
        places: "B" where a noun phrase begins, "I" inside one, "O" outside.
        subjects: How many phrases back the subject stands that a phrase ending here is related to, or 0.
        starts: First character, counted in the caption as given.
        ends: One past the last character.
    """

    words: list[str]
    tags: list[str]
    places: list[str]
    subjects: list[int]
    starts: list[int]
    ends: list[int]

    @classmethod
    def read(cls, reading: Reading) -> "Tokens":
        """Cut a caption into words and tag them."""
        found = [match.span() for match in _WORD.finditer(reading.text)]
        words = [reading.text[start:end].lower() for start, end in found]
        labels, subjects = tagger()(words)
        for i, (start, end) in enumerate(found):
            if labels[i] == "O-JJ" and _is_name(reading.text, start, end):
                labels[i] = "B-NNP"
        return cls(
            words=words,
            tags=[label[2:] for label in labels],
            places=[label[0] for label in labels],
            subjects=subjects,
            starts=[reading.places[start] for start, _ in found],
            ends=[reading.places[end] for _, end in found],
        )

    def __len__(self) -> int:
        return len(self.words)

    def tag(self, index: int) -> str:
        """The tag at an index, or "" outside the caption."""
        return self.tags[index] if 0 <= index < len(self.tags) else ""

    def place(self, index: int) -> str:
        """The place at an index, or "" outside the caption."""
        return self.places[index] if 0 <= index < len(self.places) else ""

    def word(self, index: int) -> str:
        """The lower-case word at an index, or "" outside the caption."""
        return self.words[index] if 0 <= index < len(self.words) else ""


def _is_name(text: str, start: int, end: int) -> bool:
    """A capitalized word among words that are not, such as 'Lassy' in 'A dog that looks like Lassy'."""
    return text[start].isupper() and text[:start].rstrip()[-1:].islower() and not text[:end].istitle()
