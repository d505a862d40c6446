"""What a data set is to everything that reads, trains on or evaluates one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence, Sized
from typing import Protocol, TypeVar, runtime_checkable

from torch import Tensor

from harmoclip.data.sample import Sample
from harmoclip.errors import DataError
from harmoclip.notebook import several, table

T_co = TypeVar("T_co", covariant=True)


@runtime_checkable
class Indexed(Protocol[T_co]):
    """What has a length and items by number."""

    def __len__(self) -> int:
        """How many items."""

    def __getitem__(self, index: int, /) -> T_co:
        """One item."""


class Shown:
    """A data set or a stream that shows itself in a notebook: its size, its classes, its first sample."""

    def _repr_html_(self) -> str:
        rows: dict[str, object] = {"samples": len(self)} if isinstance(self, Sized) else {}
        if names := getattr(self, "class_names", ()):
            rows["classes"] = several(names)
        try:
            first = next(iter(self), None)  # type: ignore[call-overload]
        except DataError as error:
            return table(type(self).__name__, {**rows, "first sample": error})
        return table(type(self).__name__, rows) + (first._repr_html_() if first else "")


@runtime_checkable
class SampleDataset(Protocol):
    """Samples by number, and the classes that their labels count.

    Every map-style format is one; so is a class of your own with these four names.
    """

    @property
    def class_names(self) -> Sequence[str]:
        """The name of each class, by label; empty where boxes have no class."""

    @property
    def is_thing(self) -> Sequence[bool]:
        """For each class whether it is of things, such as a dog, rather than of stuff, such as grass."""

    def __len__(self) -> int:
        """How many samples."""

    def __getitem__(self, index: int, /) -> Sample:
        """One sample."""


@runtime_checkable
class MaskedDataset(Indexed[Sample], Protocol):
    """Samples whose boxes have an exact shape, too."""

    def masks(self, index: int) -> Tensor:
        """`[R, H, W]` bool, in pixels of the original image, a mask for each box of a sample."""


@runtime_checkable
class IdentifiedDataset(Protocol):
    """A data set that says which samples share an image, without opening any."""

    @property
    def image_ids(self) -> Sequence[int]:
        """The `image_id` of every sample."""

    def __len__(self) -> int:
        """How many samples."""


def rows_of_images(dataset: IdentifiedDataset) -> dict[int, list[int]]:
    """The rows of each image, in the order in which images come first."""
    rows: dict[int, list[int]] = defaultdict(list)
    for row, image in enumerate(dataset.image_ids):
        rows[image].append(row)
    return dict(rows)


class SampleStream(Protocol):
    """Samples one after the other, such as `Shards`."""

    def __iter__(self) -> Iterator[Sample]:
        """Each sample."""
