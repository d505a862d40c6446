"""Captions made by a small grammar: verbs that look like nouns, beside noun phrases that occur in captions.

A parser trained on news reads "A dog chases" as two nouns. Here the right tags are known, as the sentence was
made from them.
"""

import random
from collections.abc import Callable

import words as wd
from clauses import ClauseMaker, prepositions
from collected import NounPhrases, Token
from forms import ing, past, third
from nouns import NounMaker, after_determiner, inside

from harmoclip.segment.english import lexicon as lx
from harmoclip.segment.english.singular import singular

Form = tuple[Callable[[str], str], str]
"""What makes a form of a verb, and the tag of that form."""

DOES: Form = (third, "VBZ")
DO: Form = (str, "VBP")
BARE: Form = (str, "VB")
DOING: Form = (ing, "VBG")
DID: Form = (past, "VBD")


class Grammar:
    """Makes captions, the same ones from the same seed."""

    def __init__(self, phrases: NounPhrases, seed: int) -> None:
        self.phrases = phrases
        self.random = random.Random(seed)
        self.nouns = NounMaker(phrases, self.random)
        self.clauses = ClauseMaker(self.nouns, self.random)
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
            (2, self._in_color_does),
            (1, self._in_colored),
            (1.5, self._thing_does),
            (1, self._saying),
            (1, self._there_is),
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
        """One caption, now and then of several sentences."""
        tokens = self._sentence()
        while self.random.random() < 0.25:
            tokens = [*tokens, (".", "O-."), *self._sentence()]
        return [*tokens, (".", "O-.")] if self.random.random() < 0.6 else tokens

    def _sentence(self) -> list[Token]:
        weights, patterns = zip(*self.patterns, strict=True)
        tokens: list[Token] = self.random.choices(patterns, weights)[0]()
        return tokens

    def _subject(self, many: float = 0.4) -> tuple[list[Token], Form]:
        """Somebody, and the form of what they do."""
        return (self.nouns.many(), DO) if self.random.random() < many else (self.nouns.one(), DOES)

    def _acts(self, form: Form) -> list[Token]:
        """A verb and often a place."""
        return [*self.clauses.verb(*form), *self.clauses.place()]

    def _one_does(self) -> list[Token]:
        return self.nouns.one() + self._acts(DOES)

    def _many_do(self) -> list[Token]:
        return self.nouns.many() + self._acts(DO)

    def _pair_does(self) -> list[Token]:
        return [*self.nouns.one(), ("and", "O-CC"), *self.nouns.one(), *self._acts(DO)]

    def _wearing_one_does(self) -> list[Token]:
        subject, form = self._subject()
        return [*subject, *self.clauses.wearing(), *self._acts(form)]

    def _doing(self) -> list[Token]:
        subject, _ = self._subject()
        return subject + self.clauses.place() + self._acts(DOING)

    def _is_doing(self) -> list[Token]:
        subject, (_, tag) = self._subject()
        return [*subject, ("is" if tag == "VBZ" else "are", f"O-{tag}"), *self._acts(DOING)]

    def _while_other(self) -> list[Token]:
        word = self.random.choice(["while", "while", "as", "whilst"])
        return [*self._one_does(), (word, "O-IN"), *self.random.choice([self._one_does, self._many_do])()]

    def _sport(self) -> list[Token]:
        first, second = self.random.choice(wd.SPORTS_ING)
        be = [("is", "O-VBZ")] if self.random.random() < 0.5 else []
        return [*self.nouns.one(), *be, (first, "O-NN"), (second, "O-VBG"), *self.clauses.place()]

    def _with_open(self) -> list[Token]:
        whose, noun, how = self.random.choice(wd.OPEN)
        part = [(whose, "B-PRP$"), (noun, "I-NN")] if self.random.random() < 0.7 else [(noun, "B-NN")]
        return [*self._one_does(), ("with", "O-IN"), *part, (how, "O-JJ")]

    def _bare_adverb(self) -> list[Token]:
        adverb = self.random.choice(wd.BARE_ADVERBS)
        return [*self._doing(), (adverb, "O-RB"), *self.clauses.place()]

    def _and_does(self) -> list[Token]:
        return [*self._one_does(), ("and", "O-CC"), *self.clauses.verb(*DOES)]

    def _in_color_does(self) -> list[Token]:
        """'a man in red tries'."""
        subject, form = self._subject()
        follows = self.clauses.verb(*(form if self.random.random() < 0.7 else DOING))
        return [*subject, *self.clauses.in_color(), *follows, *self.clauses.place()]

    def _in_colored(self) -> list[Token]:
        """'a boy in red and white shoes runs'."""
        subject, form = self._subject()
        return [*subject, *self.clauses.in_colored(), *self._acts(form)]

    def _thing_does(self) -> list[Token]:
        """'the sun sets'."""
        verb = self.random.choice(wd.OF_THINGS)
        thing = self.nouns.collected()
        many = singular(thing[-1][0]) != thing[-1][0]
        does = (verb, "O-VBP") if many else (third(verb), "O-VBZ")
        before = [*self._one_does(), ("as", "O-IN")] if self.random.random() < 0.5 else []
        return [*before, *thing, does, *self.clauses.place()]

    def _saying(self) -> list[Token]:
        """'a banner advertising pizza', 'a car marked with a flag'."""
        word = self.random.choice(wd.OF_SIGNS)
        tag = "VBG" if word.endswith("ing") else "VBN"
        by = prepositions(["with"]) if tag == "VBN" and self.random.random() < 0.5 else []
        before = self._doing() if self.random.random() < 0.5 else []
        near = [*before, *prepositions(["near"])] if before else []
        return [*near, *self.nouns.thing(), (word, f"O-{tag}"), *by, *self.nouns.thing()]

    def _there_is(self) -> list[Token]:
        """'next to the bed there is a lamp'."""
        thing = self.nouns.thing()
        be = ("are", "O-VBP") if singular(thing[-1][0]) != thing[-1][0] else ("is", "O-VBZ")
        return [*self.clauses.place(), ("there", "O-EX"), be, *thing, *self.clauses.place()]

    def _is_so(self) -> list[Token]:
        """'a dog that is muddy walks'."""
        so = (self.random.choice(self.phrases.adjectives), "O-JJ")
        if self.random.random() < 0.5:
            that = [("that", "O-WDT"), ("is", "O-VBZ"), so]
            return [*self.nouns.one(), *that, *self.clauses.verb(*DOES)]
        subject, (_, tag) = self._subject(0.5)
        return [*subject, ("is" if tag == "VBZ" else "are", f"O-{tag}"), so, *self.clauses.place()]

    def _did(self) -> list[Token]:
        """'the dog ran down the ramp'."""
        subject, _ = self._subject(0.5)
        return [*subject, *self._acts(DID)]

    def _sees_do(self) -> list[Token]:
        """'a man watches a dog catch a frisbee'."""
        verb = self.random.choice(wd.PERCEIVE)
        tag = "VBG" if verb.endswith("ing") else "VBZ" if third(verb.removesuffix("s")) == verb else "VBP"
        subject = self.nouns.many() if tag == "VBP" else self.nouns.one()
        return [*subject, (verb, f"O-{tag}"), *self.nouns.one(), *self.clauses.verb(*BARE)]

    def _to_do(self) -> list[Token]:
        """'a man tries to catch a ball'."""
        words = self.random.choice(wd.TO_DO)
        tags = {"is": "VBZ", "to": "TO", "about": "IN", "ready": "JJ", "down": "RP", "out": "RP"}
        does = [(word, f"O-{tags.get(word, 'VBG' if word.endswith('ing') else 'VBZ')}") for word in words]
        return [*self.nouns.one(), *does, *self._acts(BARE)]

    def _joined(self) -> list[Token]:
        """'a tree lined street', 'a bush and tree heavy area', 'a ham and cheese sandwich'."""
        choose, chance = self.random.choice, self.random.random()
        foods = chance < 0.3
        one, two = (choose(wd.FOODS if foods else wd.OBJECTS + wd.FOODS) for _ in range(2))
        ends = [(choose(wd.DISHES), "NN")]
        if not foods:
            ends = [(choose(wd.JOINED_ADJECTIVES), "JJ"), (choose(wd.OBJECTS), "NN")]
        starts = [] if chance > 0.65 else [(one, "NN"), ("and", "CC")]
        joined = inside([(choose(["a", "the"]), "DT"), *starts, (two, "NN"), *ends])
        before = choose(
            [
                [*self._doing(), ("near", "O-IN")],
                [*self.nouns.one(), ("and", "O-CC")],
                [*self.nouns.thing(), (",", "O-,")],
            ]
        )
        return choose([[*joined, ("with", "O-IN"), *self.nouns.thing()], [*before, *joined]])

    def _like(self) -> list[Token]:
        """'a dog that looks like Lassie'."""
        that = [("that", "O-WDT")] if self.random.random() < 0.6 else []
        looks = [("looks", "O-VBZ"), ("like", "O-IN")]
        return [*self.nouns.one(), *that, *looks, *self.random.choice([self.nouns.one, self.nouns.thing])()]

    def _denied(self) -> list[Token]:
        return [*self.nouns.one(), *self.clauses.denial(), *self.clauses.place()]

    def _mood(self) -> list[Token]:
        """'creating a calm and peaceful atmosphere'."""
        verb = self.random.choice(wd.MOOD_VERBS)
        tag = "IN" if verb == "with" else "VBG" if verb.endswith("ing") else "VBZ"
        first, second = self.random.sample(wd.MOOD_ADJECTIVES, 2)
        how = [(first, "JJ"), ("and", "CC"), (second, "JJ")]
        noun = (self.random.choice(sorted(lx.ABSTRACT)), "NN")
        how = how if self.random.random() < 0.4 else how[:1]
        mood = inside([(self.random.choice(["a", "the"]), "DT"), *how, noun])
        of = [*mood, ("of", "O-IN"), *self.nouns.thing()]
        return self.random.choice([[*self.nouns.thing(), (verb, f"O-{tag}"), *mood], of])

    def _all_the(self) -> list[Token]:
        """'all the people'."""
        rest = after_determiner(self.nouns.made(wd.PERSONS, many=True))
        word = self.random.choice(["all", "both", "half"])
        return [(word, "B-PDT"), ("the", "I-DT"), *rest, *self._acts(DO)]
