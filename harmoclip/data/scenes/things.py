"""What a generated scene is made of, and where its things lie."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

COLORS = {
    "red": (214, 40, 40),
    "orange": (245, 135, 20),
    "yellow": (246, 220, 50),
    "green": (46, 170, 66),
    "cyan": (60, 205, 215),
    "blue": (40, 80, 220),
    "purple": (130, 50, 170),
    "pink": (250, 140, 190),
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "heart", "ring", "diamond")
SIZES = {"small": (0.18, 0.23), "": (0.26, 0.32), "large": (0.35, 0.43)}  # width, as a share of the image's
PATTERNS = ("", "", "", "", "striped", "dotted")  # most things are plain
BACKGROUNDS = (
    "a white background", "a black background", "a grey wall", "a green field",
    "a blue sky", "a sandy beach", "a wooden table", "a tiled floor",
)  # fmt: skip

PAIRS = [(color, shape) for color in COLORS for shape in SHAPES]
# one color of each shape and one shape of each color
HELD_OUT = frozenset((color, SHAPES[(3 * i + 1) % 8]) for i, color in enumerate(COLORS))

Pair = tuple[str, str]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Group:
    """Things that look alike and share one phrase; each box is a thing, xyxy in [0, 1] of the image."""

    color: str
    shape: str
    size: str
    pattern: str
    boxes: tuple[Box, ...]
    angles: tuple[float, ...]

    @property
    def label(self) -> int:
        """The class of its things, an index into `PAIRS`."""
        return PAIRS.index((self.color, self.shape))


def lay_out(pairs: list[Pair], rng: Random) -> list[Group]:
    """Place one to three things of each pair so that no two touch, 2 to 6 together."""
    while len(groups := _try_layout(pairs, rng)) < len(pairs):
        pass
    return groups


def _try_layout(pairs: list[Pair], rng: Random) -> list[Group]:
    """Fewer groups than pairs where the image is full."""
    spare = 6 - len(pairs)
    groups: list[Group] = []
    taken: list[Box] = []
    for color, shape in pairs:
        wanted = min(rng.choice((1, 1, 1, 2, 2, 3)), 1 + spare)
        size, pattern = rng.choice(tuple(SIZES)), rng.choice(PATTERNS)
        angles = [rng.uniform(-0.2, 0.2) for _ in range(wanted)]
        boxes = [box for angle in angles if (box := _place(shape, size, angle, taken, rng))]
        spare -= len(boxes) - 1
        if boxes:
            groups.append(Group(color, shape, size, pattern, tuple(boxes), tuple(angles[: len(boxes)])))
    return groups


def _place(shape: str, size: str, angle: float, taken: list[Box], rng: Random) -> Box | None:
    """A free place, or None after many tries; the box is added to those taken."""
    width = rng.uniform(*SIZES[size])
    x1, y1, x2, y2 = extent(outline(shape, angle))
    height = width * (y2 - y1) / (x2 - x1)
    gap = 0.02
    for _ in range(60):
        x, y = rng.uniform(0.01, 0.99 - width), rng.uniform(0.01, 0.99 - height)
        box = (x, y, x + width, y + height)
        if all(
            box[0] > t[2] + gap or t[0] > box[2] + gap or box[1] > t[3] + gap or t[1] > box[3] + gap
            for t in taken
        ):
            taken.append(box)
            return box
    return None


def outline(shape: str, angle: float) -> list[tuple[float, float]]:
    """The shape's corners about the origin, turned by `angle` radians; y points down."""
    cos, sin = math.cos(angle), math.sin(angle)
    return [(x * cos - y * sin, x * sin + y * cos) for x, y in _OUTLINES[shape]]


def extent(points: list[tuple[float, float]]) -> Box:
    """The smallest box around points."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _polygon(corners: int, turn: float = -0.25, inner: float | None = None) -> list[tuple[float, float]]:
    radii = [1.0] if inner is None else [1.0, inner]
    steps = corners * len(radii)
    angles = [2 * math.pi * (turn + i / steps) for i in range(steps)]
    return [
        (radii[i % len(radii)] * math.cos(a), radii[i % len(radii)] * math.sin(a))
        for i, a in enumerate(angles)
    ]


def _heart() -> list[tuple[float, float]]:
    def point(t: float) -> tuple[float, float]:
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        return x / 17, -y / 17

    return [point(2 * math.pi * i / 28) for i in range(28)]


_ARM = 0.36
_OUTLINES = {
    "circle": _polygon(28),
    "ring": _polygon(28),
    "square": _polygon(4, turn=0.125),
    "diamond": [(x * 0.72, y) for x, y in _polygon(4)],
    "triangle": _polygon(3),
    "star": _polygon(5, inner=0.42),
    "heart": _heart(),
    "cross": [
        (-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM),
        (_ARM, 1), (-_ARM, 1), (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM),
    ],
}  # fmt: skip
