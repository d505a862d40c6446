"""One image with its caption, its boxes, its phrases and the links between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Protocol, Self

import torch
from PIL import Image
from torch import Tensor

from harmoclip.errors import DataError
from harmoclip.notebook import boxed_image, table
from harmoclip.segment import normalize_phrase

_NO_BOXES = torch.empty(0, 4)


class SpanLike(Protocol):
    """What has character offsets into the caption, such as `harmoclip.segment.Phrase`."""

    @property
    def start(self) -> int:
        """The first character."""

    @property
    def end(self) -> int:
        """One past the last character."""


def image_identity(name: str | bytes) -> int:
    """A number that stands for an image wherever its name is the same: 63 bits of a hash.

    Example:
        >>> image_identity("000000000009.jpg") == image_identity("000000000009.jpg") >= 0
        True
    """
    content = name.encode("utf-8", "surrogatepass") if isinstance(name, str) else name
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big") >> 1


@dataclass(frozen=True, eq=False)
class Sample:
    """One image and its caption; the type that every data set yields and every transform maps.

    Args:
        image: A PIL image, or a tensor `[3, H, W]`.
        caption: The text, exactly as the phrases' offsets count it; empty where the image has none.
        boxes: `[R, 4]` float32 xyxy, in [0, 1] of this image; lists and arrays are taken too.
        phrases: Parts of the caption: character spans `(start, end)`, half-open, or objects with `start` and
            `end`. Or a text of its own, a `str`, which need not be in the caption.
        links: Pairs (region, phrase), many-to-many.
        negatives: Pairs (region, phrase) that are known to be wrong, such as "a blue hat" for a red one.
        more_captions: Further captions of the image; the first of each sample are of one kind, such as long
            ones, and so on.
        labels: `[R]` int64, each box's class in the data set's `class_names`, where it has classes.
        key: A name of the image for messages and file names.
        image_id: Equal for samples of the same image: a whole number, or a name that is made into one. By
            default it comes from `key`; None where there is no key either.
        dropped: How many boxes earlier steps left out, by reason.
        left_out: A message for each box that was left out when the sample was read.
        cut: And for each that left the image by more than rounding, and was cut at its edge.

    Raises:
        DataError: A shape is wrong, a span lies outside the caption, a text has no words, a link points to
            nothing, or a negative is right: its region is linked to a phrase that says the same.

    Example:
        >>> image = Image.new("RGB", (40, 20))
        >>> sample = Sample(image, "a dog", torch.tensor([[0.1, 0.1, 0.5, 0.9]]), ((0, 5),), ((0, 0),))
        >>> sample.phrase_texts
        ('a dog',)
    """

    image: Image.Image | Tensor
    caption: str
    boxes: Tensor = field(default_factory=lambda: _NO_BOXES)
    phrases: tuple[tuple[int, int] | SpanLike | str, ...] = ()
    links: tuple[tuple[int, int], ...] = ()
    labels: Tensor | None = None
    key: str = ""
    image_id: int | str | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    negatives: tuple[tuple[int, int], ...] = ()
    more_captions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_id", _identity(self.image_id, self.key))
        object.__setattr__(self, "boxes", self._checked_boxes())
        if self.labels is not None and len(self.labels) != len(self.boxes):
            raise DataError(f"{self._name}: {len(self.labels)} labels for {len(self.boxes)} boxes.")
        for phrase in self.phrases:
            self._check_phrase(phrase)
        for row, caption in enumerate(self.more_captions):
            if not caption.strip():
                raise DataError(f"{self._name}: more_captions[{row}] is {caption!r}: expected some words.")
        self._check_pairs("link", self.links)
        self._check_pairs("negative", self.negatives)
        self._check_negatives()

    def _check_pairs(self, what: str, pairs: Sequence[tuple[int, int]]) -> None:
        for region, phrase in pairs:
            if not (0 <= region < len(self.boxes) and 0 <= phrase < len(self.phrases)):
                raise DataError(
                    f"{self._name}: {what} ({region}, {phrase}) points to nothing; there are "
                    f"{len(self.boxes)} boxes and {len(self.phrases)} phrases, counted from 0."
                )

    def _check_negatives(self) -> None:
        """No negative is a phrase that is linked to its region, or says the same as one."""
        if not self.negatives:
            return
        said = [normalize_phrase(text) for text in self.phrase_texts]
        right = {(region, said[phrase]) for region, phrase in self.links}
        for row, (region, phrase) in enumerate(self.negatives):
            if (region, said[phrase]) in right:
                raise DataError(
                    f"{self._name}: negatives[{row}] is {(region, phrase)}, but box {region} is linked to "
                    f"{self.phrase_texts[phrase]!r}: leave the negative or the link out."
                )

    def _checked_boxes(self) -> Tensor:
        given = self.boxes
        if not isinstance(given, Tensor):
            try:
                given = torch.as_tensor(given, dtype=torch.float32)
            except (TypeError, ValueError) as error:
                raise DataError(
                    f"{self._name}: boxes are {self.boxes!r:.80}: expected 4 numbers each."
                ) from error
            given = _NO_BOXES if not given.numel() else given
        if given.ndim != 2 or given.shape[1] != 4 or given.dtype != torch.float32:
            raise DataError(
                f"{self._name}: boxes are {given.dtype} of shape {list(given.shape)}: "
                "expected float32 [R, 4], xyxy in [0, 1] of the image."
            )
        return given

    def _check_phrase(self, phrase: tuple[int, int] | SpanLike | str) -> None:
        if isinstance(phrase, str):
            if not phrase.strip():
                raise DataError(f"{self._name}: phrase {phrase!r} has no words.")
            return
        start, end = _span(phrase)
        if not 0 <= start < end <= len(self.caption):
            raise DataError(
                f"{self._name}: phrase ({start}, {end}) is not a part of the caption {self.caption!r}."
            )

    @property
    def _name(self) -> str:
        return f"sample {self.key!r}" if self.key else "sample"

    def _repr_html_(self) -> str:
        """The image with its boxes, each under the phrases that name it; a model's input as its shape."""
        about: dict[str, object] = {"caption": self.caption, "phrases": list(self.phrase_texts)}
        if isinstance(self.image, Tensor):
            return table(self._name, {**about, "image": list(self.image.shape), "boxes": len(self.boxes)})
        texts = self.phrase_texts
        labels = [
            ", ".join(texts[phrase] for region, phrase in self.links if region == row)
            for row in range(len(self.boxes))
        ]
        drawn = boxed_image(self.image.convert("RGB"), self.boxes.tolist(), labels)
        return table(self._name, about) + drawn

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The phrases as plain character spans: of the caption, or of the whole of a text of its own."""
        return tuple((0, len(p)) if isinstance(p, str) else _span(p) for p in self.phrases)

    @property
    def phrase_texts(self) -> tuple[str, ...]:
        """The words of each phrase."""
        return tuple(p if isinstance(p, str) else self.caption[slice(*_span(p))] for p in self.phrases)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image in pixels."""
        if isinstance(self.image, Tensor):
            return self.image.shape[-1], self.image.shape[-2]
        return self.image.size

    def replace(self, **changes: object) -> Self:
        """A checked copy with some fields replaced."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def drop_boxes(self, why: Mapping[int, str]) -> Self:
        """The sample without these boxes: row -> reason. Links follow, and `dropped` counts by reason.

        Example:
            >>> sample = Sample(Image.new("RGB", (8, 8)), "a dog", [[0, 0, 1, 1], [0, 0, 0.5, 0.5]])
            >>> sample = sample.drop_boxes({0: "too large"})
            >>> sample.boxes.tolist(), sample.dropped
            ([[0.0, 0.0, 0.5, 0.5]], {'too large': 1})
        """
        if not why:
            return self
        kept = [row for row in range(len(self.boxes)) if row not in why]
        return self.replace(
            boxes=self.boxes[kept],
            labels=None if self.labels is None else self.labels[kept],
            links=follow(self.links, kept),
            negatives=follow(self.negatives, kept),
            dropped=dict(Counter(self.dropped) + Counter(why.values())),
        )


def follow(links: Sequence[tuple[int, int]], kept: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Links of the boxes that were kept, with the rows that these have now."""
    new_row = {row: i for i, row in enumerate(kept)}
    return tuple((new_row[region], phrase) for region, phrase in links if region in new_row)


def _span(phrase: tuple[int, int] | SpanLike) -> tuple[int, int]:
    return (phrase[0], phrase[1]) if isinstance(phrase, tuple) else (phrase.start, phrase.end)


def _identity(given: int | str | None, key: str) -> int | None:
    if given is None:
        return image_identity(key) if key else None
    if isinstance(given, int) and -(2**63) <= given < 2**63:
        return given
    return image_identity(str(given))
