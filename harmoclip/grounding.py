"""Which region of which image belongs to which phrase of which caption, for one batch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from harmoclip.boxes import bad_boxes, clip_boxes, snap_to_edges
from harmoclip.errors import GroundingError
from harmoclip.notebook import table

# name -> (number of columns, dtype); one row a region, phrase or link
_LAYOUT: dict[str, tuple[int | None, torch.dtype]] = {
    "boxes": (4, torch.float32),
    "image_index": (None, torch.int64),
    "spans": (2, torch.int64),
    "text_index": (None, torch.int64),
    "links": (2, torch.int64),
    "phrase_id": (None, torch.int64),
}
_OPTIONAL = ("wording", "image_id")  # [n] int64
_ROW_TOKENS = 128  # longer rows leave fewer places empty, and cost more attention


@dataclass(frozen=True, eq=False, repr=False)
class Grounding:
    """The boxes and phrases of a batch, and the links between them, ragged and without padding.

    Args:
        boxes: `[R, 4]` float32, xyxy, in [0, 1] of the model's input image, x1 < x2 and y1 < y2. What
            rounding moved up to 1e-4 beyond the edge is moved back onto it.
        image_index: `[R]` int64, the row of the image batch that each box lies in.
        spans: `[P, 2]` int64, half-open token positions of each phrase in its row of token ids.
        text_index: `[P]` int64, the row of the text batch that each phrase lies in.
        links: `[M, 2]` int64, pairs (region, phrase), many-to-many.
        phrase_id: `[P]` int64, equal for phrases that mean the same, in every batch and on every rank
            (`harmoclip.segment.phrase_id` hashes the normalised text).
        wording: `[P]` int64, equal for phrases of the same tokens ("a dog" and "the dog" are two wordings of
            one phrase): each is encoded once where phrases are encoded as texts. None takes `phrase_id`.
        image_id: `[B]` int64, a row for each image of the batch, equal for the same photograph with another
            caption, in every batch and on every rank: such pairs are no negatives of each other. None: every
            image is a photograph of its own.

    Raises:
        GroundingError: A tensor has the wrong type or shape, or a row is impossible; the row is named.

    Example:
        >>> import torch
        >>> Grounding(
        ...     boxes=torch.tensor([[0.1, 0.2, 0.5, 0.9]]), image_index=torch.tensor([0]),
        ...     spans=torch.tensor([[1, 4]]), text_index=torch.tensor([0]),
        ...     links=torch.tensor([[0, 0]]), phrase_id=torch.tensor([7]),
        ... )
        Grounding(regions=1, phrases=1, links=1, images<=1, texts<=1, device=cpu)
    """

    boxes: Tensor
    image_index: Tensor
    spans: Tensor
    text_index: Tensor
    links: Tensor
    phrase_id: Tensor
    wording: Tensor | None = None
    image_id: Tensor | None = None

    def __post_init__(self) -> None:
        _check_layout(self)
        object.__setattr__(self, "boxes", snap_to_edges(self.boxes))
        for rows, message in _faults(self):
            if rows.numel():
                raise GroundingError(_explain(self, int(rows[0]), message))
        # read here, once and on the host, so that no later step has to wait for the device
        wording = self.phrase_id if self.wording is None else self.wording
        distinct, which = torch.unique(wording, return_inverse=True)
        first = torch.full_like(distinct, len(wording))
        first = first.scatter_reduce(0, which, torch.arange(len(which), device=which.device), "amin")
        lengths, order = (self.spans[first, 1] - self.spans[first, 0]).sort(stable=True)
        object.__setattr__(self, "_first_of_phrase", first[order])
        object.__setattr__(self, "_distinct_index", order.argsort()[which])
        lengths = lengths.cpu()
        object.__setattr__(self, "_phrase_groups", _three_groups(lengths))
        object.__setattr__(self, "_phrase_table", _table(lengths))
        object.__setattr__(self, "_bounds", _bounds(self))

    @property
    def first_of_phrase(self) -> Tensor:
        """`[U]` int64: for each distinct wording, the first row of `spans` with it; short phrases first."""
        return self._first_of_phrase  # type: ignore[attr-defined, no-any-return]

    @property
    def distinct_index(self) -> Tensor:
        """`[P]` int64: the row of `first_of_phrase` that stands for each phrase."""
        return self._distinct_index  # type: ignore[attr-defined, no-any-return]

    @property
    def longest_span(self) -> int:
        """The number of tokens of the longest phrase, 0 without phrases."""
        return self.phrase_groups[-1][1]

    @property
    def phrase_groups(self) -> tuple[tuple[int, int], ...]:
        """The distinct wordings in three groups, short ones first: how many, and the longest of them.

        Encoded group by group, each padded to its longest, they need the fewest positions.
        """
        return self._phrase_groups  # type: ignore[attr-defined, no-any-return]

    @property
    def phrase_table(self) -> tuple[int, int]:
        """Rows, and tokens of a row, that hold the distinct wordings side by side, each with an end token.

        A row is a sequence of slots, and wordings of like length lie in the same slot.
        """
        return self._phrase_table  # type: ignore[attr-defined, no-any-return]

    @classmethod
    def empty(cls, device: torch.device | str = "cpu") -> Self:
        """A grounding without any box or phrase: its losses are zero and connected to the graph."""
        return cls(
            **{
                name: torch.empty((0,) if columns is None else (0, columns), dtype=dtype, device=device)
                for name, (columns, dtype) in _LAYOUT.items()
            }
        )

    @classmethod
    def collate(cls, groundings: Sequence[Self]) -> Self:
        """Join groundings of one image and one caption each into the grounding of their batch.

        Args:
            groundings: One a sample, every index in it 0; sample i becomes image i and text i.

        Raises:
            GroundingError: A grounding speaks of more than one image or text.
        """
        for i, grounding in enumerate(groundings):
            if max(grounding._bounds[:2]) > 1:  # type: ignore[attr-defined]
                raise GroundingError(
                    f"grounding {i} speaks of more than one image or text: {grounding!r}. "
                    "collate joins samples of one image and one caption; give each sample its own Grounding."
                )
        if not groundings:
            return cls.empty()
        regions = _starts([len(g.boxes) for g in groundings])
        phrases = _starts([len(g.spans) for g in groundings])
        shift = zip(groundings, regions, phrases, strict=True)
        wordings = [g.wording for g in groundings if g.wording is not None]
        image_ids = [g.image_id for g in groundings if g.image_id is not None]
        if 0 < len(image_ids) < len(groundings):
            raise GroundingError(
                f"{len(image_ids)} of {len(groundings)} groundings have an image_id: expected all or none."
            )
        return cls(
            boxes=torch.cat([g.boxes for g in groundings]),
            image_index=torch.cat([g.image_index + i for i, g in enumerate(groundings)]),
            spans=torch.cat([g.spans for g in groundings]),
            text_index=torch.cat([g.text_index + i for i, g in enumerate(groundings)]),
            links=torch.cat([g.links + g.links.new_tensor([r, p]) for g, r, p in shift]),
            phrase_id=torch.cat([g.phrase_id for g in groundings]),
            wording=torch.cat(wordings) if len(wordings) == len(groundings) else None,
            image_id=torch.cat(image_ids) if image_ids else None,
        )

    @classmethod
    def clean(
        cls,
        boxes: Tensor,
        image_index: Tensor,
        spans: Tensor,
        text_index: Tensor,
        links: Tensor,
        phrase_id: Tensor,
        wording: Tensor | None = None,
        image_id: Tensor | None = None,
    ) -> tuple[Self, dict[str, list[int]]]:
        """Make a grounding of what can be used, and say what was dropped.

        Boxes are cut at the image's edges. Boxes that are not finite or have no area left, spans without
        a token, and links to anything dropped or missing are left out.

        Returns:
            The grounding, and the dropped rows by name: `{"boxes": [...], "spans": [...], "links": [...]}`.

        Raises:
            GroundingError: A tensor has the wrong type or shape.

        Example:
            >>> import torch
            >>> index, nothing = torch.tensor([0, 0]), torch.empty(0, dtype=torch.int64)
            >>> boxes = torch.tensor([[0.5, 0.5, 1.5, 0.9], [0.4, 0.4, 0.2, 0.9]])
            >>> grounding, dropped = Grounding.clean(
            ...     boxes, index, nothing.view(0, 2), nothing, nothing.view(0, 2), nothing
            ... )
            >>> grounding.boxes.tolist(), dropped["boxes"]
            ([[0.5, 0.5, 1.0, 0.8999999761581421]], [1])
        """
        raw = object.__new__(cls)
        given = (boxes, image_index, spans, text_index, links, phrase_id, wording, image_id)
        for name, value in zip((*_LAYOUT, *_OPTIONAL), given, strict=True):
            object.__setattr__(raw, name, value)
        _check_layout(raw)
        usable = clip_boxes(boxes)
        keep_region = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
        keep_region[usable.kept] = image_index[usable.kept] >= 0
        keep_phrase = ~_bad_spans(spans) & (text_index >= 0)
        known = (links >= 0).all(1) & (links[:, 0] < len(boxes)) & (links[:, 1] < len(spans))
        keep_link = known.clone()
        keep_link[known] = keep_region[links[known, 0]] & keep_phrase[links[known, 1]]
        new_region, new_phrase = keep_region.cumsum(0) - 1, keep_phrase.cumsum(0) - 1
        kept = links[keep_link]
        grounding = cls(
            boxes=usable.boxes[keep_region[usable.kept]],
            image_index=image_index[keep_region],
            spans=spans[keep_phrase],
            text_index=text_index[keep_phrase],
            links=torch.stack([new_region[kept[:, 0]], new_phrase[kept[:, 1]]], 1),
            phrase_id=phrase_id[keep_phrase],
            wording=None if wording is None else wording[keep_phrase],
            image_id=image_id,
        )
        gone = {"boxes": ~keep_region, "spans": ~keep_phrase, "links": ~keep_link}
        return grounding, {name: mask.nonzero().flatten().tolist() for name, mask in gone.items()}

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """The same grounding on another device, without checking it again."""
        moved = object.__new__(type(self))
        for name, value in vars(self).items():
            is_tensor = isinstance(value, Tensor)
            object.__setattr__(
                moved, name, value.to(device, non_blocking=non_blocking) if is_tensor else value
            )
        return moved

    def pin_memory(self) -> Self:
        """The same grounding in page-locked memory; data loaders call this."""
        moved = object.__new__(type(self))
        for name, value in vars(self).items():
            object.__setattr__(moved, name, value.pin_memory() if isinstance(value, Tensor) else value)
        return moved

    def check_batch(self, images: int, texts: int, context_length: int) -> None:
        """Raise a GroundingError where an index or a span points outside the given batch."""
        if self.image_id is not None and len(self.image_id) != images:
            raise GroundingError(
                f"image_id has {len(self.image_id)} rows, but the batch has {images} images: "
                "expected one row an image."
            )
        for given, size, column in zip(
            self._bounds,  # type: ignore[attr-defined]
            (images, texts, context_length),
            ("image_index", "text_index", "spans"),
            strict=False,
        ):
            if given > size:
                raise GroundingError(
                    f"{column} reaches {given - 1 if column != 'spans' else given}, "
                    f"but the batch has {images} images and {texts} texts of {context_length} tokens. "
                    "Give the grounding of this batch, and drop phrases that the tokenizer cut off."
                )

    def replace(self, **changes: Tensor | None) -> Self:
        """A checked copy with some tensors replaced."""
        kept: dict[str, Any] = {name: getattr(self, name) for name in (*_LAYOUT, *_OPTIONAL)}
        return type(self)(**{**kept, **changes})

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.boxes.device

    def __repr__(self) -> str:
        images, texts = self._bounds[:2]  # type: ignore[attr-defined]
        return (
            f"Grounding(regions={len(self.boxes)}, phrases={len(self.spans)}, links={len(self.links)}, "
            f"images<={images}, texts<={texts}, device={self.device})"
        )

    def _repr_html_(self) -> str:
        counts = {"regions": len(self.boxes), "phrases": len(self.spans), "links": len(self.links)}
        per_image = self.image_index.bincount().tolist()
        return table("Grounding", {**counts, "regions of each image": per_image, "device": self.device})


# FSDP casts every tensor of a dataclass to the parameters' type; boxes must stay float32
del Grounding.__dataclass_fields__


def _starts(sizes: list[int]) -> list[int]:
    return [sum(sizes[:i]) for i in range(len(sizes))]


def _bounds(g: Grounding) -> tuple[int, int, int]:
    """The smallest batch that fits: images, texts, tokens."""
    images = int(g.image_index.max()) + 1 if len(g.boxes) else 0
    if not len(g.spans):
        return images, 0, 0
    return images, int(g.text_index.max()) + 1, int(g.spans[:, 1].max())


def _three_groups(lengths: Tensor) -> tuple[tuple[int, int], ...]:
    """Cut sorted lengths where three groups, each padded to its longest, take the fewest positions.

    Six or more give every group at least two: to a compiler, none and one are cases of their own.
    """
    count = len(lengths)
    if not count:
        return ((0, 0),) * 3
    longest, most = lengths.unique(return_counts=True)  # a cut lies between two lengths
    ends, framed = most.cumsum(0), longest + 2  # a start and an end token
    first, third = ends * framed, (count - ends) * framed[-1]
    second = (ends[None, :] - ends[:, None]) * framed
    positions = first[:, None] + second + third
    i, j = divmod(int(positions.masked_fill(second < 0, torch.iinfo(torch.int64).max).argmin()), len(ends))
    one, two = int(ends[i]), int(ends[j])
    if count >= 6:
        one = min(max(one, 2), count - 4)
        two = min(max(two, one + 2), count - 2)
    cuts = (0, one, two, count)
    return tuple((end - start, int(lengths[end - 1])) for start, end in itertools.pairwise(cuts))


def _table(lengths: Tensor) -> tuple[int, int]:
    """Rows and tokens for phrases of these sorted lengths: the longest share the last slot, and so on."""
    tokens = lengths + 1  # an end token
    rows = min(len(tokens), max(2, round(int(tokens.sum()) / _ROW_TOKENS)))
    return rows, int(tokens.flip(0)[:: max(1, rows)].sum())


def _bad_spans(spans: Tensor) -> Tensor:
    return (spans[:, 0] < 0) | (spans[:, 0] >= spans[:, 1])


def _faults(g: Grounding) -> list[tuple[Tensor, str]]:
    """Rows of each kind that cannot be, with the words that say why."""
    size = g.links.new_tensor([len(g.boxes), len(g.spans)])
    return [
        (
            bad_boxes(g.boxes).nonzero(),
            "boxes[{row}] is {boxes}: expected finite x1 < x2 and y1 < y2 in [0, 1] of the input image. "
            "Divide pixel boxes by the image's width and height, or call Grounding.clean.",
        ),
        ((g.image_index < 0).nonzero(), "image_index[{row}] is {image_index}: expected 0 or more."),
        (
            _bad_spans(g.spans).nonzero(),
            "spans[{row}] is {spans}: expected 0 <= start < end, in tokens. "
            "Leave out phrases that the tokenizer did not find or cut off.",
        ),
        ((g.text_index < 0).nonzero(), "text_index[{row}] is {text_index}: expected 0 or more."),
        (
            ((g.links < 0) | (g.links >= size)).any(1).nonzero(),
            "links[{row}] is {links}: expected a pair (region, phrase) "
            f"with region < {len(g.boxes)} and phrase < {len(g.spans)}.",
        ),
    ]


def _explain(g: Grounding, row: int, message: str) -> str:
    rows = {name: getattr(g, name) for name in _LAYOUT}
    return message.format(row=row, **{k: v[row].tolist() if row < len(v) else None for k, v in rows.items()})


def _check_layout(g: Grounding) -> None:
    optional = {name: (None, torch.int64) for name in _OPTIONAL if getattr(g, name) is not None}
    layout: dict[str, tuple[int | None, torch.dtype]] = {**_LAYOUT, **optional}
    for name, (columns, dtype) in layout.items():
        value = getattr(g, name)
        if not isinstance(value, Tensor):
            raise GroundingError(f"{name} is a {type(value).__name__}: expected a torch.Tensor.")
        if value.dtype != dtype:
            raise GroundingError(f"{name} is {value.dtype}: expected {dtype}. Convert it with .to({dtype}).")
        shape_ok = value.ndim == 1 if columns is None else value.ndim == 2 and value.shape[1] == columns
        if not shape_ok:
            wanted = "[n]" if columns is None else f"[n, {columns}]"
            raise GroundingError(f"{name} has shape {list(value.shape)}: expected {wanted}.")
    phrases = [("spans", name) for name in layout if name in ("text_index", "phrase_id", "wording")]
    for one, other in (("boxes", "image_index"), *phrases):
        rows, others = len(getattr(g, one)), len(getattr(g, other))
        if rows != others:
            raise GroundingError(f"{one} has {rows} rows and {other} {others}: expected as many.")
