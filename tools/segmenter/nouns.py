"""Makes noun phrases with known labels: from those of captions and from lists of words."""

import random

import words as wd
from collected import NounPhrases, Token
from forms import third

from harmoclip.segment.english import lexicon as lx
from harmoclip.segment.english.singular import singular

_ARTICLES = ("a", "a", "a", "the", "another", "one", "")
_BEFORE_PLURAL = ("two", "three", "some", "several", "the", "four", "many", "")
_TAGS = {**dict.fromkeys(("a", "an", "the", "some", "another"), "DT"), "several": "JJ", "many": "JJ"}
_COLORS = sorted(lx.COLORS)


class NounMaker:
    """Makes noun phrases, the same ones from the same seed."""

    def __init__(self, phrases: NounPhrases, rng: random.Random) -> None:
        self.phrases = phrases
        self.random = rng

    def one(self) -> list[Token]:
        """Somebody or an animal."""
        chance = self.random.random()
        if chance < 0.35:
            return self.made([word for word in wd.PERSONS if singular(word) == word], many=False)
        phrase = self._bare(self.random.choice(self.phrases.one))
        return [*phrase, ("'s", "I-POS"), *self._part()] if chance > 0.96 else phrase

    def many(self) -> list[Token]:
        """Several people or animals, now and then as a group."""
        if self.random.random() < 0.3:
            return self.made(wd.PERSONS, many=True)
        phrase = self.random.choice(self.phrases.many)
        if phrase[0][1] == "B-DT" or self.random.random() < 0.8:
            return phrase
        group = self.random.choice(["group", "couple", "crowd", "pair", "bunch", "team", "number"])
        return [("a", "B-DT"), (group, "I-NN"), ("of", "O-IN"), *phrase]

    def thing(self) -> list[Token]:
        """A thing or a place."""
        chance = self.random.random()
        if chance < 0.25:
            return self.made(wd.OBJECTS, many=False)
        if chance < 0.3:
            return self._compound(self.random.choice(wd.COMPOUNDS_ING), "VBG")
        if chance < 0.34:
            return self._compound(self.random.choice(wd.COMPOUNDS), "NN")
        if chance < 0.35:
            return [(self.random.choice(wd.PEOPLE_NAMES), "B-NNP")]
        if chance < 0.36:
            return [("the", "B-DT"), ("number", "I-NN"), (str(self.random.randrange(100)), "I-CD")]
        if chance < 0.39:
            group, of = self.random.choice(wd.ARRANGEMENTS), self.random.choice(self.phrases.things)
            article = [] if singular(group) != group else [("a", "DT")]
            return [*inside([*article, (group, "NNS" if not article else "NN")]), ("of", "O-IN"), *of]
        return self.collected()

    def collected(self) -> list[Token]:
        """A thing that a caption names."""
        return self._bare(self.random.choice(self.phrases.things))

    def clothes(self) -> list[Token]:
        """What is worn: 'a red shirt', 'blue jeans'."""
        chance = self.random.random()
        if chance > 0.7:
            return self.thing()
        made = self.made(wd.CLOTHES, many=False)
        counted = made[0][1] in ("B-CD", "B-DT", "B-JJ") and made[-1][1][2:] == "NNS" and len(made) > 1
        return begin(made[1:]) if counted and chance < 0.5 else made

    def made(self, nouns: list[str], *, many: bool) -> list[Token]:
        """A noun with an article or number and adjectives in every order that captions have."""
        noun = self.random.choice(nouns)
        if many and singular(noun) == noun:
            noun = third(noun)
        plural = singular(noun) != noun
        first = self.random.choice(_BEFORE_PLURAL if plural else _ARTICLES)
        tokens = [(first, _TAGS.get(first, "CD"))] if first else []
        tokens += self._adjectives()
        if self.random.random() < 0.08:
            tokens.append((self.random.choice(wd.NAMES), "NNP"))
        if self.random.random() < 0.08:
            tokens.append((self.random.choice(wd.OBJECTS), "NN"))
        return inside([*tokens, (noun, "NNS" if plural else "NN")])

    def _adjectives(self) -> list[tuple[str, str]]:
        choose = self.random.choice
        chance = self.random.random()
        if chance < 0.35:
            return []
        if chance < 0.45:
            first, second = choose(wd.AFTER_PARTICIPLE)
            tag = "RP" if second in ("up", "in", "out") else "JJ"
            return [(first, "VBN" if tag == "RP" else "JJ"), (second, tag)]
        if chance >= 0.7:
            return [(choose(wd.PLAIN_ADJECTIVES + _COLORS), "JJ")]
        kind = _COLORS if self.random.random() < 0.5 else wd.PLAIN_ADJECTIVES
        first, last = (choose(kind), "JJ"), (choose(kind), "JJ")
        if chance < 0.52:
            return [first, (choose(["and", "and", "or", "but"]), "CC"), last]
        if chance < 0.56:
            return [first, (",", ","), last]
        if chance < 0.6:
            return [first, (",", ","), (choose(kind), "JJ"), (",", ","), ("and", "CC"), last]
        return [(choose(wd.PLAIN_ADJECTIVES), "JJ"), last]

    def _compound(self, words: list[str], tag: str) -> list[Token]:
        """'a climbing wall', 'two ski lifts': the last word may be taken for a verb elsewhere."""
        modifier, noun = words
        made = self.made([noun], many=False)
        return [
            *made[:-1],
            (modifier, f"{'B' if len(made) == 1 else 'I'}-{tag}"),
            (noun, "I" + made[-1][1][1:]),
        ]

    def _part(self) -> list[Token]:
        """What somebody has, after "'s"."""
        choose = self.random.choice
        adjective = [(choose(["left", "right", "red", "long"]), "I-JJ")] if self.random.random() < 0.3 else []
        return [*adjective, (choose(["arm", "head", "back", "face", "hand", "shoulder", "hat"]), "I-NN")]

    def _bare(self, phrase: list[Token]) -> list[Token]:
        """Now and then without its article, as in headlines, or with a participle."""
        chance = self.random.random()
        if chance < 0.12 and len(phrase) > 1 and phrase[0][1] == "B-DT":
            tag, words = self.random.choice([("VBG", wd.PARTICIPLES_ING), ("VBN", wd.PARTICIPLES_ED)])
            return [phrase[0], (self.random.choice(words), f"I-{tag}"), *phrase[1:]]
        return begin(phrase[1:]) if chance > 0.88 and has_article(phrase) else phrase


def inside(tokens: list[tuple[str, str]]) -> list[Token]:
    """Label words and their tags as one noun phrase."""
    return [(word, f"{'I' if i else 'B'}-{tag}") for i, (word, tag) in enumerate(tokens)]


def begin(phrase: list[Token]) -> list[Token]:
    """Let a noun phrase begin with the first of these tokens."""
    (word, label), *rest = phrase
    return [(word, "B" + label[1:]), *rest]


def has_article(phrase: list[Token]) -> bool:
    """Whether more than an article is there."""
    return len(phrase) > 1 and phrase[0][0] in ("a", "an", "the")


def after_determiner(phrase: list[Token]) -> list[Token]:
    """The rest of a noun phrase behind another determiner: without its own article or number."""
    return [(word, "I" + label[1:]) for word, label in phrase if label[2:] not in ("DT", "CD")]
