"""Flickr30k Entities (Plummer et al., arXiv 1505.04870): sentences whose phrases have boxes."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from torch.utils.data import Dataset

from harmoclip.data.dataset import Shown
from harmoclip.data.formats.boxes import place_boxes
from harmoclip.data.formats.entries import Faults, OnBroken
from harmoclip.data.formats.files import check_split, first_existing
from harmoclip.data.formats.registry import register_format
from harmoclip.data.sample import Sample, image_identity
from harmoclip.errors import DataError
from harmoclip.images import open_image

_LAYOUT = (
    "the layout of Flickr30k Entities: Annotations/*.xml, Sentences/*.txt and train.txt, val.txt, test.txt, "
    "with the images in flickr30k-images/"
)
_MARKED = re.compile(r"\[/EN#(?P<entity>\d+)(?:/[^\s/\]]+)+ (?P<text>[^\]]*)\]")


class Sentence(NamedTuple):
    """A caption without its marks, and the entity that each marked phrase names."""

    caption: str
    phrases: tuple[tuple[int, int], ...]
    entities: tuple[str, ...]


class Flickr30kEntities(Shown, Dataset[Sample]):
    """One sample a sentence, with every box of its image.

    A phrase is linked to each box of its entity. Phrases for the scene, and those whose entity has no box,
    stay without a link; what the annotators marked as not visual is no phrase. Sentences that are listed in
    UNRELATED_CAPTIONS are left out.

    Args:
        folder: Holds `Annotations` and `Sentences` (or `annotations/` with both) and the split files.
        split: The split file's name without `.txt`.
        images: The folder of the images, where it is not `flickr30k-images` in `folder`.
        upright: Read images turned as their EXIF orientation says.
        on_broken: Called with an error for each image of the split that has no sentences or is listed twice,
            which is then left out; None raises them together.

    Raises:
        DataError: A file is missing or not what it should be.

    Example:
        >>> sample = Flickr30kEntities("flickr30k_entities", "val")[0]  # doctest: +SKIP
        >>> sample.phrase_texts, sample.links  # doctest: +SKIP
        (('Two young guys', 'shaggy hair'), ((0, 0), (2, 0), (1, 1)))
    """

    class_names: tuple[str, ...] = ()
    is_thing: tuple[bool, ...] = ()

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        images: str | Path | None = None,
        upright: bool = True,
        on_broken: OnBroken | None = None,
    ) -> None:
        root, faults = Path(folder), Faults(on_broken)
        self._boxes = first_existing(root, "Annotations", "annotations/Annotations", expected=_LAYOUT)
        check_split(split, [path.stem for path in root.glob("*.txt")], root)
        names = first_existing(root, f"{split}.txt", expected=_LAYOUT).read_text().split()
        self._images = (
            Path(images) if images else first_existing(root, "flickr30k-images", "images", expected=_LAYOUT)
        )
        self._upright = upright
        self._rows = _split_rows(names, self._boxes.parent / "Sentences", _unrelated(root), faults)
        faults.raise_any()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        name, sentence = self._rows[index]
        size, boxes, owners = _objects(self._boxes / f"{name}.xml")
        placed = place_boxes(boxes, size, where=f"image {name!r}")
        links = [
            (row, phrase)
            for phrase, entity in enumerate(sentence.entities)
            for row, entities in enumerate(owners)
            if entity in entities
        ]
        return Sample(
            image=open_image(self._images / f"{name}.jpg", upright=self._upright, stated=size),
            caption=sentence.caption,
            boxes=placed.boxes,
            phrases=sentence.phrases,
            links=placed.links(links),
            key=name,
            dropped=placed.dropped,
            left_out=placed.left_out,
            cut=placed.cut,
        )

    @cached_property
    def image_ids(self) -> list[int]:
        """The `image_id` of every sample, whose images are not opened."""
        return [image_identity(name) for name, _ in self._rows]


def _split_rows(
    names: list[str], folder: Path, unrelated: set[tuple[str, int]], faults: Faults
) -> list[tuple[str, Sentence]]:
    """The related sentences of each image that a split file lists."""
    rows: list[tuple[str, Sentence]] = []
    for name, times in Counter(names).items():
        path = folder / f"{name}.txt"
        if times > 1:
            faults.add(f"the split lists image {name!r} {times} times.")
        if not path.exists():
            faults.add(f"{path} does not exist, and the split lists image {name!r}: expected {_LAYOUT}.")
            continue
        lines = path.read_text(encoding="utf-8").split("\n")
        sentences = [parse_sentence(line.strip()) for line in lines if line.strip()]
        rows += [(name, s) for number, s in enumerate(sentences) if (name, number) not in unrelated]
    return rows


def parse_sentence(line: str) -> Sentence:
    """Read the marks `[/EN#283585/people Two young guys]` of a line.

    Example:
        >>> parse_sentence("[/EN#5/people A man] sees [/EN#0/notvisual it] .")
        Sentence(caption='A man sees it .', phrases=((0, 5),), entities=('5',))
    """
    caption, phrases, entities, end = "", [], [], 0
    for mark in _MARKED.finditer(line):
        caption += line[end : mark.start()]
        if mark["entity"] != "0" and mark["text"]:
            phrases.append((len(caption), len(caption) + len(mark["text"])))
            entities.append(mark["entity"])
        caption += mark["text"]
        end = mark.end()
    return Sentence(caption + line[end:], tuple(phrases), tuple(entities))


def _unrelated(root: Path) -> set[tuple[str, int]]:
    path = root / "UNRELATED_CAPTIONS"
    if not path.exists():
        return set()
    rows = [line.split() for line in path.read_text().splitlines()]
    return {(row[0], int(row[1])) for row in rows if len(row) == 2 and row[1].isdigit()}


def _objects(path: Path) -> tuple[tuple[float, float], list[list[float]], list[set[str]]]:
    """The image's size, its boxes in pixels, and the entities of each box."""
    try:
        root = ElementTree.parse(path).getroot()
        size = (float(root.findtext("size/width", "")), float(root.findtext("size/height", "")))
        found = [(o, box) for o in root.findall("object") if (box := o.find("bndbox")) is not None]
        # pixels count from 1 and both corners belong to the box
        boxes = [[float(box.findtext(side, "")) - before for side, before in _CORNERS] for _, box in found]
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): expected {_LAYOUT}.") from error
    return size, boxes, [{name.text or "" for name in o.findall("name")} for o, _ in found]


_CORNERS = (("xmin", 1), ("ymin", 1), ("xmax", 0), ("ymax", 0))


register_format("flickr30k", Flickr30kEntities, signs=("Sentences", "annotations/Sentences"))
