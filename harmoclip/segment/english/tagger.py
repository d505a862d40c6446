"""The tagger of English captions: which words make a noun phrase, and what part of speech each word is.

A small convolutional network over vectors of words, in NumPy. One caption is tagged at a time, so what comes
out does not depend on the captions beside it. `tools/segmenter` trains it.
"""

import re
from functools import cache, lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

DILATIONS = (1, 1, 2, 4)
"""How far each layer looks to either side."""
PARTS = ("word", "beginning", "end")
_WIDEST = max(DILATIONS)
_DIGIT = re.compile(r"\d")

Array = NDArray[np.float32]


def parts(word: str) -> tuple[str, str, str]:
    """What a word's vector is the sum of: itself, its first and its last letters; digits are all alike.

    Example:
        >>> parts("black-and-white"), parts("28")
        (('white', 'bla-', 'ite'), ('00', '00', '00'))
    """
    word = _DIGIT.sub("0", word)
    last = word.rpartition("-")[2] or word
    return last, word[:3] + ("-" if "-" in word else ""), word[-3:]


class Tagger:
    """Weights of the network; `tagger()` gives the one that comes with the package."""

    def __init__(self, weights: dict[str, NDArray[np.generic]]) -> None:
        def text(name: str) -> list[str]:
            return weights[name].tobytes().decode().split("\n")

        def matrix(name: str) -> Array:
            return weights[name].astype(np.float32)

        self.labels = text("labels")
        self._goes_on = np.array([label[0] == "I" for label in self.labels])
        self._outside = np.array([label[0] == "O" for label in self.labels])
        self._numbers = [{part: i for i, part in enumerate(text(f"names{k}"), 1)} for k in range(len(PARTS))]
        self._tables = [matrix(f"embed{k}") for k in range(len(PARTS))]
        self._layers = [(d, matrix(f"weight{k}"), matrix(f"bias{k}")) for k, d in enumerate(DILATIONS)]
        self._label, self._subject = matrix("label"), matrix("subject")
        self._vector = lru_cache(maxsize=1 << 15)(self._vector_of)

    def __call__(self, words: list[str]) -> tuple[list[str], list[int]]:
        """Labels such as "B-DT", and how many phrases back the subject of a phrase that ends here stands.

        Args:
            words: The lower-case words of a caption.
        """
        n = len(words)
        # a border of zeros as wide as the widest layer looks
        x = np.zeros((n + 2 * _WIDEST, self._label.shape[0] - 1), np.float32)
        inside = x[_WIDEST : n + _WIDEST]
        for i, word in enumerate(words):
            inside[i] = self._vector(word)
        for d, weight, bias in self._layers:
            seen = np.concatenate([x[_WIDEST + k : _WIDEST + k + n] for k in (-d, 0, d)], axis=1)
            inside += np.maximum(seen @ weight + bias, 0)
        label = self._best(inside @ self._label[:-1] + self._label[-1])
        subject = (inside @ self._subject[:-1] + self._subject[-1]).argmax(axis=1)
        return [self.labels[i] for i in label], subject.tolist()

    def _best(self, scores: Array) -> list[int]:
        """The labels with the highest sum of scores in which no phrase goes on that has not begun."""
        best = scores.argmax(axis=1)
        outside = np.concatenate([[True], self._outside[best[:-1]]])
        if not (self._goes_on[best] & outside).any():
            return [int(label) for label in best]
        total = np.where(self._goes_on, -np.inf, scores[0])
        before: list[NDArray[np.intp]] = []
        for row in scores[1:]:
            last, last_inside = total.argmax(), np.where(self._outside, -np.inf, total).argmax()
            before.append(np.where(self._goes_on, last_inside, last))
            total = row + np.where(self._goes_on, total[last_inside], total[last])
        path = [int(total.argmax())]
        for step in reversed(before):
            path.append(int(step[path[-1]]))
        return path[::-1]

    def _vector_of(self, word: str) -> Array:
        ids = [number.get(part, 0) for number, part in zip(self._numbers, parts(word), strict=True)]
        return np.sum([table[i] for table, i in zip(self._tables, ids, strict=True)], axis=0)


@cache
def tagger() -> Tagger:
    """The tagger that comes with the package."""
    with files(__package__).joinpath("tagger.npz").open("rb") as file, np.load(file) as weights:
        return Tagger(dict(weights))
