"""The singular and the plural of English nouns."""

from functools import lru_cache

_PAIRS = """
    men:man women:woman children:child feet:foot teeth:tooth mice:mouse geese:goose oxen:ox
    people:person leaves:leaf knives:knife wives:wife shelves:shelf loaves:loaf wolves:wolf calves:calf
    scarves:scarf halves:half hooves:hoof elves:elf lives:life thieves:thief selves:self buses:bus
    lenses:lens gases:gas canvases:canvas cactuses:cactus heroes:hero shoes:shoe canoes:canoe toes:toe
    mustaches:mustache cacti:cactus movies:movie cookies:cookie brownies:brownie ties:tie pies:pie
    zombies:zombie hoodies:hoodie selfies:selfie smoothies:smoothie veggies:veggie birdies:birdie
    doggies:doggie calories:calorie genies:genie frisbees:frisbee
"""
_IRREGULAR = dict(pair.split(":") for pair in _PAIRS.split())
_INVARIABLE = frozenset(
    """
    binoculars chess christmas clothes glasses goggles gymnastics headphones jeans news overalls pajamas
    pants pliers scissors series shorts species sunglasses tennis tights tongs trousers
    """.split()  # noqa: SIM905
)


@lru_cache(maxsize=1 << 16)
def singular(word: str) -> str:
    """The singular of a lower-case noun; a word that is no plural comes back as it is.

    Example:
        >>> [singular(word) for word in ("dogs", "knives", "benches", "grass", "scissors")]
        ['dog', 'knife', 'bench', 'grass', 'scissors']
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in _INVARIABLE or not word.endswith("s") or word.endswith(("ss", "us", "is")) or len(word) < 4:
        return word
    for ending, kept in (
        ("ies", "y"),
        ("sses", "ss"),
        ("xes", "x"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("oes", "o"),
    ):
        if word.endswith(ending):
            return word.removesuffix(ending) + kept
    if word.endswith("men"):
        return word.removesuffix("men") + "man"
    return word[:-1]


def plural(noun: str) -> str:
    """The plural of a lower-case noun in the singular.

    Example:
        >>> [plural(noun) for noun in ("dog", "knife", "bench", "berry", "sheep", "scissors")]
        ['dogs', 'knives', 'benches', 'berries', 'sheep', 'scissors']
    """
    if noun in _PLURALS:
        return _PLURALS[noun]
    if noun in _INVARIABLE or noun in _UNCHANGED:
        return noun
    if noun.endswith("man"):
        return noun.removesuffix("man") + "men"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh", "z")) else "s")


_PLURALS = {one: many for many, one in _IRREGULAR.items()}
_UNCHANGED = frozenset(("deer", "fish", "sheep", "luggage", "sushi", "broccoli", "aircraft"))
