"""Read the photographs once: the frozen layers' features, and what the segmenter says of every caption."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rivals.training import Advance
from torch import nn

from flickr.towers import cut_image_tower, pair_preprocess, pretrained_pair
from harmoclip.data import Flickr30kEntities
from harmoclip.images import to_image
from harmoclip.segment import CaptionSegmenter

SHAPE = (192, 7, 7)
Bar = Callable[[str, int], Advance]
"""From a title and a total to what is told how far the work is."""


def prepare(data: Path, folder: Path, split: str, blocks: int, most: int | None, bar: Bar) -> Path:
    """The folder of `features.npy` `[N, 192, 7, 7]` and `sentences.pkl`; what is missing of them is written.

    Args:
        data: A folder in the layout of Flickr30k Entities.
        folder: Where to write, in a folder of the split's own.
        split: `train` or `val`.
        blocks: How many blocks of the image tower are trained; the others are computed here.
        most: How many photographs, the first ones; None for all.
        bar: Makes what is told how far the work is.
    """
    folder /= split if most is None else f"{split}-{most}"
    folder.mkdir(parents=True, exist_ok=True)
    features, sentences = folder / "features.npy", folder / "sentences.pkl"
    if features.exists() and sentences.exists():
        return folder
    samples = Flickr30kEntities(data, split)
    rows, images = read(samples, most, bar(f"reading {split}", len(samples)))
    part = features.with_suffix(".part")
    write_features(images, part, blocks, bar(f"features of {split}", len(images)))
    segmented = CaptionSegmenter().pipe(row["caption"] for row in rows)
    show = bar(f"phrases of {split}", len(rows))
    for done, (row, phrases) in enumerate(zip(rows, segmented, strict=True)):
        row["found"] = [
            (
                p.start,
                p.end,
                p.head.start,
                p.head.lemma,
                [(a.kind, a.text, a.start, a.end) for a in p.attributes],
            )
            for p in phrases
        ]
        show(done + 1, 0.0)
    part.rename(features)
    sentences.write_bytes(pickle.dumps(rows))
    return folder


def read(
    samples: Flickr30kEntities, most: int | None, show: Advance
) -> tuple[list[dict[str, Any]], dict[str, Image.Image]]:
    """Every sentence, and the image of every photograph, of so many photographs."""
    rows: list[dict[str, Any]] = []
    images: dict[str, Image.Image] = {}
    for i in range(len(samples)):
        s = samples[i]
        if s.key not in images:
            if len(images) == most:
                break
            images[s.key] = to_image(s.image)
        rows.append(
            {"key": s.key, "caption": s.caption, "boxes": s.boxes, "spans": s.spans, "links": s.links}
        )
        show(i + 1, 0.0)
    show(len(samples), 0.0)
    return rows, images


@torch.no_grad()
def write_features(
    images: dict[str, Image.Image], path: Path, blocks: int, show: Advance, size: int = 16
) -> None:
    """What the lower layers give for each image, in half precision."""
    lower = lower_layers(blocks)
    every = list(images.values())
    out = np.lib.format.open_memmap(path, "w+", np.float16, (len(every), *SHAPE))
    for first in range(0, len(every), size):
        out[first : first + size] = run(lower, every[first : first + size])
        show(min(first + size, len(every)), 0.0)
    out.flush()


def lower_layers(blocks: int) -> nn.Module:
    """The frozen layers of the image tower."""
    return cut_image_tower(pretrained_pair().to(memory_format=torch.channels_last), blocks)


def run(lower: nn.Module, images: Iterable[Image.Image]) -> np.ndarray[Any, Any]:
    """The features of some images."""
    pixels = torch.stack([pair_preprocess(image) for image in images])
    found: np.ndarray[Any, Any] = lower(pixels.contiguous(memory_format=torch.channels_last)).half().numpy()
    return found
