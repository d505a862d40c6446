"""A sample as one JSON object: what JSON lines and shards hold.

- `caption`: text;
- `boxes`: a list of four numbers each, by default xyxy in [0, 1] of the picture;
- `phrases`: `[start, end]` in characters of the caption, half-open, or the phrase's words where the caption
  has them once; without this key a segmenter can find them;
- `links`: pairs `[box, phrase]`, counted from 0;
- `labels`: a class number for each box;
- `key`: a name for messages.

All but the caption may be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from PIL import Image

from harmoclip.data.formats.files import BoxFormat, unit_boxes
from harmoclip.data.sample import Sample, SpanLike
from harmoclip.errors import DataError

Segment = Callable[[str], Sequence[SpanLike]]
Unit = Literal["fraction", "pixel"]


def to_row(sample: Sample) -> dict[str, Any]:
    """All of a sample but its picture; `from_row` reads it back.

    Example:
        >>> to_row(Sample(Image.new("RGB", (4, 4)), "a dog", phrases=((0, 5),), key="7"))
        {'key': '7', 'caption': 'a dog', 'boxes': [], 'phrases': [[0, 5]], 'links': []}
    """
    row: dict[str, Any] = {
        "key": sample.key,
        "caption": sample.caption,
        "boxes": sample.boxes.tolist(),
        "phrases": [list(span) for span in sample.spans],
        "links": [list(link) for link in sample.links],
    }
    return row if sample.labels is None else {**row, "labels": sample.labels.tolist()}


def from_row(
    row: Mapping[str, Any],
    image: Image.Image,
    *,
    segment: Segment | None = None,
    box_format: BoxFormat = "xyxy",
    unit: Unit = "fraction",
    name: str = "",
) -> Sample:
    """The sample of a JSON object and its picture.

    Args:
        row: With the keys listed above.
        image: The picture.
        segment: Finds the phrases of a caption that comes without; None leaves it without.
        box_format: What a box's four numbers are.
        unit: Of boxes: a share of the picture's size, or pixels of the picture.
        name: Of the row, for messages, where it has no key.

    Raises:
        DataError: A value is missing or impossible; the message names the row.
    """
    name = str(row.get("key", name))
    caption = row.get("caption")
    if not isinstance(caption, str) or not caption.strip():
        raise DataError(f"sample {name!r}: caption is {caption!r}: expected text.")
    boxes = unit_boxes(row.get("boxes", []), image.size if unit == "pixel" else (1, 1), box_format, name)
    if unit == "fraction" and boxes.numel() and boxes.abs().max() > 2:
        raise DataError(
            f"sample {name!r}: boxes reach {boxes.abs().max():.0f} times the picture's size. "
            'Give unit="pixel" if they are in pixels.'
        )
    if "phrases" not in row and "links" in row:
        raise DataError(f"sample {name!r}: links without phrases point to nothing; give both or neither.")
    phrases = (
        tuple(_span(caption, phrase, name) for phrase in _list(row, "phrases", name))
        if "phrases" in row
        else tuple(() if segment is None else segment(caption))
    )
    return Sample(
        image=image,
        caption=caption,
        boxes=boxes,
        phrases=phrases,
        links=tuple(_pair(link, "link", name) for link in _list(row, "links", name)),
        labels=_labels(row, name) if "labels" in row else None,
        key=name,
    )


def _list(row: Mapping[str, Any], key: str, name: str) -> list[Any]:
    value = row.get(key, [])
    if not isinstance(value, list | tuple):
        raise DataError(f"sample {name!r}: {key} is {value!r:.80}: expected a list; leave it out for none.")
    return list(value)


def _labels(row: Mapping[str, Any], name: str) -> torch.Tensor:
    labels = _list(row, "labels", name)
    if not all(type(label) is int for label in labels):
        raise DataError(f"sample {name!r}: labels are {labels!r:.80}: expected a whole number for each box.")
    return torch.tensor(labels, dtype=torch.int64)


def _span(caption: str, phrase: Any, name: str) -> tuple[int, int]:
    if not isinstance(phrase, str):
        return _pair(phrase, "phrase", name)
    count = caption.count(phrase) if phrase else 0
    if count != 1:
        raise DataError(
            f"sample {name!r}: phrase {phrase!r} is {count} times in the caption {caption!r}: "
            "expected once. Give [start, end] in characters."
        )
    start = caption.index(phrase)
    return start, start + len(phrase)


def _pair(value: Any, what: str, name: str) -> tuple[int, int]:
    if not isinstance(value, Sequence) or len(value) != 2 or not all(type(v) is int for v in value):
        raise DataError(f"sample {name!r}: {what} is {value!r}: expected two whole numbers.")
    return value[0], value[1]
