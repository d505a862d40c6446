"""FG-OVD (Bianchi et al., arXiv 2311.17518): the right caption of a box among ten that are nearly right."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from harmoclip.data import Sample
from harmoclip.data.formats.boxes import unit_boxes
from harmoclip.data.formats.coco_json import BOX_OF_IMAGE, IMAGE
from harmoclip.data.formats.entries import ID, LIST, TEXT, Entry, Id
from harmoclip.data.formats.files import first_existing, read_json
from harmoclip.errors import DataError, InputError
from harmoclip.evaluate.choices import choices
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metrics
from harmoclip.evaluate.records import checked_entries
from harmoclip.evaluate.regions import Regions
from harmoclip.evaluate.task import Request, Task
from harmoclip.images import open_image

LEVELS = {
    "hard": "1_attributes",
    "medium": "2_attributes",
    "easy": "3_attributes",
    "trivial": "shuffle_negatives",
    "color": "color",
    "material": "material",
    "pattern": "pattern",
    "transparency": "transparency",
}
_LAYOUT = "FG-OVD's benchmarks: 1_attributes.json and others, with COCO's images in val2017/"


class FineGrainedBoxes:
    """One sample an image; its captions are the categories that a box names as right and as wrong.

    Args:
        path: One of the benchmark's files.
        images: The folder that the file names start from, or the one that has the images.

    Raises:
        DataError: The file is missing or not what it should be.
    """

    def __init__(self, path: Path, images: Path) -> None:
        content = read_json(path, "images", "annotations", "categories", expected=_LAYOUT)
        content["images"] = checked_entries(content["images"], IMAGE, what="image", path=path, key="id")
        kinds = {**BOX_OF_IMAGE, "id": ID, "neg_category_ids": LIST}
        content["annotations"] = checked_entries(content["annotations"], kinds, what="annotation", path=path)
        captions = checked_entries(
            content["categories"], {"id": ID, "name": TEXT}, what="category", path=path
        )
        self._path, self._images = path, images
        self._captions = {category["id"]: category["name"] for category in captions}
        self._rows = _rows(path, content)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        image, boxes = self._rows[index]
        size = (image["width"], image["height"])
        return Sample(
            image=open_image(_image(self._images, image["file_name"])),
            caption="",
            boxes=unit_boxes([box["bbox"] for box in boxes], size, "xywh", image["file_name"]),
            key=image["file_name"],
        )

    def annotation(self, index: int, row: int) -> int:
        """The id of a box in the file."""
        return int(self._rows[index][1][row]["id"])

    def texts(self, index: int, row: int) -> list[str]:
        """The captions that a box chooses from, the right one first."""
        box = self._rows[index][1][row]
        ids = [box["category_id"], *box["neg_category_ids"]]
        if missing := [number for number in ids if number not in self._captions]:
            raise DataError(
                f"{self._path}: annotation {box['id']!r} names the category {missing[0]!r}, "
                "which is not listed."
            )
        return [self._captions[number] for number in ids]


def fg_ovd(encoder: Encoder, data: FineGrainedBoxes, regions: Regions = "dense") -> Metrics:
    """How often a box is most similar to its right caption.

    Args:
        encoder: The model.
        data: One of the benchmark's sets.
        regions: How a box becomes a vector.
    """
    found = encoder.region_vectors(data, regions)
    places = zip(found.sample_index.tolist(), found.rows.tolist(), strict=True)
    return choices(encoder, found.vectors, [data.texts(*place) for place in places], "fg_ovd", found.left_out)


def tasks(request: Request) -> list[Task]:
    """A task for each of the benchmark's files that is there; a split names one, such as `hard`.

    Raises:
        DataError: None is there.
        InputError: The benchmark has no such split.
    """
    if request.split is not None and request.split not in LEVELS:
        raise InputError(f"FG-OVD has no split {request.split!r}: expected one of {', '.join(LEVELS)}.")
    levels = LEVELS if request.split is None else {request.split: LEVELS[request.split]}
    root = request.path
    files = {level: root / f"{name}.json" for level, name in levels.items()}
    paths = {level: path for level, path in files.items() if path.exists()}
    if not paths:
        names = ", ".join(f"{name}.json" for name in levels.values())
        raise DataError(f"{root} has none of {names}: expected {_LAYOUT}.")
    images = request.images or root
    return [_task(level, FineGrainedBoxes(path, images), request) for level, path in paths.items()]


def _task(level: str, data: FineGrainedBoxes, request: Request) -> Task:
    name = f"FG-OVD {level}, {request.regions}"
    return Task(name, "regions", lambda encoder: fg_ovd(encoder, data, request.regions))


def _rows(path: Path, content: Entry) -> list[tuple[Entry, list[Entry]]]:
    """Each image with its boxes."""
    boxes: dict[Id, list[Entry]] = defaultdict(list)
    for box in content["annotations"]:
        boxes[box["image_id"]].append(box)
    if unknown := boxes.keys() - {image["id"] for image in content["images"]}:
        raise DataError(
            f"{path}: an annotation is of the image {next(iter(unknown))!r}, which is not listed."
        )
    return [(image, boxes[image["id"]]) for image in content["images"] if boxes[image["id"]]]


def _image(folder: Path, name: str) -> Path:
    """The file, whether or not the folder is the one that the annotations name."""
    return first_existing(folder, name, Path(name).name, expected="COCO's images")
