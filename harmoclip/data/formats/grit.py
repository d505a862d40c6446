"""GRIT (Peng et al., arXiv 2306.14824): web images whose captions' noun chunks have boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from harmoclip.data.formats.boxes import is_box, is_number
from harmoclip.data.formats.entries import OnBroken
from harmoclip.data.formats.registry import register_format
from harmoclip.data.formats.rows import Row, from_row
from harmoclip.data.formats.shards import Shards
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError


def from_grit(row: Row, image: Image.Image) -> Sample:
    """A sample of GRIT: the noun chunks of its caption and their boxes.

    Each entry of `noun_chunks` is `[start, end, x1, y1, x2, y2, score]`, the box in [0, 1] of the image;
    equal spans are one phrase, equal boxes one region.

    Raises:
        DataError: The chunks are no such lists, or lie outside the caption.
    """
    name = str(row.get("key", ""))
    entries = row.get("noun_chunks")
    if not isinstance(entries, list) or not all(map(_is_chunk, entries)):
        raise DataError(
            f"sample {name!r}: noun_chunks is {entries!r:.80}: expected GRIT's lists of 7 numbers."
        )
    spans = [(int(entry[0]), int(entry[1])) for entry in entries]
    boxes = [tuple(entry[2:6]) for entry in entries]
    phrase_of = {span: i for i, span in enumerate(dict.fromkeys(spans))}
    region_of = {box: i for i, box in enumerate(dict.fromkeys(boxes))}
    links = dict.fromkeys((region_of[b], phrase_of[s]) for s, b in zip(spans, boxes, strict=True))
    content = {
        "caption": row.get("caption"),
        "boxes": [list(box) for box in region_of],
        "phrases": list(phrase_of),
        "links": list(links),
        "image_id": row.get("image_id"),
    }
    return from_row(content, image, name=name)


def _is_chunk(entry: object) -> bool:
    return (
        isinstance(entry, list) and len(entry) >= 6 and is_box(entry[2:6]) and all(map(is_number, entry[:2]))
    )


def open_grit(
    urls: str | Path | Sequence[str | Path],
    *,
    shuffle: int = 0,
    seed: int = 0,
    suffixes: Sequence[str] | None = None,
    on_broken: OnBroken | None = None,
) -> Shards:
    """`Shards` of GRIT."""
    return Shards(urls, read=from_grit, shuffle=shuffle, seed=seed, suffixes=suffixes, on_broken=on_broken)


register_format("grit", open_grit)
