"""GRIT (Peng et al., arXiv 2306.14824): web images whose captions' noun chunks have boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image

from harmoclip.data.formats.rows import from_row
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError


def from_grit(row: Mapping[str, Any], image: Image.Image) -> Sample:
    """A sample of GRIT (Peng et al., arXiv 2306.14824): the noun chunks of its caption and their boxes.

    Each entry of `noun_chunks` is `[start, end, x1, y1, x2, y2, score]`, the box in [0, 1] of the picture;
    equal spans are one phrase, equal boxes one region.
    """
    name = str(row.get("key", ""))
    entries = row.get("noun_chunks")
    if not isinstance(entries, list) or not all(isinstance(e, list) and len(e) >= 6 for e in entries):
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
    }
    return from_row(content, image, name=name)
