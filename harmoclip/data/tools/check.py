"""Read a whole data set and say what is in it and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field

import torch
from torch.utils.data import DataLoader, Dataset

from harmoclip.data.dataset import Indexed, SampleStream
from harmoclip.data.formats.boxes import place_boxes
from harmoclip.data.formats.shards import Shards
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError
from harmoclip.images import TURNED
from harmoclip.notebook import table
from harmoclip.segment import normalize_phrase

_MANY = 0.1
"""The share of a data set's boxes with faults that is no oversight of an annotator."""


@dataclass
class Facts:
    """What one sample adds to the report, without its image."""

    image: int | str
    boxes: list[tuple[float, ...]]
    faults: list[str]
    dropped: dict[str, int]
    phrases: list[str]
    linked_boxes: set[int]
    linked_phrases: set[int]
    links: int
    own_texts: int
    negatives: int
    captioned: bool
    more_captions: int
    turned: bool


@dataclass
class DataReport:
    """Counts over a data set.

    Attributes:
        samples: How many can be read.
        linked_phrases: Phrases with a box.
        phrases: Of all captions, and texts of their own; none that are there as negatives alone.
        own_texts: Phrases that are texts of their own, negatives too.
        links: Pairs of a box and a phrase.
        negatives: Pairs of a box and a phrase that is known to be wrong.
        more_captions: Captions beyond the first of a sample.
        without_caption: Samples without one.
        without_phrases: Samples that have none.
        turned: Samples whose image was turned upright, as its EXIF orientation says.
        dropped: How many boxes of all images were left out, by reason.
        unread: In how many rows each key stands that is not read, where the data set says it.
        frequent: How often each phrase is said.
    """

    samples: int = 0
    linked_phrases: int = 0
    phrases: int = 0
    own_texts: int = 0
    links: int = 0
    negatives: int = 0
    more_captions: int = 0
    without_caption: int = 0
    without_phrases: int = 0
    turned: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    frequent: Counter[str] = field(default_factory=Counter)
    _broken: dict[str, None] = field(default_factory=dict)
    _faults: dict[str, None] = field(default_factory=dict)
    _images: set[int | str] = field(default_factory=set)
    _boxes: set[int] = field(default_factory=set)
    _linked: set[int] = field(default_factory=set)

    @property
    def broken(self) -> list[str]:
        """What cannot be read or used, a message for each entry of a file, image or row."""
        return list(self._broken)

    @property
    def impossible(self) -> list[str]:
        """A message for each box that was left out, or leaves its image."""
        return list(self._faults)

    @property
    def remarks(self) -> list[str]:
        """Why nothing can be learned from the data set as it is, or what else looks wrong with all of it."""
        boxes, faults = len(self._boxes) + sum(self.dropped.values()), len(self._faults)
        odd = (
            f"{faults} of {boxes} boxes leave their image or have no area: are box_format, unit and the "
            "stated sizes right? Are these xywh, for instance?"
        )
        said = {
            "no sample can be read": not self.samples,
            "no sample has a box": self.samples > 0 and not self._boxes,
            "no box is linked to a phrase: there is nothing to align": bool(self._boxes) and not self.links,
            odd: faults > _MANY * boxes,
        }
        return [remark for remark, holds in said.items() if holds]

    @property
    def fine(self) -> bool:
        """Whether everything can be read, every box is possible, and there are boxes with phrases."""
        return not (self._broken or self._faults or self.remarks)

    def _repr_html_(self) -> str:
        return table("Report", {name.replace("_", " "): value for name, value in self.as_dict().items()})

    def add(self, facts: Facts) -> None:
        """Count one sample."""
        self.samples += 1
        self.phrases += len(facts.phrases)
        self.linked_phrases += len(facts.linked_phrases)
        self.own_texts += facts.own_texts
        self.links += facts.links
        self.negatives += facts.negatives
        self.more_captions += facts.more_captions
        self.without_caption += not facts.captioned
        self.without_phrases += not facts.phrases
        self.turned += facts.turned
        if not self._faults.keys() >= set(facts.faults):  # once an image, not once a caption
            self.dropped.update(facts.dropped)
            self._faults.update(dict.fromkeys(facts.faults))
        self.frequent.update(facts.phrases)
        self._images.add(facts.image)
        own = [hash((facts.image, box)) for box in facts.boxes]
        self._boxes.update(own)
        self._linked.update(own[row] for row in facts.linked_boxes)

    def add_broken(self, message: object) -> None:
        """Count what cannot be read, once an image."""
        self._broken[str(message)] = None

    def as_dict(self) -> dict[str, object]:
        """The counts and shares, as JSON can hold them."""
        return {
            "samples": self.samples,
            "images": len(self._images),
            "boxes": len(self._boxes),
            "phrases": self.phrases,
            "texts_of_their_own": self.own_texts,
            "links": self.links,
            "negatives": self.negatives,
            "more_captions": self.more_captions,
            "linked_boxes": len(self._linked) / max(len(self._boxes), 1),
            "linked_phrases": self.linked_phrases / max(self.phrases, 1),
            "without_caption": self.without_caption,
            "without_phrases": self.without_phrases,
            "turned": self.turned,
            "broken": len(self._broken),
            "impossible_boxes": len(self._faults),
            "dropped_boxes": dict(self.dropped),
            "unread_keys": dict(self.unread),
            "remarks": self.remarks,
            "fine": self.fine,
        }


def check_dataset(
    dataset: Indexed[Sample] | SampleStream,
    *,
    broken: Iterable[DataError] = (),
    workers: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> DataReport:
    """Read every sample of a data set.

    Args:
        dataset: Map-style, or a stream such as `Shards`.
        broken: What `on_broken` was told of when the data set was opened.
        workers: Processes that read a map-style one.
        progress: Called with how many samples were read.

    Example:
        >>> from harmoclip.data.scenes import Scenes
        >>> check_dataset(Scenes("train", 3)).as_dict()["samples"]
        3
    """
    report = DataReport(unread=Counter(getattr(dataset, "unread", {})))
    for error in broken:
        report.add_broken(error)
    for done, found in enumerate(_read_all(dataset, workers), 1):
        if isinstance(found, str):
            report.add_broken(found)
        else:
            report.add(found)
        progress(done)
    return report


def facts_of(sample: Sample) -> Facts:
    """What a report needs of a sample."""
    linked = {phrase for _, phrase in sample.links}
    wrong = {phrase for _, phrase in sample.negatives} - linked
    scaled = sample.boxes * torch.tensor(sample.size * 2)
    placed = place_boxes(scaled.tolist(), sample.size, where=f"sample {sample.key!r}")
    return Facts(
        image=sample.key if sample.image_id is None else sample.image_id,
        boxes=[tuple(box) for box in sample.boxes.tolist()],
        faults=[*sample.left_out, *sample.cut, *placed.left_out, *placed.cut],
        dropped=dict(Counter(sample.dropped) + Counter(placed.dropped)),
        phrases=[normalize_phrase(t) for row, t in enumerate(sample.phrase_texts) if row not in wrong],
        linked_boxes={region for region, _ in sample.links},
        linked_phrases=linked,
        links=len(sample.links),
        own_texts=sum(isinstance(phrase, str) for phrase in sample.phrases),
        negatives=len(sample.negatives),
        captioned=bool(sample.caption.strip()),
        more_captions=len(sample.more_captions),
        turned=not isinstance(sample.image, torch.Tensor) and bool(sample.image.info.get(TURNED)),
    )


def _read_all(dataset: Indexed[Sample] | SampleStream, workers: int) -> Iterable[Facts | str]:
    if isinstance(dataset, Indexed):
        return DataLoader(_FactsOf(dataset), batch_size=None, num_workers=workers)
    return _stream(dataset)


def _stream(samples: SampleStream) -> Iterator[Facts | str]:
    broken: list[DataError] = []
    if isinstance(samples, Shards):
        samples = copy(samples)  # the caller's goes on as it was
        samples.on_broken = broken.append
    try:
        for sample in samples:
            yield facts_of(sample)
            yield from map(str, broken)
            broken.clear()
    except DataError as error:  # a stream that cannot go on after it
        broken.append(error)
    yield from map(str, broken)


class _FactsOf(Dataset[Facts | str]):
    """Facts for a sample that can be read, a message for one that cannot."""

    def __init__(self, dataset: Indexed[Sample]) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Facts | str:
        try:
            return facts_of(self.dataset[index])
        except DataError as error:
            return str(error)
        except Exception as error:  # whatever a reader meets, the others are still read
            return f"sample {index}: {type(error).__name__}: {error}"
