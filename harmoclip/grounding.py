"""Which region of which image belongs to which phrase of which text, for one batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn, Self

import torch
from torch import Tensor

from harmoclip.boxes import clip_boxes, snap_to_edges
from harmoclip.errors import GroundingError
from harmoclip.grounding_rules import FIELDS, bad_spans, check_layout, check_rows
from harmoclip.notebook import table
from harmoclip.phrase_plan import PhrasePlan

_OF_IMAGES = [name for name, field in FIELDS.items() if field.axes[0] == "B"]


class Grounding:
    """The boxes and phrases of a batch, and the links between them, ragged and without padding.

    It goes with images `[B, 3, H, W]` and token ids `texts [T, L]`. Rows 0 to B - 1 of `texts` are the
    captions of the B images; further rows are *texts of their own*, such as descriptions of boxes or class
    names. A phrase is a span of any row; of a text of its own, it is the whole text between its special
    tokens. A region may have many phrases, and a phrase many regions. A grounding does not change; `replace`
    gives another.

    Args:
        boxes: `[R, 4]` float32, xyxy, in [0, 1] of the model's input image, x1 < x2 and y1 < y2. What
            rounding moved up to 1e-4 beyond the edge is moved back onto it.
        image_index: `[R]` int64, the row of the image batch that each box lies in.
        spans: `[P, 2]` int64, half-open token positions of each phrase in its row of token ids.
        text_index: `[P]` int64, the row of `texts` that each phrase lies in.
        links: `[M, 2]` int64, pairs (region, phrase) that are right, many-to-many.
        phrase_id: `[P]` int64, equal for phrases that mean the same, in every batch and on every rank
            (`harmoclip.segment.phrase_id` hashes the normalized text).
        wording: `[P]` int64, equal for phrases of the same tokens ("a dog" and "the dog" are two wordings of
            one phrase): each is encoded once where phrases are encoded as texts. None takes `phrase_id`.
        negatives: `[N, 2]` int64, pairs (region, phrase) that are known to be wrong, such as "a blue hat" for
            a red one. They count for their own region alone; a phrase that only they use is nobody else's
            negative.
        image_id: `[B]` int64, equal for the same photograph with another caption, in every batch and on every
            rank: such pairs are no negatives of each other. None: every image is a photograph of its own.
        captioned: `[B]` bool, which images have a caption; row i of `texts` is not read for the others.
            None: all of them.
        more_captions: `[B, K]` int64, rows of `texts` with further captions of each image, -1 for none.
            Column k holds captions of one kind, such as short ones, which are contrasted with each other.

    Attributes:
        plan: How towers encode the phrases with few positions. It is made here, where the tensors are still
            on the host: made in a step it would wait for the device, and no compiled program could hold it.

    Raises:
        GroundingError: A tensor has the wrong type or shape, or a row is impossible; the row is named.

    Example:
        >>> import torch
        >>> Grounding(
        ...     boxes=torch.tensor([[0.1, 0.2, 0.5, 0.9], [0.6, 0.1, 0.9, 0.5]]),
        ...     image_index=torch.tensor([0, 1]),
        ...     spans=torch.tensor([[1, 4], [2, 4]]), text_index=torch.tensor([0, 1]),
        ...     links=torch.tensor([[0, 0], [1, 1]]), phrase_id=torch.tensor([7, 8]),
        ... )
        Grounding(regions=2, phrases=2, links=2, images<=2, texts<=2, device=cpu)
    """

    boxes: Tensor
    image_index: Tensor
    spans: Tensor
    text_index: Tensor
    links: Tensor
    phrase_id: Tensor
    wording: Tensor | None
    negatives: Tensor
    image_id: Tensor | None
    captioned: Tensor | None
    more_captions: Tensor | None
    plan: PhrasePlan

    def __init__(
        self,
        boxes: Tensor,
        image_index: Tensor,
        spans: Tensor,
        text_index: Tensor,
        links: Tensor,
        phrase_id: Tensor,
        wording: Tensor | None = None,
        *,
        negatives: Tensor | None = None,
        image_id: Tensor | None = None,
        captioned: Tensor | None = None,
        more_captions: Tensor | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in FIELDS}
        check_layout(given)
        vars(self).update(
            given,
            boxes=snap_to_edges(boxes),
            negatives=links[:0] if negatives is None else negatives,
        )
        check_rows(vars(self))
        vars(self).update(
            plan=PhrasePlan.of(spans, phrase_id if wording is None else wording),
            _bounds=_bounds(self),
            _text_rows=frozenset(_text_rows(self)),
        )

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Grounding does not change: use grounding.replace({name}=...).")

    @classmethod
    def empty(cls, device: torch.device | str = "cpu") -> Self:
        """A grounding without any box or phrase: its losses are zero and connected to the graph."""
        return cls(
            **{
                name: torch.empty([0, *map(int, f.axes.split()[1:])], dtype=f.dtype, device=device)
                for name, f in FIELDS.items()
                if not f.optional
            }
        )

    @classmethod
    def collate(cls, groundings: Sequence[Self]) -> Self:
        """Join groundings of one image each into the grounding of their batch.

        In every grounding image 0 is the sample's image, text 0 its caption, and texts 1 and up are texts of
        its own. In the batch, sample i becomes image i and text i; the texts of their own follow after all
        captions, sample by sample.

        Raises:
            GroundingError: A grounding speaks of more than one image, or only some have the optional tensors
                of images.
        """
        for i, grounding in enumerate(groundings):
            if grounding._bounds[0] > 1 or any(len(x) != 1 for x in grounding._of_images().values()):
                raise GroundingError(
                    f"grounding {i} speaks of more than one image: {grounding!r}. "
                    "collate joins samples of one image each; give each sample its own Grounding."
                )
        if not groundings:
            return cls.empty()
        regions = _starts([len(g.boxes) for g in groundings])
        phrases = _starts([len(g.spans) for g in groundings])
        texts = _starts([max(g._bounds[1] - 1, 0) for g in groundings])

        def pairs(name: str) -> Tensor:
            each: list[Tensor] = [getattr(g, name) for g in groundings]
            shift = zip(each, regions, phrases, strict=True)
            return torch.cat([x + x.new_tensor([r, p]) for x, r, p in shift])

        def texts_of(i: int, rows: Tensor) -> Tensor:
            rows = torch.where(rows > 0, rows + len(groundings) - 1 + texts[i], rows)
            return torch.where(rows == 0, i, rows)

        wordings = [g.wording for g in groundings if g.wording is not None]
        more = [texts_of(i, g.more_captions) for i, g in enumerate(groundings) if g.more_captions is not None]
        return cls(
            boxes=torch.cat([g.boxes for g in groundings]),
            image_index=torch.cat([g.image_index + i for i, g in enumerate(groundings)]),
            spans=torch.cat([g.spans for g in groundings]),
            text_index=torch.cat([texts_of(i, g.text_index) for i, g in enumerate(groundings)]),
            links=pairs("links"),
            negatives=pairs("negatives"),
            phrase_id=torch.cat([g.phrase_id for g in groundings]),
            wording=torch.cat(wordings) if len(wordings) == len(groundings) else None,
            image_id=_all_or_none("image_id", [g.image_id for g in groundings]),
            captioned=_all_or_none("captioned", [g.captioned for g in groundings]),
            more_captions=_all_or_none("more_captions", more + [None] * (len(groundings) - len(more))),
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
        *,
        negatives: Tensor | None = None,
        image_id: Tensor | None = None,
        captioned: Tensor | None = None,
        more_captions: Tensor | None = None,
    ) -> tuple[Self, dict[str, list[int]]]:
        """Make a grounding of what can be used, and say what was dropped.

        Boxes are cut at the image's edges. Boxes that are not finite or have no area left, spans without
        a token, and links to anything dropped or missing are left out.

        Returns:
            The grounding, and the dropped rows by name: `{"boxes": [...], "spans": [...], "links": [...]}`,
            and `"negatives"` where they were given.

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
        given = {name: value for name, value in locals().items() if name in FIELDS}
        check_layout(given)
        usable = clip_boxes(boxes)
        keep_region = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
        keep_region[usable.kept] = image_index[usable.kept] >= 0
        keep_phrase = ~bad_spans(spans) & (text_index >= 0)
        gone = {"boxes": ~keep_region, "spans": ~keep_phrase}
        kept = _kept_rows(given, {"R": keep_region, "P": keep_phrase})
        kept["boxes"] = usable.boxes[keep_region[usable.kept]]
        for name in ("links", "negatives"):
            if (pairs := given[name]) is not None:
                kept[name], keep = _kept_pairs(pairs, keep_region, keep_phrase)
                gone[name] = ~keep
        grounding = cls(**{**given, **kept})
        return grounding, {name: mask.nonzero().flatten().tolist() for name, mask in gone.items()}

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """The same grounding on another device, without checking it again."""
        return self._map(lambda x: x.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """The same grounding in page-locked memory; data loaders call this."""
        return self._map(Tensor.pin_memory)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Self:
        moved = object.__new__(type(self))
        values = {k: function(v) if isinstance(v, Tensor) else v for k, v in vars(self).items()}
        vars(moved).update(values, plan=self.plan.map(function))
        return moved

    def check_batch(self, images: int, texts: int, context_length: int) -> None:
        """Raise a GroundingError where an index or a span points outside the given batch."""
        for name, rows in self._of_images().items():
            if len(rows) != images:
                raise GroundingError(
                    f"{name} has {len(rows)} rows, but the batch has {images} images: "
                    "expected one row an image."
                )
        sizes = images, texts, context_length
        columns = ("image_index",), ("text_index", "more_captions"), ("spans",)
        for given, size, named in zip(self._bounds, sizes, columns, strict=True):
            if given > size:
                raise GroundingError(
                    f"{self._beyond(given, named)}, but the batch has {images} images and {texts} texts of "
                    f"{context_length} tokens. Give the grounding of this batch, and drop phrases that the "
                    "tokenizer cut off."
                )

    def _beyond(self, bound: int, columns: Sequence[str]) -> str:
        """Where one of the columns reaches a bound, in words."""
        for column in columns:
            values: Tensor | None = getattr(self, column)
            highest = bound if column == "spans" else bound - 1
            found = [] if values is None else (values == highest).nonzero().tolist()
            if found:
                return f"{column} reaches {highest} in row {found[0][0]}"
        raise AssertionError(f"nothing reaches {bound}")

    def check_texts_are_used(self, images: int, texts: int) -> None:
        """Raise a GroundingError where a row of the texts is neither a caption nor holds a phrase."""
        unused = [row for row in range(images, texts) if row not in self._text_rows]
        if unused:
            raise GroundingError(
                f"texts[{unused[0]}] is used by nothing. There are {images} images and {texts} texts: rows "
                f"up to {images - 1} are captions, a further row must hold a phrase (text_index) or a "
                "further caption (more_captions). Leave the row out, or give the grounding of this batch."
            )

    def replace(self, **changes: Tensor | None) -> Self:
        """A checked copy with some tensors replaced."""
        kept: dict[str, Tensor | None] = {name: getattr(self, name) for name in FIELDS}
        return type(self)(**{**kept, **changes})  # type: ignore[arg-type]

    def without_regions(self) -> Self:
        """Its phrases alone, of any texts."""
        nothing = self.links[:0]
        return self.replace(
            boxes=self.boxes[:0],
            image_index=self.image_index[:0],
            links=nothing,
            negatives=nothing,
            image_id=None,
            captioned=None,
            more_captions=None,
        )

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.boxes.device

    def _of_images(self) -> dict[str, Tensor]:
        """The optional tensors with a row for each image."""
        return {name: getattr(self, name) for name in _OF_IMAGES if getattr(self, name) is not None}

    def __repr__(self) -> str:
        images, texts, _ = self._bounds
        negatives = f"negatives={len(self.negatives)}, " if len(self.negatives) else ""
        return (
            f"Grounding(regions={len(self.boxes)}, phrases={len(self.spans)}, links={len(self.links)}, "
            f"{negatives}images<={images}, texts<={texts}, device={self.device})"
        )

    def _repr_html_(self) -> str:
        counts = {"regions": len(self.boxes), "phrases": len(self.spans), "links": len(self.links)}
        per_image = self.image_index.bincount().tolist()
        return table("Grounding", {**counts, "regions of each image": per_image, "device": self.device})

    _bounds: tuple[int, int, int]
    _text_rows: frozenset[int]


def _starts(sizes: list[int]) -> list[int]:
    return [sum(sizes[:i]) for i in range(len(sizes))]


def _all_or_none(name: str, each: list[Tensor | None]) -> Tensor | None:
    given = [x for x in each if x is not None]
    if 0 < len(given) < len(each):
        raise GroundingError(f"{len(given)} of {len(each)} groundings have {name}: expected all or none.")
    return torch.cat(given) if given else None


def _kept_rows(given: Mapping[str, Tensor | None], keep: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors along these axes, without the rows that are not kept."""
    axes = {name: field.axes[0] for name, field in FIELDS.items()}
    return {
        name: value[keep[axes[name]]]
        for name, value in given.items()
        if value is not None and axes[name] in keep
    }


def _kept_pairs(pairs: Tensor, keep_region: Tensor, keep_phrase: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs of what is kept, by their new rows, and which pairs these are."""
    known = (pairs >= 0).all(1) & (pairs[:, 0] < len(keep_region)) & (pairs[:, 1] < len(keep_phrase))
    keep = known.clone()
    keep[known] = keep_region[pairs[known, 0]] & keep_phrase[pairs[known, 1]]
    region, phrase = pairs[keep].unbind(1)
    return torch.stack([(keep_region.cumsum(0) - 1)[region], (keep_phrase.cumsum(0) - 1)[phrase]], 1), keep


def _bounds(g: Grounding) -> tuple[int, int, int]:
    """The smallest batch that fits: images, texts, tokens."""
    images = int(g.image_index.max()) + 1 if len(g.boxes) else 0
    texts = max(_text_rows(g), default=-1) + 1
    return images, texts, int(g.spans[:, 1].max()) if len(g.spans) else 0


def _text_rows(g: Grounding) -> list[int]:
    """The rows of the texts that phrases lie in or that are further captions."""
    rows = [g.text_index] if g.more_captions is None else [g.text_index, g.more_captions.flatten()]
    return [row for row in torch.cat(rows).unique().tolist() if row >= 0]
