"""Mend the tags that a tagger trained on news gets wrong in captions."""

from harmoclip.segment.english import lexicon as lx
from teacher import lists
from teacher.tokens import Tokens

_ADJECTIVES = ("JJ", "JJR", "JJS", "VBN", "CD")
_BEFORE_NOUN = ("DT", "PRP$", "POS", *_ADJECTIVES)
_VERBS = ("VB", "VBP")
_AFTER_VERB = ("IN", "RP", "RB", "DT", "PRP$", "TO", "PRP", "EX")


def mend(tokens: Tokens) -> None:
    """Correct `tokens.tags` in place, from left to right."""
    for index in range(len(tokens)):
        for rule in _RULES:
            new = rule(tokens, index)
            if new is not None:
                tokens.tags[index] = new
                break


def _firm_noun(tokens: Tokens, i: int) -> str | None:
    """'A white stove top oven/JJ', 'a teddy bear/VBP sitting'."""
    tag, word = tokens.tag(i), tokens.word(i)
    if tag.startswith("NN") or word not in lists.FIRM_NOUNS:
        return None
    before = tokens.tag(i - 1)
    if tag in _VERBS and before not in (*_BEFORE_NOUN, "NN", "NNP", "IN"):
        listed = before in ("CC", ",") and tokens.tag(i + 1) not in ("DT", "PRP$", "RP")
        return "NN" if listed else None
    return "NN"


def _verb_in_noun_place(tokens: Tokens, i: int) -> str | None:
    """'a red bus stop/VB at': an article and a singular noun agree with no base form; 'a pull/VB out bed'."""
    if tokens.tag(i) not in _VERBS:
        return None
    if tokens.tag(i - 1) in ("DT", "PRP$", "JJ") and tokens.tag(i - 2) != "NNS":
        return "NN"
    follows_noun = tokens.tag(i - 1) in ("NN", "NNP")
    thing = not lx.noun_in(tokens.word(i - 1), lx.PEOPLE_AND_ANIMALS)
    if follows_noun and thing and tokens.word(i) in lists.NOUN_AFTER_NOUN and not _has_object(tokens, i):
        return "NN"
    return None


def _singular_verb(tokens: Tokens, i: int) -> str | None:
    """'A red bus passes/NNS by': 'a ... bus passes' cannot be a noun, as 'a' wants a singular."""
    if tokens.tag(i) != "NNS" or tokens.tag(i - 1) not in ("NN", "NNP"):
        return None
    start = _phrase_start(tokens, i)
    subject = start < i - 1 or lx.noun_in(tokens.word(i - 1), lx.PEOPLE_AND_ANIMALS)
    if subject and tokens.word(i) in lists.S_VERBS and not tokens.is_noun(i + 1):
        return "VBZ"
    counted = any(word in lists.QUANTITY_BEFORE_PLURAL for word in tokens.words[start:i])
    if tokens.word(start) in ("a", "an") and not counted and tokens.tag(i + 1) in _AFTER_VERB:
        return None if tokens.word(i + 1) == "of" or not tokens.word(i).endswith("s") else "VBZ"
    return None


def _ing_verb(tokens: Tokens, i: int) -> str | None:
    """'a man on a phone standing/NN behind a car', 'in black riding/NN a wave'."""
    word = tokens.word(i)
    if not word.endswith("ing") or tokens.tag(i) not in ("NN", "NNP", "JJ") or word in lists.ING_NOUNS:
        return None
    if lists.is_ing_compound(word, tokens.word(i + 1)):
        return None
    dressed = tokens.word(i - 1) in lx.COLORS and tokens.word(i - 2) in ("in", "and")
    free = tokens.tag(i - 1) in ("RB", "RP", "CC", ",", "VBG")
    return "VBG" if tokens.is_noun(i - 1) or dressed or free else None


def _adverb(tokens: Tokens, i: int) -> str | None:
    """'on the stove indoors/NNS', 'a man cross/NN country/NN skiing'."""
    if tokens.is_noun(i) and tokens.is_noun(i - 1) and tokens.word(i) in lists.ADVERBS:
        return "RB"
    first = i if tokens.word(i) == "cross" else i - 1
    if tokens.word(first) != "cross" or tokens.word(first + 1) != "country":
        return None
    return (
        "RB"
        if tokens.word(first + 2) in ("skiing", "skis", "ski") and tokens.tag(first - 1) != "DT"
        else None
    )


def _plural_noun(tokens: Tokens, i: int) -> str | None:
    """'Bird cages/VBZ hanging', 'with autumn leaves/VBZ'."""
    last = tokens.tag(i + 1) in ("", ".", ",", "CC") and tokens.tag(i - 2) == "IN"
    finite = (
        tokens.tag(i) == "VBZ" and tokens.is_noun(i - 1) and (tokens.tag(i + 1) in ("VBG", "VBN") or last)
    )
    bare = tokens.tag(i - 2) not in ("DT", "PRP$", "JJ", "NN", "CC")
    auxiliary = tokens.word(i) in ("is", "has", "'s", "gets")
    return "NNS" if finite and bare and not auxiliary and tokens.word(i) not in lists.S_VERBS else None


def _firm_verb(tokens: Tokens, i: int) -> str | None:
    """'carrots from a garden lie/NN on a counter'."""
    return "VBP" if tokens.word(i) == "lie" and tokens.is_noun(i) and tokens.is_noun(i - 1) else None


def _can(tokens: Tokens, i: int) -> str | None:
    """'a soda can/MD'."""
    noun = (
        tokens.tag(i) == "MD"
        and tokens.word(i) in ("can", "cans")
        and tokens.tag(i + 1)[:2] not in ("VB", "RB")
    )
    return "NN" if noun and tokens.is_noun(i - 1) else None


def _nominal_adjective(tokens: Tokens, i: int) -> str | None:
    """'a male/JJ and a female/JJ', 'An individual/JJ skiing/NN'."""
    if not tokens.tag(i).startswith("JJ") or tokens.word(i) not in lists.NOMINAL_ADJECTIVES:
        return None
    after = i + 1
    verb = tokens.word(after).endswith("ing") and tokens.word(after) not in lists.ING_NOUNS
    return None if tokens.tag(after)[:2] in ("NN", "JJ") and not verb else "NN"


def _lonely_adjective(tokens: Tokens, i: int) -> str | None:
    """'A urinal/JJ next to a table': an article wants a noun."""
    plain = (
        tokens.tag(i) == "JJ" and tokens.word(i) not in lx.COLORS and tokens.word(i - 1) in ("a", "an", "the")
    )
    ends = tokens.tag(i + 1) in ("IN", "VBG", "VBZ", ".", "") or tokens.word(i + 1) == "next"
    return "NN" if plain and ends else None


def _has_object(tokens: Tokens, i: int) -> bool:
    return tokens.tag(i + 1) in ("DT", "PRP$", "PRP")


def _phrase_start(tokens: Tokens, i: int) -> int:
    """Go left over the nouns and modifiers before a token."""
    start = i
    while start > 0 and (tokens.is_noun(start - 1) or tokens.tag(start - 1) in _BEFORE_NOUN):
        start -= 1
        if tokens.tag(start) == "DT":
            break
    return start


_RULES = (
    _can,
    _adverb,
    _plural_noun,
    _firm_verb,
    _firm_noun,
    _verb_in_noun_place,
    _singular_verb,
    _ing_verb,
    _nominal_adjective,
    _lonely_adjective,
)
