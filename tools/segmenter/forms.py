"""Forms of English verbs."""

import words as wd

_IRREGULAR_ING = {
    "lie": "lying",
    "tie": "tying",
    "ski": "skiing",
    "die": "dying",
    "hoe": "hoeing",
    "dye": "dyeing",
    "vie": "vying",
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
