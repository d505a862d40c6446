"""One parsed caption as plain lists, which the rules read many times."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy.tokens import Doc


@dataclass(slots=True)
class Tokens:
    """Parallel lists over the tokens of a caption.

    Attributes:
        words: Lower-case text.
        tags: Penn Treebank tags, mended in place by the rules.
        deps: Dependency labels.
        heads: Index of each token's head; a root is its own head.
        starts: First character.
        ends: One past the last character.
    """

    words: list[str]
    tags: list[str]
    deps: list[str]
    heads: list[int]
    starts: list[int]
    ends: list[int]

    @classmethod
    def read(cls, doc: "Doc") -> "Tokens":
        """Read the parts of a Doc that the rules use, without its whitespace tokens."""
        tokens = [token for token in doc if not token.is_space]
        place = {token.i: index for index, token in enumerate(tokens)}
        return cls(
            words=[token.lower_ for token in tokens],
            tags=[token.tag_ for token in tokens],
            deps=[token.dep_ for token in tokens],
            heads=[place.get(token.head.i, index) for index, token in enumerate(tokens)],
            starts=[token.idx for token in tokens],
            ends=[token.idx + len(token) for token in tokens],
        )

    def __len__(self) -> int:
        return len(self.words)

    def tag(self, index: int) -> str:
        """The tag at an index, or "" outside the caption."""
        return self.tags[index] if 0 <= index < len(self.tags) else ""

    def word(self, index: int) -> str:
        """The lower-case word at an index, or "" outside the caption."""
        return self.words[index] if 0 <= index < len(self.words) else ""

    def is_noun(self, index: int) -> bool:
        """Whether the token is tagged as a common or proper noun."""
        return self.tag(index).startswith("NN")

    def touches(self, index: int) -> bool:
        """Whether no space stands between the token and the one before it."""
        return index > 0 and self.starts[index] == self.ends[index - 1]
