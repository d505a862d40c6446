"""Flickr30k Entities (Plummer et al., arXiv 1505.04870): sentences whose phrases have boxes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from torch.utils.data import Dataset

from harmoclip.data.formats.files import first_existing, open_image, unit_boxes
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError

_LAYOUT = (
    "the layout of Flickr30k Entities: Annotations/*.xml, Sentences/*.txt and train.txt, val.txt, test.txt, "
    "with the pictures in flickr30k-images/"
)
_MARKED = re.compile(r"\[/EN#(?P<entity>\d+)(?:/[^\s/\]]+)+ (?P<text>[^\]]*)\]")


class Sentence(NamedTuple):
    """A caption without its marks, and the entity that each marked phrase names."""

    caption: str
    phrases: tuple[tuple[int, int], ...]
    entities: tuple[str, ...]


class Flickr30kEntities(Dataset[Sample]):
    """One sample a sentence, with every box of its picture.

    A phrase is linked to each box of its entity. Phrases for the scene, and those whose entity has no box,
    stay without a link; what the annotators marked as not visual is no phrase. Sentences that are listed in
    UNRELATED_CAPTIONS are left out.

    Args:
        folder: Holds `Annotations` and `Sentences` (or `annotations/` with both) and the split files.
        split: The split file's name without `.txt`.
        images: The folder of the pictures, where it is not `flickr30k-images` in `folder`.

    Raises:
        DataError: A file is missing or not what it should be.

    Example:
        >>> sample = Flickr30kEntities("flickr30k_entities", "val")[0]  # doctest: +SKIP
        >>> sample.phrase_texts, sample.links  # doctest: +SKIP
        (('Two young guys', 'shaggy hair'), ((0, 0), (2, 0), (1, 1)))
    """

    def __init__(self, folder: str | Path, split: str = "train", *, images: str | Path | None = None) -> None:
        root = Path(folder)
        self._boxes = first_existing(root, "Annotations", "annotations/Annotations", expected=_LAYOUT)
        sentences = self._boxes.parent / "Sentences"
        names = first_existing(root, f"{split}.txt", expected=_LAYOUT).read_text().split()
        self._images = (
            Path(images) if images else first_existing(root, "flickr30k-images", "images", expected=_LAYOUT)
        )
        unrelated = _unrelated(root)
        self._rows = [
            (name, sentence)
            for name in names
            for number, sentence in enumerate(_sentences(sentences / f"{name}.txt"))
            if (name, number) not in unrelated
        ]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        name, sentence = self._rows[index]
        size, boxes, owners = _objects(self._boxes / f"{name}.xml")
        return Sample(
            image=open_image(self._images / f"{name}.jpg"),
            caption=sentence.caption,
            boxes=unit_boxes(boxes, size, name=name),
            phrases=sentence.phrases,
            links=tuple(
                (row, phrase)
                for phrase, entity in enumerate(sentence.entities)
                for row, entities in enumerate(owners)
                if entity in entities
            ),
            key=name,
        )


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


def _sentences(path: Path) -> list[Sentence]:
    if not path.exists():
        raise DataError(f"{path} does not exist: expected {_LAYOUT}.")
    lines = path.read_text(encoding="utf-8").split("\n")
    return [parse_sentence(line.strip()) for line in lines if line.strip()]


def _unrelated(root: Path) -> set[tuple[str, int]]:
    path = root / "UNRELATED_CAPTIONS"
    if not path.exists():
        return set()
    rows = [line.split() for line in path.read_text().splitlines()]
    return {(row[0], int(row[1])) for row in rows if len(row) == 2 and row[1].isdigit()}


def _objects(path: Path) -> tuple[tuple[float, float], list[list[float]], list[set[str]]]:
    """The picture's size, its boxes in pixels, and the entities of each box."""
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
