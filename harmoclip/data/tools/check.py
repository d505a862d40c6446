"""Read a whole data set and say what is in it and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from harmoclip.data.formats.shards import Shards
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError
from harmoclip.segment import normalize_phrase

_ORIENTATION = 0x0112
"""The EXIF tag of a camera that was turned; 1 is upright."""
_EDGE = 1.0
"""Pixels by which annotators' rounding may take a box out of the picture."""


@dataclass
class Facts:
    """What one sample adds to the report, without its picture."""

    key: str
    boxes: list[tuple[float, ...]]
    impossible: list[str]
    phrases: list[str]
    linked_boxes: set[int]
    linked_phrases: set[int]
    links: int
    turned: bool


@dataclass
class Report:
    """Counts over a data set.

    Attributes:
        samples: How many can be read.
        pictures: Distinct keys.
        boxes: Distinct boxes of all pictures.
        linked_boxes: Those that at least one caption names.
        phrases: Of all captions.
        linked_phrases: Those with a box.
        links: Pairs of both.
        without_phrases: Samples whose caption has none.
        turned: Samples whose picture says that the camera was turned. Boxes belong to the picture as stored.
        broken: What cannot be read, a message each.
        impossible: Boxes without an area or outside the picture, a message each.
        frequent: How often each phrase is said.
    """

    samples: int = 0
    linked_phrases: int = 0
    phrases: int = 0
    links: int = 0
    without_phrases: int = 0
    turned: int = 0
    broken: list[str] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)
    frequent: Counter[str] = field(default_factory=Counter)
    _keys: set[str] = field(default_factory=set)
    _boxes: set[int] = field(default_factory=set)
    _linked: set[int] = field(default_factory=set)

    @property
    def fine(self) -> bool:
        """Whether everything can be read and every box is possible."""
        return self.samples > 0 and not self.broken and not self.impossible

    def add(self, facts: Facts) -> None:
        """Count one sample."""
        self.samples += 1
        self.phrases += len(facts.phrases)
        self.linked_phrases += len(facts.linked_phrases)
        self.links += facts.links
        self.without_phrases += not facts.phrases
        self.turned += facts.turned
        if not facts.boxes or hash((facts.key, facts.boxes[0])) not in self._boxes:
            self.impossible += facts.impossible  # once a picture, not once a caption
        self.frequent.update(facts.phrases)
        self._keys.add(facts.key)
        own = [hash((facts.key, box)) for box in facts.boxes]
        self._boxes.update(own)
        self._linked.update(own[row] for row in facts.linked_boxes)

    def as_dict(self) -> dict[str, Any]:
        """The counts and shares, as JSON can hold them."""
        return {
            "samples": self.samples,
            "pictures": len(self._keys),
            "boxes": len(self._boxes),
            "phrases": self.phrases,
            "links": self.links,
            "linked_boxes": len(self._linked) / max(len(self._boxes), 1),
            "linked_phrases": self.linked_phrases / max(self.phrases, 1),
            "without_phrases": self.without_phrases,
            "turned": self.turned,
            "broken": len(self.broken),
            "impossible_boxes": len(self.impossible),
            "fine": self.fine,
        }


def check_dataset(
    dataset: Any, *, workers: int = 0, progress: Callable[[int], None] = lambda done: None
) -> Report:
    """Read every sample of a data set.

    Args:
        dataset: Map-style, or `Shards`.
        workers: Processes that read a map-style one.
        progress: Called with how many samples were read.

    Example:
        >>> from harmoclip.data.scenes import Scenes
        >>> check_dataset(Scenes("train", 3)).as_dict()["samples"]
        3
    """
    report = Report()
    for done, found in enumerate(_read_all(dataset, workers), 1):
        if isinstance(found, str):
            report.broken.append(found)
        else:
            report.add(found)
        progress(done)
    return report


def facts_of(sample: Sample) -> Facts:
    """What a report needs of a sample."""
    return Facts(
        key=sample.key,
        boxes=[tuple(box) for box in sample.boxes.tolist()],
        impossible=list(_impossible(sample)),
        phrases=[normalize_phrase(text) for text in sample.phrase_texts],
        linked_boxes={region for region, _ in sample.links},
        linked_phrases={phrase for _, phrase in sample.links},
        links=len(sample.links),
        turned=not isinstance(sample.image, torch.Tensor)
        and sample.image.getexif().get(_ORIENTATION, 1) != 1,
    )


def _impossible(sample: Sample) -> Iterator[str]:
    edge = sample.boxes.new_tensor([_EDGE / side for side in sample.size] * 2)
    for row, box in enumerate(sample.boxes):
        x1, y1, x2, y2 = box.tolist()
        inside = bool(((box >= -edge) & (box <= 1 + edge)).all())  # False for NaN
        if not (inside and x1 < x2 and y1 < y2):
            what = "is not inside the picture" if x1 < x2 and y1 < y2 else "has no area"
            yield f"sample {sample.key!r}: box {row} {what}: {[round(v, 4) for v in (x1, y1, x2, y2)]}."


def _read_all(dataset: Any, workers: int) -> Iterable[Facts | str]:
    if isinstance(dataset, Shards):
        return _stream(dataset)
    return DataLoader(_Facts(dataset), batch_size=None, num_workers=workers)


def _stream(shards: Shards) -> Iterator[Facts | str]:
    broken: list[DataError] = []
    shards = copy(shards)  # the caller's goes on as it was
    shards.on_broken = broken.append
    for sample in shards:
        yield facts_of(sample)
        yield from map(str, broken)
        broken.clear()
    yield from map(str, broken)


class _Facts(Dataset[Facts | str]):
    """Facts for a sample that can be read, a message for one that cannot."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Facts | str:
        try:
            return facts_of(self.dataset[index])
        except DataError as error:
            return str(error)
