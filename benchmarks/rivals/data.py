"""Generated scenes as tensors, and what each objective needs of a batch."""

from __future__ import annotations

from functools import cached_property
from itertools import product
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor

from harmoclip.data import Collator, Sample
from harmoclip.data.scenes import PAIRS, Scenes
from harmoclip.demo.scenes import to_input
from harmoclip.grounding import Grounding
from harmoclip.ops import roi_align
from harmoclip.tokenizers import Tokenizer
from rivals.objectives import NEGATIVES

CONTEXT_LENGTH = 40
COLORS = tuple(dict.fromkeys(color for color, _ in PAIRS))
SHAPES = tuple(dict.fromkeys(shape for _, shape in PAIRS))


class Batch(NamedTuple):
    """One step's scenes, and all that any objective needs of them."""

    images: Tensor  # [B, 3, H, W]
    texts: Tensor  # [B, L]
    grounding: Grounding
    phrase_ids: Tensor  # [P, L] each phrase as a text of its own
    phrase_texts: list[str]  # P

    def crops(self, regions: Tensor | None = None) -> Tensor:
        """The boxes, or those of these rows, cut out and resized to the model's input, `[R, 3, H, W]`."""
        g = self.grounding
        rows = torch.arange(len(g.boxes), device=g.boxes.device) if regions is None else regions
        height, width = self.images.shape[-2:]
        pixels = g.boxes[rows] * g.boxes.new_tensor([width, height, width, height])
        rois = torch.cat([g.image_index[rows, None].float(), pixels], 1)
        return roi_align(self.images, rois, (height, width), aligned=True)

    def altered(self, phrase: int, rng: Random) -> list[str]:
        """Hard negatives of a phrase: `NEGATIVES` texts, or none."""
        return hard_negatives(self.phrase_texts[phrase], rng)


class Split:
    """Scenes of one split: uint8 images, token ids, one grounding a scene."""

    def __init__(self, name: str, length: int, seed: int, tokenizer: Tokenizer) -> None:
        collator = Collator(tokenizer)
        self.samples: list[Sample] = Scenes(name, length, seed=seed).render()
        self.images = torch.stack([torch.as_tensor(s.image) for s in self.samples])
        self.texts = tokenizer([s.caption for s in self.samples])
        self.groundings = [collator.grounding(s) for s in self.samples]
        self.phrase_ids = [tokenizer(list(s.phrase_texts)) for s in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, rows: list[int], device: torch.device) -> Batch:
        """The scenes of these rows, joined."""
        return Batch(
            to_input(self.images[rows]).to(device),
            self.texts[rows].to(device),
            Grounding.collate([self.groundings[i] for i in rows]).to(device),
            torch.cat([self.phrase_ids[i] for i in rows]).to(device),
            [text for i in rows for text in self.samples[i].phrase_texts],
        )


class Data:
    """Scenes to train on, held-out scenes, and scenes with color-shape pairs that training never shows."""

    def __init__(self, train: int, test: int, seed: int) -> None:
        import open_clip

        self.tokenizer: Tokenizer = open_clip.SimpleTokenizer(context_length=CONTEXT_LENGTH)
        self._sizes, self._seed = {"train": train, "test": test, "novel": test}, seed

    def _split(self, name: str) -> Split:
        return Split(name, self._sizes[name], self._seed, self.tokenizer)

    @cached_property
    def train(self) -> Split:
        """Scenes to train on."""
        return self._split("train")

    @cached_property
    def test(self) -> Split:
        """Held-out scenes of pairs seen in training."""
        return self._split("test")

    @cached_property
    def novel(self) -> Split:
        """Scenes with held-out pairs."""
        return self._split("novel")


def hard_negatives(phrase: str, rng: Random) -> list[str]:
    """The phrase with its color, its shape or both exchanged, `NEGATIVES` different texts."""
    words = phrase.split()
    color = next((w for w in words if w in COLORS), None)
    shape = next((s for s in SHAPES if words[-1] in (s, s + "s", s + "es")), None)
    ending = words[-1].removeprefix(shape) if shape else ""
    others = [
        " ".join([*(c or w if w == color else w for w in words[:-1]), s + ending if s else words[-1]])
        for c, s in product(COLORS if color else (None,), SHAPES if shape else (None,))
        if (c, s) != (color, shape)
    ]
    return rng.sample(others, NEGATIVES) if len(others) >= NEGATIVES else []
