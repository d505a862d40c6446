"""Makes what is said of somebody: a verb with its object or place, clothes, a color."""

import random
from collections.abc import Callable

import words as wd
from collected import Token
from nouns import NounMaker, after_determiner, inside

from harmoclip.segment.english import lexicon as lx
from harmoclip.segment.english.singular import singular

_COLORS = sorted(lx.COLORS)


class ClauseMaker:
    """Makes parts of sentences, the same ones from the same seed."""

    def __init__(self, nouns: NounMaker, rng: random.Random) -> None:
        self.nouns = nouns
        self.random = rng

    def verb(self, form: Callable[[str], str], tag: str) -> list[Token]:
        """A verb with its object or place."""
        if self.random.random() < 0.45:
            verb, preposition = self.random.choice(wd.TRANSITIVE), []
        else:
            verb, preposition = self.random.choice(wd.INTRANSITIVE), self.random.choice(wd.PREPOSITIONS)
        tokens = [(form(verb), f"O-{tag}")]
        if self.random.random() < 0.05:
            tokens.insert(self.random.choice([0, 1]), (self.random.choice(wd.MANNER), "O-RB"))
        if preposition:
            if self.random.random() < 0.1:
                return tokens
            tokens += prepositions(preposition)
        return tokens + (self.nouns.thing() if self.random.random() < 0.8 else self.nouns.one())

    def place(self) -> list[Token]:
        """Where it happens, in half of all cases."""
        if self.random.random() < 0.5:
            return []
        return prepositions(self.random.choice(wd.PREPOSITIONS)) + self.nouns.thing()

    def wearing(self) -> list[Token]:
        """'in a red shirt', 'wearing boots and a hat', 'riding a horse'."""
        word = self.random.choice(["in", "with", "wearing", "on", "holding", "riding"])
        worn = self.nouns.clothes()
        if self.random.random() < 0.2:
            worn = [*worn, ("and", "O-CC"), *self.nouns.clothes()]
        return [(word, "O-VBG" if word.endswith("ing") else "O-IN"), *worn]

    def in_color(self) -> list[Token]:
        """'in red', 'dressed in black and white': a bare color is left to a rule."""
        return [*self._how_worn(), *((word, f"O-{tag}") for word, tag in self._colors())]

    def in_colored(self) -> list[Token]:
        """'in red and white shoes', which differs from 'in red and white' by its noun alone."""
        noun = self.random.choice(wd.CLOTHES + wd.OBJECTS)
        tag = "NNS" if singular(noun) != noun else "NN"
        return [*self._how_worn(), *inside([*self._colors(), (noun, tag)])]

    def _how_worn(self) -> list[Token]:
        dressed = [("dressed", "O-VBN"), ("in", "O-IN")]
        return self.random.choice([[("in", "O-IN")], dressed, [("wearing", "O-VBG")]])

    def _colors(self) -> list[tuple[str, str]]:
        first, second = self.random.sample(_COLORS, 2)
        one = self.random.random() < 0.75
        return [(first, "JJ")] if one else [(first, "JJ"), ("and", "CC"), (second, "JJ")]

    def denial(self) -> list[Token]:
        """'not wearing a hat', 'free of cars'."""
        words = [part for word in self.random.choice(wd.DENIALS) for part in _uncontracted(word)]
        noun = self.nouns.made(wd.OBJECTS + wd.CLOTHES, many=False)
        article = words.pop() if words[-1] in ("a", "the", "no", "any") else None
        if article is not None:
            noun = [(article, "B-DT"), *after_determiner(noun)]
        tags = [_DENYING.get(word, "VBG" if word.endswith("ing") else "IN") for word in words]
        return [*((word, f"O-{tag}") for word, tag in zip(words, tags, strict=True)), *noun]


def prepositions(words: list[str]) -> list[Token]:
    """'on', 'next to'."""
    return [(word, "O-IN" if word != "to" else "O-TO") for word in words]


_DENYING = {
    **dict.fromkeys(("not", "n't"), "RB"),
    **dict.fromkeys(("is", "does", "has", "lacks"), "VBZ"),
    **dict.fromkeys(("are", "have", "see", "reach", "find", "eat"), "VB"),
    **dict.fromkeys(("was",), "VBD"),
    **dict.fromkeys(("ca", "cannot", "could", "wo"), "MD"),
    **dict.fromkeys(("free", "devoid"), "JJ"),
    **dict.fromkeys(("but", "rather"), "CC"),
    "there": "EX",
}


def _uncontracted(word: str) -> list[str]:
    return [word.removesuffix("n't"), "n't"] if word.endswith("n't") else [word]
