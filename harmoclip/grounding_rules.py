"""What each tensor of a grounding must be, and the words for a row that cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harmoclip.boxes import bad_boxes
from harmoclip.errors import GroundingError


class Field(NamedTuple):
    """A tensor of a grounding: its axes (equal letters have equal sizes) and its type."""

    axes: str
    dtype: torch.dtype
    optional: bool = False


# in the order of the arguments of `Grounding`, which describes each
FIELDS = {
    "boxes": Field("R 4", torch.float32),
    "image_index": Field("R", torch.int64),
    "spans": Field("P 2", torch.int64),
    "text_index": Field("P", torch.int64),
    "links": Field("M 2", torch.int64),
    "phrase_id": Field("P", torch.int64),
    "wording": Field("P", torch.int64, optional=True),
    "negatives": Field("N 2", torch.int64, optional=True),
    "image_id": Field("B", torch.int64, optional=True),
    "captioned": Field("B", torch.bool, optional=True),
    "more_captions": Field("B K", torch.int64, optional=True),
}


def check_layout(given: Mapping[str, Tensor | None]) -> None:
    """Raise a GroundingError that names the first tensor of a wrong type or shape."""
    seen: dict[str, tuple[str, int]] = {}
    for name, field in FIELDS.items():
        value, axes = given[name], field.axes.split()
        if value is None and field.optional:
            continue
        if not isinstance(value, Tensor):
            raise GroundingError(f"{name} is a {type(value).__name__}: expected a torch.Tensor.")
        if value.dtype != field.dtype:
            raise GroundingError(
                f"{name} is {value.dtype}: expected {field.dtype}. Convert it with .to({field.dtype})."
            )
        fixed = zip(axes, value.shape, strict=False)
        if value.ndim != len(axes) or any(axis.isdigit() and int(axis) != size for axis, size in fixed):
            raise GroundingError(f"{name} has shape {list(value.shape)}: expected [{', '.join(axes)}].")
        first, rows = seen.setdefault(axes[0], (name, len(value)))
        if rows != len(value):
            raise GroundingError(f"{first} has {rows} rows and {name} {len(value)}: expected as many.")


def check_rows(g: Mapping[str, Any]) -> None:
    """Raise a GroundingError that names the first row that cannot be."""
    for rows, message in _faults(g):
        if rows.any():
            row = int(rows.nonzero()[0])
            values = {k: g[k][row].tolist() for k in FIELDS if g[k] is not None and row < len(g[k])}
            raise GroundingError(message.format(row=row, **{name: values.get(name) for name in FIELDS}))


def bad_spans(spans: Tensor) -> Tensor:
    """`[P]` bool, which spans hold no token."""
    return (spans[:, 0] < 0) | (spans[:, 0] >= spans[:, 1])


def _faults(g: Mapping[str, Any]) -> Iterator[tuple[Tensor, str]]:
    """Which rows cannot be, kind by kind, with the words that say why."""
    yield (
        bad_boxes(g["boxes"]),
        "boxes[{row}] is {boxes}: expected finite x1 < x2 and y1 < y2 in [0, 1] of the input image. "
        "Divide pixel boxes by the image's width and height, or call Grounding.clean.",
    )
    yield g["image_index"] < 0, "image_index[{row}] is {image_index}: expected 0 or more."
    yield (
        bad_spans(g["spans"]),
        "spans[{row}] is {spans}: expected 0 <= start < end, in tokens. "
        "Leave out phrases that the tokenizer did not find or cut off.",
    )
    yield g["text_index"] < 0, "text_index[{row}] is {text_index}: expected 0 or more."
    sizes = len(g["boxes"]), len(g["spans"])
    pair = f"expected a pair (region, phrase) with region < {sizes[0]} and phrase < {sizes[1]}."
    yield _outside(g["links"], sizes), f"links[{{row}}] is {{links}}: {pair}"
    yield _outside(g["negatives"], sizes), f"negatives[{{row}}] is {{negatives}}: {pair}"
    yield (
        _also_linked(g["links"], g["negatives"], g["phrase_id"]),
        "negatives[{row}] is {negatives}, but this region is linked to that phrase or to one with the same "
        "phrase_id: expected phrases that are wrong for their region. Leave the negative or the link out.",
    )
    if g["captioned"] is not None:
        yield (
            _without_caption(g["text_index"], g["captioned"]),
            "text_index[{row}] is {text_index}, but captioned says that this image has no caption.",
        )
    if g["more_captions"] is not None:
        yield (
            (g["more_captions"] < -1).any(1),
            "more_captions[{row}] is {more_captions}: expected rows of the texts, or -1 for none.",
        )


def _outside(pairs: Tensor, sizes: tuple[int, int]) -> Tensor:
    return ((pairs < 0) | (pairs >= pairs.new_tensor(sizes))).any(1)


def _also_linked(links: Tensor, negatives: Tensor, phrase_id: Tensor) -> Tensor:
    """Which negatives are right: their region is linked to a phrase that says the same."""
    if not len(negatives):
        return negatives[:, 0] > 0
    distinct, said = phrase_id.unique(return_inverse=True)
    linked, wrong = (pairs[:, 0] * len(distinct) + said[pairs[:, 1]] for pairs in (links, negatives))
    return torch.isin(wrong, linked)


def _without_caption(text_index: Tensor, captioned: Tensor) -> Tensor:
    """Which phrases lie in the caption of an image that has none."""
    is_caption = text_index < len(captioned)
    return is_caption & ~captioned[text_index.where(is_caption, 0)] if len(captioned) else is_caption
