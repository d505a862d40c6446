"""One parsed caption as plain lists of its words, which the rules read many times."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harmoclip.segment.words import inside_word

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

# Words of their own within 'isn't', 'cannot', 'gonna'.
_CONTRACTED = ("n't", "nt", "not", "na", "ta")


@dataclass(slots=True)
class Tokens:
    """Parallel lists over the words of a caption.

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
        """Read the parts of a Doc that the rules use: its words, without whitespace."""
        words = _words(doc)
        place = {token.i: index for index, word in enumerate(words) for token in word}
        tops = [word[0] if len(word) == 1 else min(word, key=_depth) for word in words]
        return cls(
            words=["".join([token.lower_ for token in word]) for word in words],
            tags=[_tag(word) for word in words],
            deps=[top.dep_ for top in tops],
            heads=[place.get(top.head.i, index) for index, top in enumerate(tops)],
            starts=[word[0].idx for word in words],
            ends=[word[-1].idx + len(word[-1]) for word in words],
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


def _words(doc: "Doc") -> list[list["Token"]]:
    """The tokens of each word; a tokenizer may cut words at hyphens and slashes."""
    words: list[list[Token]] = []
    for token in doc:
        if words and inside_word(doc.text, token.idx) and token.lower_ not in _CONTRACTED:
            words[-1].append(token)
        elif not token.is_space:
            words.append([token])
    return words


def _depth(token: "Token") -> int:
    """Steps to the root of the parse: the highest part of a word stands for it, lest heads go in circles."""
    return sum(1 for _ in token.ancestors)


def _tag(word: list["Token"]) -> str:
    """That of the last part, as in 'black-and-white', unless it is none that can stand before a noun."""
    tag: str = word[-1].tag_
    if len(word) == 1 or tag.startswith(("NN", "JJ", "VB", "CD")):
        return tag
    following = word[-1].i + 1 < len(word[-1].doc) and word[-1].nbor().tag_
    return "JJ" if following and following.startswith(("NN", "JJ", "CD", "VBN")) else "NN"
