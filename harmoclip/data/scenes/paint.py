"""Paint a scene with Pillow, larger than asked and then reduced, so that edges are smooth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance

from harmoclip.data.scenes.things import COLORS, Group, extent, outline

_FINER = 3  # painted at this many times the size
_TILES = 6  # different images of each background

_GROUNDS = {
    "a white background": (238, 238, 236),
    "a black background": (22, 22, 26),
    "a grey wall": (128, 128, 130),
    "a green field": (84, 112, 62),
    "a blue sky": (150, 178, 205),
    "a sandy beach": (206, 186, 146),
    "a wooden table": (120, 84, 56),
    "a tiled floor": (176, 170, 164),
}


def paint(groups: Sequence[Group], background: str, size: int, rng: Random) -> Image.Image:
    """An RGB image of `size` x `size` pixels."""
    wide = size * _FINER
    image = _tile(background, rng.randrange(_TILES), wide)
    mirrored = rng.random() < 0.5
    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else image.copy()
    for group in groups:
        for box, angle in zip(group.boxes, group.angles, strict=True):
            _paint_thing(image, group, [side * wide for side in box], angle, rng)
    return image.reduce(_FINER)


def _paint_thing(image: Image.Image, group: Group, box: list[float], angle: float, rng: Random) -> None:
    x1, y1, x2, y2 = box
    left, top = int(x1), int(y1)
    mask = Image.new("L", (int(x2) + 2 - left, int(y2) + 2 - top))
    pen = ImageDraw.Draw(mask)
    points = outline(group.shape, angle)
    px1, py1, px2, _ = extent(points)
    scale = (x2 - x1) / (px2 - px1)
    pen.polygon([((x - px1) * scale + x1 - left, (y - py1) * scale + y1 - top) for x, y in points], fill=255)
    if group.shape == "ring":
        hole = (x2 - x1) * 0.27
        pen.ellipse([x1 - left + hole, y1 - top + hole, x2 - left - hole, y2 - top - hole], fill=0)
    color = _vary(COLORS[group.color], rng, 14)
    image.paste(color, (left, top), mask)
    if group.pattern:
        marks = ImageChops.multiply(mask, _marks(group.pattern, rng.randrange(3)).crop((0, 0, *mask.size)))
        image.paste(_contrast(color), (left, top), marks)


@cache
def _marks(pattern: str, phase: int) -> Image.Image:
    """A mask of stripes or dots, large enough for any thing of an ordinary image."""
    side, step = 512, 4 * _FINER
    image = Image.new("L", (side, side))
    pen = ImageDraw.Draw(image)
    for i in range(-side, 2 * side, step):
        if pattern == "striped":
            pen.line([i + phase * 2, 0, i + phase * 2 + side // 2, side], fill=255, width=step // 3)
            continue
        for j in range(0, side, step):
            x, y = i + (j // step % 2) * step // 2 + phase, j + phase
            pen.ellipse([x, y, x + step * 0.5, y + step * 0.5], fill=255)
    return image


def _vary(color: tuple[int, int, int], rng: Random, by: int) -> tuple[int, int, int]:
    r, g, b = (min(255, max(0, value + rng.randint(-by, by))) for value in color)
    return r, g, b


def _contrast(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """White on dark colors, a dark shade of the color on light ones."""
    r, g, b = color
    light = 3 * r + 6 * g + b > 1500
    return (r // 3, g // 3, b // 3) if light else (240, 240, 240)


@cache
def _tile(background: str, number: int, wide: int) -> Image.Image:
    rng = Random(f"{background}/{number}")
    base = _vary(_GROUNDS[background], rng, 12)
    image = Image.new("RGB", (wide, wide), base)
    if background in _DRESSING:
        _DRESSING[background](image, base, rng)
    grain = np.random.default_rng(number).normal(0, 16, (wide, wide, 1))
    image = Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))
    return ImageEnhance.Brightness(image).enhance(rng.uniform(0.85, 1.1))


def _grass(image: Image.Image, base: tuple[int, int, int], rng: Random) -> None:
    pen, wide = ImageDraw.Draw(image), image.width
    for _ in range(260):
        x, y = rng.uniform(0, wide), rng.uniform(0, wide)
        pen.line([x, y, x + rng.uniform(-4, 4), y - wide / 16], fill=_vary(base, rng, 26), width=2)


def _clouds(image: Image.Image, base: tuple[int, int, int], rng: Random) -> None:
    pen, wide = ImageDraw.Draw(image), image.width
    for _ in range(5):
        x, y = rng.uniform(0, wide), rng.uniform(0, wide)
        for _ in range(4):
            x, y, r = x + wide * 0.06, y + rng.uniform(-3, 3), wide * rng.uniform(0.03, 0.07)
            pen.ellipse([x - r, y - r * 0.6, x + r, y + r * 0.6], fill=_vary((214, 222, 230), rng, 8))


def _planks(image: Image.Image, base: tuple[int, int, int], rng: Random) -> None:
    pen, wide, plank = ImageDraw.Draw(image), image.width, image.width // rng.choice((4, 5, 6))
    for y in range(0, wide, plank):
        pen.rectangle([0, y, wide, y + plank - 3], fill=_vary(base, rng, 14))
        for _ in range(3):
            grain = y + rng.uniform(0, plank - 3)
            pen.line([0, grain, wide, grain], fill=_vary(base, rng, 20), width=1)


def _tiles(image: Image.Image, base: tuple[int, int, int], rng: Random) -> None:
    pen, wide, side = ImageDraw.Draw(image), image.width, image.width // rng.choice((4, 5, 6))
    for x in range(0, wide, side):
        for y in range(0, wide, side):
            pen.rectangle([x, y, x + side - 3, y + side - 3], fill=_vary(base, rng, 12))


_DRESSING = {
    "a green field": _grass,
    "a blue sky": _clouds,
    "a wooden table": _planks,
    "a tiled floor": _tiles,
}
