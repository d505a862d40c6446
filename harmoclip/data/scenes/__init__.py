"""Generated scenes: images of colored shapes with captions, boxes, phrases and links.

Scenes come in twins: scene 2k and scene 2k + 1 show the same colors and the same shapes, paired another
way. Their histograms of colors and of shapes are alike, so only what binds a color to its shape tells
the captions apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

import numpy as np
import torch
from torch.utils.data import Dataset

from harmoclip.data.dataset import Shown
from harmoclip.data.sample import Sample
from harmoclip.data.scenes.caption import describe
from harmoclip.data.scenes.paint import paint
from harmoclip.data.scenes.things import BACKGROUNDS, COLORS, HELD_OUT, PAIRS, SHAPES, Pair, lay_out
from harmoclip.errors import InputError
from harmoclip.prompts import with_article

__all__ = ["CLASS_NAMES", "HELD_OUT", "PAIRS", "SPLITS", "Scenes"]

CLASS_NAMES = tuple(with_article(f"{color} {shape}") for color, shape in PAIRS)
SPLITS = ("train", "test", "novel")


class Scenes(Shown, Dataset[Sample]):
    """Scenes of 2 to 6 things, drawn when asked for; the same (seed, index) gives the same scene everywhere.

    `train` and `test` are different scenes without the pairs of `HELD_OUT` (one color of each shape); each
    scene of `novel` shows at least one of these pairs.

    Args:
        split: One of `SPLITS`.
        length: How many scenes.
        size: Width and height in pixels.
        seed: Another seed gives other scenes.

    Raises:
        InputError: The split is unknown, or a number is too small.

    Example:
        >>> scenes = Scenes("train", length=4)
        >>> scenes[0].caption == Scenes("train", length=4)[0].caption
        True
        >>> len(scenes.class_names), scenes.class_names[1]
        (64, 'a red square')
    """

    class_names = CLASS_NAMES
    is_thing = (True,) * len(CLASS_NAMES)

    def __init__(self, split: str = "train", length: int = 1000, *, size: int = 64, seed: int = 0) -> None:
        if split not in SPLITS:
            raise InputError(f"split is {split!r}: expected one of {', '.join(SPLITS)}.")
        if length < 1 or size < 16:
            raise InputError(f"length is {length} and size {size}: expected 1 or more and 16 or more.")
        self.split, self.length, self.size, self.seed = split, length, size, seed

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(self.length))

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.length:
            raise IndexError(f"scene {index} of {self.length}")
        pairs, background = self._subject(index)
        rng = Random(f"{self.seed}/{self.split}/{index}")
        groups = lay_out(pairs, rng)
        caption, named = describe(groups, background, rng)
        boxes = [box for group in groups for box in group.boxes]
        owner = [g for g, group in enumerate(groups) for _ in group.boxes]
        return Sample(
            image=paint(groups, background, self.size, rng),
            caption=caption,
            boxes=torch.tensor(boxes, dtype=torch.float32),
            phrases=tuple(named),
            links=tuple(
                (r, p) for p, g in enumerate(named.values()) for r in range(len(boxes)) if owner[r] == g
            ),
            labels=torch.tensor([groups[g].label for g in owner]),
            key=f"{self.split}-{self.seed}-{index}",
        )

    def render(self, indices: Iterable[int] | None = None) -> list[Sample]:
        """All scenes at once, their images the rows of one uint8 tensor `[N, 3, size, size]`.

        Args:
            indices: The scenes to draw, by default all; wrap a range in a progress bar to watch.
        """
        rows = list(range(self.length)) if indices is None else indices
        samples = [self[i] for i in rows]
        images = torch.from_numpy(np.stack([np.asarray(s.image) for s in samples])).permute(0, 3, 1, 2)
        images = images.contiguous()
        return [s.replace(image=image) for s, image in zip(samples, images, strict=True)]

    def _subject(self, index: int) -> tuple[list[Pair], str]:
        """The color-shape pairs and the background of a scene; twins share all but the pairing."""
        rng = Random(f"{self.seed}/{self.split}/twins/{index // 2}")
        background = rng.choice(BACKGROUNDS)
        while True:
            count = rng.choice((2, 2, 3, 3, 4))
            colors, shapes = rng.sample(tuple(COLORS), count), rng.sample(SHAPES, count)
            twins = [list(zip(colors, shapes[turn:] + shapes[:turn], strict=True)) for turn in (0, 1)]
            held = [not HELD_OUT.isdisjoint(pairs) for pairs in twins]
            if all(h == (self.split == "novel") for h in held):
                return twins[index % 2], background
