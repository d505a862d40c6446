"""Tell which phrases mean the same object: in one description, and in the captions of one image."""

from collections.abc import Iterable, Sequence
from functools import cache

from harmoclip.segment.english.classes import ATTRIBUTES, HYPERNYMS, SYNONYMS
from harmoclip.segment.english.singular import singular
from harmoclip.segment.phrase import Phrase, normalize_phrase, phrase_id


def link_mentions(captions: Sequence[Sequence[Phrase]]) -> list[list[int]]:
    """Number the objects that the captions of one image name: phrases with one number mean the same.

    Two phrases are linked where that is sure: their heads are equal or synonyms, their numbers, colors,
    sizes, ages, sides and owners do not contradict each other, and neither could be linked to another phrase
    of the other's caption as well. In one caption a later phrase is linked only if it is definite ("the dog",
    "the animal").

    Args:
        captions: The phrases of each caption, as a segmenter returned them; one caption, or several.

    Returns:
        For each caption the object of each phrase, numbered from 0 by first mention.

    Example:
        >>> from harmoclip.segment import CaptionSegmenter
        >>> segment = CaptionSegmenter()
        >>> link_mentions([segment("A small dog on a sofa."), segment("The dog on a red couch, by a man.")])
        [[0, 1], [0, 1, 2]]
    """
    objects: list[list[tuple[int, Phrase]]] = []
    numbers: list[list[int]] = []
    for caption, phrases in enumerate(captions):
        numbers.append([])
        for phrase in phrases:
            number = _object_of(phrase, caption, phrases, objects)
            if number == len(objects):
                objects.append([])
            objects[number].append((caption, phrase))
            numbers[-1].append(number)
    return numbers


def shared_phrase_ids(captions: Sequence[Sequence[Phrase]]) -> list[list[int]]:
    """A `phrase_id` for each phrase, equal for phrases of one image that mean the same object.

    It is that of the object's longest mention, so that "the dog" and "a brown dog" of one image are positives
    of each other, and both are positives of "a brown dog" of another image.

    Args:
        captions: The phrases of each caption of one image.
    """
    numbers = link_mentions(captions)
    longest: dict[int, str] = {}
    for row, phrases in zip(numbers, captions, strict=True):
        for number, phrase in zip(row, phrases, strict=True):
            longest[number] = max(longest.get(number, ""), normalize_phrase(phrase.text), key=len)
    return [[phrase_id(longest[number]) for number in row] for row in numbers]


def _object_of(
    phrase: Phrase, caption: int, phrases: Sequence[Phrase], objects: list[list[tuple[int, Phrase]]]
) -> int:
    """The only object that the phrase can mean, or the number of a new one."""
    fitting = [number for number, mentions in enumerate(objects) if _fits(phrase, mentions, caption)]
    rivals = [
        other
        for other in phrases
        if other is not phrase and fitting and _fits(other, objects[fitting[0]], caption)
    ]
    here = bool(fitting) and any(place == caption for place, _ in objects[fitting[0]])
    if len(fitting) != 1 or (rivals and not here):
        return len(objects)
    return fitting[0]


def _fits(phrase: Phrase, mentions: Sequence[tuple[int, Phrase]], caption: int) -> bool:
    """Whether the phrase can mean the object of these mentions."""
    here = any(place == caption for place, _ in mentions)
    if phrase.reason is not None or _is_another(phrase) or (here and not _is_definite(phrase)):
        return False
    return all(other.reason is None and _agree(phrase, other, wide=here) for _, other in mentions)


def _agree(one: Phrase, other: Phrase, *, wide: bool) -> bool:
    if _is_plural(one) != _is_plural(other):
        return False
    a, b = one.head.lemma, other.head.lemma
    same = _synonym(a) == _synonym(b) or (wide and b in HYPERNYMS.get(a, ()))
    owners = _owner(one.text), _owner(other.text)
    if not same or (all(owners) and owners[0] != owners[1]):
        return False
    return not any(_contradict(values, one, other) for values in _EXCLUSIVE)


def _owner(text: str) -> str | None:
    """What the phrase says it belongs to, is a part of or holds: 'her', "the dog's tail", 'a cup of tea'."""
    words = text.lower().replace("'s ", " 's ").replace("s' ", " 's ").split()
    if words[0] in ("his", "her", "its"):
        return words[0]
    if "of" in words:
        return _synonym(singular(words[-1]))
    place = words.index("'s") if "'s" in words else 0
    return _synonym(words[place - 1]) if place else None


def _contradict(values: dict[str, str], one: Phrase, other: Phrase) -> bool:
    """Whether both say what is of one kind, such as a color, and nothing that they say is the same."""
    first, second = _said(values, one), _said(values, other)
    return bool(first and second) and first.isdisjoint(second)


def _said(values: dict[str, str], phrase: Phrase) -> set[str]:
    words = {part for word in phrase.text.lower().split() for part in (word, *word.split("-"))}
    return {values[word] for word in words if word in values}


def _is_definite(phrase: Phrase) -> bool:
    return phrase.text.lower().startswith(("the ", "this ", "these ", "that ", "both "))


def _is_another(phrase: Phrase) -> bool:
    return phrase.head.lemma == "one" or not _OTHERS.isdisjoint(phrase.text.lower().split()[:3])


def _is_plural(phrase: Phrase) -> bool:
    return phrase.head.text.lower() != phrase.head.lemma


@cache
def _synonym(lemma: str) -> str:
    """One word for all its synonyms."""
    return next((group[0] for group in SYNONYMS if lemma in group), lemma)


def _by_first(groups: Iterable[Sequence[str]]) -> dict[str, str]:
    return {word: group[0] for group in groups for word in group}


_OTHERS = frozenset(("another", "each", "other", "others", "second", "somebody", "someone", "third"))
"""Words of phrases that mean something new, or nothing sure."""

_SIDES = (
    [["left"], ["right"]],
    [["front"], ["back", "rear", "hind"]],
    [["top", "upper"], ["bottom", "lower"]],
)
_EXCLUSIVE = [_by_first(groups) for groups in (*ATTRIBUTES.values(), *_SIDES)]
