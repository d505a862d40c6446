"""Captions made by a small grammar: verbs that look like nouns, beside noun phrases that occur in captions.

A parser trained on news reads "A dog chases" as two nouns. Here the right tags are known, as the sentence was
made from them. Noun phrases come from the captions themselves (see `NounPhrases`) and from word lists.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import words as wd

from harmoclip.segment.english import lexicon as lx
from harmoclip.segment.english.singular import singular

Token = tuple[str, str]
"""A word and its label: place in a noun phrase (B, I or O), a hyphen, and a Penn Treebank tag."""

_ARTICLES = ("a", "a", "a", "the", "another", "one", "")
_IRREGULAR_ING = {
    "lie": "lying",
    "tie": "tying",
    "ski": "skiing",
    "die": "dying",
    "hoe": "hoeing",
    "dye": "dyeing",
}


def third(verb: str) -> str:
    """'chases', 'kisses', 'carries'."""
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else "s")


def ing(verb: str) -> str:
    """'chasing', 'sitting', 'carrying'."""
    if verb in _IRREGULAR_ING:
        return _IRREGULAR_ING[verb]
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        return verb[:-1] + "ing"
    short = len(verb) >= 3 and verb[-1] not in "aeiouwxy" and verb[-2] in "aeiou" and verb[-3] not in "aeiou"
    single = sum(letter in "aeiou" for letter in verb) == 1
    return verb + (verb[-1] if short and single else "") + "ing"


def past(verb: str) -> str:
    """'chased', 'sat', 'carried'."""
    if verb in wd.PAST:
        return wd.PAST[verb]
    stem = ing(verb).removesuffix("ing")
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return (verb if verb.endswith("e") else stem) + ("d" if verb.endswith("e") else "ed")


@dataclass
class NounPhrases:
    """Noun phrases of captions, as labelled tokens, by what they can be in a sentence."""

    one: list[list[Token]]
    many: list[list[Token]]
    things: list[list[Token]]
    adjectives: list[str]

    @classmethod
    def collect(cls, rows: Iterable[tuple[list[str], list[str]]], verbs: set[str]) -> "NounPhrases":
        """Those that occur more than once and do not end in what may be a verb."""
        found: Counter[tuple[Token, ...]] = Counter()
        for words, labels in rows:
            for start, end in spans(labels):
                found[tuple(zip(words[start:end], labels[start:end], strict=True))] += 1
        one, many, things, adjectives = [], [], [], []
        for phrase, count in found.items():
            head, label = phrase[-1]
            if count < 2 or head in verbs or not label[2:].startswith("NN") or len(phrase) > 6:
                continue
            adjectives += [word for word, label in phrase[:-1] if label.endswith("-JJ") and "-" not in word]
            alive = lx.noun_in(head, lx.PEOPLE_AND_ANIMALS)
            kind = things if not alive else many if singular(head) != head else one
            kind.extend([list(phrase)] * min(count, 12))
        return cls(one, many, things, adjectives)


def spans(labels: list[str]) -> list[tuple[int, int]]:
    """The noun phrases that labels mark."""
    starts = [i for i, label in enumerate(labels) if label[0] == "B"]
    ends = []
    for start in starts:
        end = start + 1
        while end < len(labels) and labels[end][0] == "I":
            end += 1
        ends.append(end)
    return list(zip(starts, ends, strict=True))


class Grammar:
    """Makes captions, the same ones from the same seed."""

    def __init__(self, phrases: NounPhrases, seed: int) -> None:
        self.phrases = phrases
        self.random = random.Random(seed)
        self.patterns: list[tuple[float, Callable[[], list[Token]]]] = [
            (5, self._one_does),
            (4, self._many_do),
            (2, self._pair_does),
            (2, self._wearing_one_does),
            (2, self._doing),
            (2, self._is_doing),
            (1.5, self._while_other),
            (1, self._sport),
            (1.5, self._with_open),
            (1, self._bare_adverb),
            (1, self._and_does),
            (2, self._dressed_does),
            (1.5, self._thing_does),
            (1, self._is_so),
            (1.5, self._did),
            (1, self._sees_do),
            (1, self._to_do),
            (0.7, self._joined),
            (0.4, self._like),
            (1.2, self._denied),
            (1, self._mood),
            (0.4, self._all_the),
        ]

    def caption(self) -> list[Token]:
        """One caption."""
        weights, patterns = zip(*self.patterns, strict=True)
        tokens = self.random.choices(patterns, weights)[0]()
        return [*tokens, (".", "O-.")] if self.random.random() < 0.6 else tokens

    def _one(self) -> list[Token]:
        """Somebody or an animal."""
        chance = self.random.random()
        if chance < 0.35:
            return self._made([word for word in wd.PERSONS if singular(word) == word], many=False)
        phrase = self._bare(self.random.choice(self.phrases.one))
        return [*phrase, ("'s", "I-POS"), *self._part()] if chance > 0.96 else phrase

    def _part(self) -> list[Token]:
        """What somebody has."""
        adjective = (
            [(self.random.choice(["left", "right", "red", "long"]), "I-JJ")]
            if self.random.random() < 0.3
            else []
        )
        return [
            *adjective,
            (self.random.choice(["arm", "head", "back", "face", "hand", "shoulder", "hat"]), "I-NN"),
        ]

    def _made(self, nouns: list[str], *, many: bool) -> list[Token]:
        """A noun with an article or number and adjectives in every order that captions have."""
        noun = self.random.choice(nouns)
        if many and singular(noun) == noun:
            noun = third(noun)
        plural = singular(noun) != noun
        first = self.random.choice(
            ["two", "three", "some", "several", "the", "four", "many", ""] if plural else _ARTICLES
        )
        tags = {
            "a": "DT",
            "an": "DT",
            "the": "DT",
            "some": "DT",
            "another": "DT",
            "several": "JJ",
            "many": "JJ",
            "": "",
        }
        tokens = [(first, tags.get(first, "CD"))] if first else []
        tokens += self._adjectives()
        if self.random.random() < 0.08:
            tokens.append((self.random.choice(wd.NAMES), "NNP"))
        if self.random.random() < 0.08:
            tokens.append((self.random.choice(wd.OBJECTS), "NN"))
        tokens.append((noun, "NNS" if plural else "NN"))
        return [(word, f"{'I' if i else 'B'}-{tag}") for i, (word, tag) in enumerate(tokens)]

    def _adjectives(self) -> list[tuple[str, str]]:
        choose = self.random.choice
        chance = self.random.random()
        if chance < 0.35:
            return []
        if chance < 0.45:
            first, second = choose(wd.AFTER_PARTICIPLE)
            tag = "RP" if second in ("up", "in", "out") else "JJ"
            return [(first, "VBN" if tag == "RP" else "JJ"), (second, tag)]
        kind = sorted(lx.COLORS) if self.random.random() < 0.5 else wd.PLAIN_ADJECTIVES
        if chance < 0.52:
            return [(choose(kind), "JJ"), (choose(["and", "and", "or", "but"]), "CC"), (choose(kind), "JJ")]
        if chance < 0.56:
            return [(choose(kind), "JJ"), (",", ","), (choose(kind), "JJ")]
        if chance < 0.6:
            return [
                (choose(kind), "JJ"),
                (",", ","),
                (choose(kind), "JJ"),
                (",", ","),
                ("and", "CC"),
                (choose(kind), "JJ"),
            ]
        if chance < 0.7:
            return [(choose(wd.PLAIN_ADJECTIVES), "JJ"), (choose(kind), "JJ")]
        return [(choose(wd.PLAIN_ADJECTIVES + sorted(lx.COLORS)), "JJ")]

    def _many(self) -> list[Token]:
        if self.random.random() < 0.3:
            return self._made(wd.PERSONS, many=True)
        phrase = self.random.choice(self.phrases.many)
        if phrase[0][1] == "B-DT" or self.random.random() < 0.8:
            return phrase
        group = self.random.choice(["group", "couple", "crowd", "pair", "bunch", "team", "number"])
        return [("a", "B-DT"), (group, "I-NN"), ("of", "O-IN"), *phrase]

    def _thing(self) -> list[Token]:
        chance = self.random.random()
        if chance < 0.25:
            return self._made(wd.OBJECTS, many=False)
        if chance < 0.3:
            verb, noun = self.random.choice(wd.COMPOUNDS_ING)
            made = self._made([noun], many=False)
            label = "B-VBG" if len(made) == 1 else "I-VBG"
            return [*made[:-1], (verb, label), (noun, "I" + made[-1][1][1:])]
        if chance < 0.31:
            return [(self.random.choice(wd.PEOPLE_NAMES), "B-NNP")]
        if chance < 0.32:
            return [("the", "B-DT"), ("number", "I-NN"), (str(self.random.randrange(100)), "I-CD")]
        return self._bare(self.random.choice(self.phrases.things))

    def _clothes(self) -> list[Token]:
        return self._made(wd.CLOTHES, many=False) if self.random.random() < 0.7 else self._thing()

    def _bare(self, phrase: list[Token]) -> list[Token]:
        """Now and then without its article, as in headlines, or with a participle."""
        chance = self.random.random()
        if chance < 0.12 and len(phrase) > 1 and phrase[0][1] == "B-DT":
            tag, words = self.random.choice([("VBG", wd.PARTICIPLES_ING), ("VBN", wd.PARTICIPLES_ED)])
            return [phrase[0], (self.random.choice(words), f"I-{tag}"), *phrase[1:]]
        if len(phrase) > 1 and phrase[0][0] in ("a", "an", "the") and chance > 0.88:
            (word, label), *rest = phrase[1:]
            return [(word, "B" + label[1:]), *rest]
        return phrase

    def _verb(self, form: Callable[[str], str], tag: str) -> list[Token]:
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
            tokens += [(word, "O-IN" if word != "to" else "O-TO") for word in preposition]
        tokens += self._thing() if self.random.random() < 0.8 else self._one()
        return tokens

    def _place(self) -> list[Token]:
        if self.random.random() < 0.5:
            return []
        words = self.random.choice(wd.PREPOSITIONS)
        return [(word, "O-IN" if word != "to" else "O-TO") for word in words] + self._thing()

    def _one_does(self) -> list[Token]:
        return self._one() + self._verb(third, "VBZ") + self._place()

    def _many_do(self) -> list[Token]:
        return self._many() + self._verb(str, "VBP") + self._place()

    def _pair_does(self) -> list[Token]:
        return [*self._one(), ("and", "O-CC"), *self._one(), *self._verb(str, "VBP"), *self._place()]

    def _wearing_one_does(self) -> list[Token]:
        words = self.random.choice(["in", "with", "wearing", "on", "holding", "riding"])
        tag = "VBG" if words.endswith("ing") else "IN"
        many = self.random.random() < 0.4
        subject, verb = (self._many(), (str, "VBP")) if many else (self._one(), (third, "VBZ"))
        worn = (
            [*self._clothes(), ("and", "O-CC"), *self._clothes()]
            if self.random.random() < 0.2
            else self._clothes()
        )
        return [*subject, (words, f"O-{tag}"), *worn, *self._verb(*verb), *self._place()]

    def _doing(self) -> list[Token]:
        subject = self._one() if self.random.random() < 0.6 else self._many()
        return subject + self._place() + self._verb(ing, "VBG") + self._place()

    def _is_doing(self) -> list[Token]:
        many = self.random.random() < 0.4
        subject, be = (self._many(), ("are", "O-VBP")) if many else (self._one(), ("is", "O-VBZ"))
        return [*subject, be, *self._verb(ing, "VBG"), *self._place()]

    def _while_other(self) -> list[Token]:
        word = self.random.choice(["while", "while", "as", "whilst"])
        return [*self._one_does(), (word, "O-IN"), *self.random.choice([self._one_does, self._many_do])()]

    def _sport(self) -> list[Token]:
        first, second = self.random.choice(wd.SPORTS_ING)
        be = [("is", "O-VBZ")] if self.random.random() < 0.5 else []
        return [*self._one(), *be, (first, "O-NN"), (second, "O-VBG"), *self._place()]

    def _with_open(self) -> list[Token]:
        whose, noun, how = self.random.choice(wd.OPEN)
        part = [(whose, "B-PRP$"), (noun, "I-NN")] if self.random.random() < 0.7 else [(noun, "B-NN")]
        return [*self._one_does(), ("with", "O-IN"), *part, (how, "O-JJ")]

    def _bare_adverb(self) -> list[Token]:
        adverb = self.random.choice(wd.BARE_ADVERBS)
        return [*self._doing(), (adverb, "O-RB"), *self._place()]

    def _and_does(self) -> list[Token]:
        return [*self._one_does(), ("and", "O-CC"), *self._verb(third, "VBZ")]

    def _dressed_does(self) -> list[Token]:
        """'a man in red tries'; a bare color is no noun phrase."""
        how = self.random.choice(
            [[("in", "O-IN")], [("dressed", "O-VBN"), ("in", "O-IN")], [("wearing", "O-VBG")]]
        )
        colors = self.random.sample(sorted(lx.COLORS), self.random.choice([1, 1, 1, 2]))
        color = [
            (" and ".join(colors).split()[i], "O-CC" if i % 2 else "O-JJ") for i in range(2 * len(colors) - 1)
        ]
        many = self.random.random() < 0.4
        subject, verb = (self._many(), (str, "VBP")) if many else (self._one(), (third, "VBZ"))
        follows = self._verb(*verb) if self.random.random() < 0.7 else self._verb(ing, "VBG")
        return [*subject, *how, *color, *follows, *self._place()]

    def _thing_does(self) -> list[Token]:
        """'the sun sets'."""
        verb = self.random.choice(wd.OF_THINGS)
        thing = self.random.choice(self.phrases.things)
        many = singular(thing[-1][0]) != thing[-1][0]
        does = (verb, "O-VBP") if many else (third(verb), "O-VBZ")
        before = [*self._one_does(), ("as", "O-IN")] if self.random.random() < 0.5 else []
        return [*before, *thing, does, *self._place()]

    def _is_so(self) -> list[Token]:
        """'a dog that is muddy walks'."""
        so = (self.random.choice(self.phrases.adjectives), "O-JJ")
        if self.random.random() < 0.5:
            return [*self._one(), ("that", "O-WDT"), ("is", "O-VBZ"), so, *self._verb(third, "VBZ")]
        many = self.random.random() < 0.5
        subject, be = (self._many(), ("are", "O-VBP")) if many else (self._one(), ("is", "O-VBZ"))
        return [*subject, be, so, *self._place()]

    def _did(self) -> list[Token]:
        """'the dog ran down the ramp'."""
        subject = self.random.choice([self._one, self._many])()
        return [*subject, *self._verb(past, "VBD"), *self._place()]

    def _sees_do(self) -> list[Token]:
        """'a man watches a dog catch a frisbee'."""
        verb = self.random.choice(wd.PERCEIVE)
        tag = "VBG" if verb.endswith("ing") else "VBZ" if third(verb.removesuffix("s")) == verb else "VBP"
        subject = self._many() if tag == "VBP" else self._one()
        return [*subject, (verb, f"O-{tag}"), *self._one(), *self._verb(str, "VB")]

    def _to_do(self) -> list[Token]:
        """'a man tries to catch a ball'."""
        words = self.random.choice(wd.TO_DO)
        tags = {"is": "VBZ", "to": "TO", "about": "IN", "ready": "JJ", "down": "RP", "out": "RP"}
        does = [(word, f"O-{tags.get(word, 'VBG' if word.endswith('ing') else 'VBZ')}") for word in words]
        return [*self._one(), *does, *self._verb(str, "VB"), *self._place()]

    def _joined(self) -> list[Token]:
        """'a tree lined street', 'a bush and tree heavy area', 'a ham and cheese sandwich'."""
        choose = self.random.choice
        one, two = choose(wd.OBJECTS + wd.FOODS), choose(wd.OBJECTS + wd.FOODS)
        words = [
            (one, "NN"),
            ("and", "CC"),
            (two, "NN"),
            (choose(wd.JOINED_ADJECTIVES), "JJ"),
            (choose(wd.OBJECTS), "NN"),
        ]
        if self.random.random() < 0.3:
            words = [
                (choose(wd.FOODS), "NN"),
                ("and", "CC"),
                (choose(wd.FOODS), "NN"),
                (choose(wd.DISHES), "NN"),
            ]
        elif self.random.random() < 0.5:
            words = words[2:]
        joined = [(choose(["a", "the"]), "B-DT"), *((word, f"I-{tag}") for word, tag in words)]
        before = choose(
            [
                [*self._doing(), ("near", "O-IN")],
                [*self._one(), ("and", "O-CC")],
                [*self._thing(), (",", "O-,")],
            ]
        )
        return choose([[*joined, ("with", "O-IN"), *self._thing()], [*before, *joined]])

    def _like(self) -> list[Token]:
        """'a dog that looks like Lassie'."""
        that = [("that", "O-WDT")] if self.random.random() < 0.6 else []
        return [
            *self._one(),
            *that,
            ("looks", "O-VBZ"),
            ("like", "O-IN"),
            *self.random.choice([self._one, self._thing])(),
        ]

    def _denied(self) -> list[Token]:
        """'a man not wearing a hat', 'a street free of cars'."""
        words = [part for word in self.random.choice(wd.DENIALS) for part in _uncontracted(word)]
        noun = self._made(wd.OBJECTS + wd.CLOTHES, many=False)
        if words[-1] in ("a", "the", "no", "any"):
            noun = [
                (words.pop(), "B-DT"),
                *((word, "I" + label[1:]) for word, label in noun if label[2:] not in ("DT", "CD")),
            ]
        denial = [
            (word, f"O-{_DENYING.get(word, 'VBG' if word.endswith('ing') else 'IN')}") for word in words
        ]
        return [*self._one(), *denial, *noun, *self._place()]

    def _mood(self) -> list[Token]:
        """'creating a calm and peaceful atmosphere'."""
        verb = self.random.choice(wd.MOOD_VERBS)
        tag = "IN" if verb == "with" else "VBG" if verb.endswith("ing") else "VBZ"
        first, second = self.random.sample(wd.MOOD_ADJECTIVES, 2)
        how = (
            [(first, "I-JJ"), ("and", "I-CC"), (second, "I-JJ")]
            if self.random.random() < 0.4
            else [(first, "I-JJ")]
        )
        mood = [
            (self.random.choice(["a", "the"]), "B-DT"),
            *how,
            (self.random.choice(sorted(lx.ABSTRACT)), "I-NN"),
        ]
        return self.random.choice(
            [[*self._thing(), (verb, f"O-{tag}"), *mood], [*mood, ("of", "O-IN"), *self._thing()]]
        )

    def _all_the(self) -> list[Token]:
        """'all the people'."""
        noun = self._made(wd.PERSONS, many=True)
        word = self.random.choice(["all", "both", "half"])
        rest = [(w, "I" + label[1:]) for w, label in noun if label[2:] not in ("DT", "CD")]
        return [(word, "B-PDT"), ("the", "I-DT"), *rest, *self._verb(str, "VBP"), *self._place()]


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
