"""Say what a scene shows, and where in the text each thing is named."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from harmoclip.data.scenes.things import Box, Group
from harmoclip.prompts import article

_NUMBERS = {2: "two", 3: "three"}
_WORDS = {
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}
_BEFORE = {"a grey wall": "in front of", "a blue sky": "in"}  # elsewhere "on"
_VERBS = (("is", "are"), ("sits", "sit"), ("lies", "lie"))

# a piece of text, with the number of the group that it names, or None for plain words
Piece = tuple[str, int | None]
BACKGROUND = -1


def name(group: Group) -> str:
    """The full phrase for a group: number or article, size, pattern, color, shape."""
    words = [word for word in (group.size, group.pattern, group.color, _noun(group)) if word]
    return " ".join([_NUMBERS.get(len(group.boxes), article(words[0])), *words])


def relation(one: Group, other: Group, rng: Random) -> str | None:
    """A position word that holds for every thing of `one` against every thing of `other`, or None."""
    a, b = _hull(one.boxes), _hull(other.boxes)
    true = [
        word
        for word, holds in (
            ("left of", a[2] <= b[0]),
            ("right of", b[2] <= a[0]),
            ("above", a[3] <= b[1]),
            ("below", b[3] <= a[1]),
        )
        if holds
    ]
    return rng.choice(_WORDS[rng.choice(true)]) if true else None


def place(group: Group) -> str | None:
    """Where in the image a single thing lies, where one would say so."""
    if len(group.boxes) > 1:
        return None
    x1, y1, x2, y2 = group.boxes[0]
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    column = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    row = "top" if y < 1 / 3 else "bottom" if y > 2 / 3 else ""
    if row and column:
        return f"in the {row} {column} corner"
    if not row and not column:
        return "in the middle"
    return f"at the {row}" if row else f"on the {column}"


def describe(groups: list[Group], background: str, rng: Random) -> tuple[str, dict[tuple[int, int], int]]:
    """A caption, and the group (or `BACKGROUND`) that each of its character spans names, in order."""
    order = list(range(len(groups)))
    rng.shuffle(order)
    if len(order) > 3 and rng.random() < 0.5:
        order.pop()  # people leave things out
    ground = background if rng.random() < 0.6 else None
    form = rng.choice((_related, _related, _related, _listed, _there, _placed, _ground_first))
    pieces = list(form(order, groups, ground, rng))
    return _join([*pieces, (".", None)] if rng.random() < 0.7 else pieces)


def _related(order: list[int], groups: list[Group], ground: str | None, rng: Random) -> Iterator[Piece]:
    """A small red circle sits left of two blue stars on a green field, and a ring is above the circle."""
    first, second, *rest = order
    word = relation(groups[first], groups[second], rng)
    if word is None:
        yield from _listed(order, groups, ground, rng)
        return
    yield name(groups[first]), first
    yield f" {_verb(groups[first], rng)} {word} ", None
    yield name(groups[second]), second
    yield from _on(ground)
    if len(rest) == 1 and (word := relation(groups[rest[0]], groups[first], rng)) and rng.random() < 0.5:
        third = groups[rest[0]]
        yield ", and ", None
        yield name(third), rest[0]
        yield f" {_verb(third, rng)} {word} ", None
        yield f"the {_noun(groups[first])}", first
    elif rest:
        yield ", with ", None
        yield from _enumerate(rest, groups)


def _listed(order: list[int], groups: list[Group], ground: str | None, rng: Random) -> Iterator[Piece]:
    """Two blue stars, a red circle and a green ring on a wooden table."""
    yield from _enumerate(order, groups)
    yield from _on(ground)


def _there(order: list[int], groups: list[Group], ground: str | None, rng: Random) -> Iterator[Piece]:
    """There are two blue stars and a red circle on a wooden table."""
    yield ("There is " if len(groups[order[0]].boxes) == 1 else "There are "), None
    yield from _listed(order, groups, ground, rng)


def _placed(order: list[int], groups: list[Group], ground: str | None, rng: Random) -> Iterator[Piece]:
    """A red circle in the top left corner and two blue stars on a green field."""
    first, *rest = order
    where = place(groups[first])
    if where is None:
        yield from _listed(order, groups, ground, rng)
        return
    yield name(groups[first]), first
    yield f" {where} and " if len(rest) == 1 else f" {where}, ", None
    yield from _enumerate(rest, groups)
    yield from _on(ground)


def _ground_first(order: list[int], groups: list[Group], ground: str | None, rng: Random) -> Iterator[Piece]:
    """On a green field there is a red circle with two blue stars."""
    if ground is None:
        yield from _there(order, groups, ground, rng)
        return
    yield f"{_BEFORE.get(ground, 'on').capitalize()} ", None
    yield ground, BACKGROUND
    yield (" there is " if len(groups[order[0]].boxes) == 1 else " there are "), None
    yield from _enumerate(order, groups)


def _enumerate(order: list[int], groups: list[Group]) -> Iterator[Piece]:
    for i, number in enumerate(order):
        if i:
            yield (" and " if i == len(order) - 1 else ", "), None
        yield name(groups[number]), number


def _on(ground: str | None) -> Iterator[Piece]:
    if ground is not None:
        yield f" {_BEFORE.get(ground, 'on')} ", None
        yield ground, BACKGROUND


def _verb(group: Group, rng: Random) -> str:
    return rng.choice(_VERBS)[len(group.boxes) > 1]


def _noun(group: Group) -> str:
    return group.shape if len(group.boxes) == 1 else group.shape + ("es" if group.shape == "cross" else "s")


def _hull(boxes: tuple[Box, ...]) -> Box:
    x1, y1, x2, y2 = zip(*boxes, strict=True)
    return min(x1), min(y1), max(x2), max(y2)


def _join(pieces: list[Piece]) -> tuple[str, dict[tuple[int, int], int]]:
    text, named = "", {}
    for words, group in pieces:
        if not text:
            words = words[0].upper() + words[1:]
        if group is not None:
            named[len(text), len(text) + len(words)] = group
        text += words
    return text, named
