"""Detection sets without captions: the name of each box's class is its text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from harmoclip.data.formats.coco_json import choose_split, file_name, read_boxes, read_categories, splits_of
from harmoclip.data.formats.entries import ID, SIZE, Entry, Faults, Id, OnBroken, complete, labels_of
from harmoclip.data.formats.files import check_split, read_json
from harmoclip.data.formats.registry import register_format
from harmoclip.data.formats.texts import Described, DescribedImages, spoken
from harmoclip.errors import DataError, MissingDependencyError

_LAYOUT = (
    "COCO's JSON of boxes (COCO, LVIS, Objects365) with images=, a folder with annotations/instances_*.json, "
    "YOLO's data.yaml, or VOC's Annotations/ and JPEGImages/"
)
_IMAGE = {"id": ID, "width": SIZE, "height": SIZE}


class DetectionDataset(Protocol):
    """What supervision's `DetectionDataset` has."""

    classes: Sequence[str]
    image_paths: Sequence[str]
    annotations: Any


def from_supervision(dataset: DetectionDataset, *, upright: bool = True) -> DescribedImages:
    """A data set of the library supervision: one sample an image, the classes' names as texts of their own.

    Args:
        dataset: `supervision.DetectionDataset`, from whichever format it reads; its images are read from
            their files.
        upright: Read images turned as their EXIF orientation says.

    Example:
        >>> yolo = sv.DetectionDataset.from_yolo("images", "labels", "data.yaml")  # doctest: +SKIP
        >>> from_supervision(yolo)[0].phrases  # doctest: +SKIP
        ('traffic light', 'car')
    """
    names = tuple(map(spoken, dataset.classes))
    rows = [_row(str(path), dataset.annotations[path], names) for path in dataset.image_paths]
    return DescribedImages(rows, Path(), "the images of the data set", class_names=names, upright=upright)


def open_detection(
    path: str | Path,
    split: str | None = None,
    *,
    images: str | Path | None = None,
    upright: bool = True,
    on_broken: OnBroken | None = None,
) -> DescribedImages:
    """A detection set: one sample an image, without a caption, the classes' names as texts of their own.

    Args:
        path: A file of COCO's JSON, as COCO, LVIS and Objects365 have it; or a folder with
            `annotations/instances_{split}.json` and `{split}/`, with `data.yaml` and YOLO's `labels/`, or
            with VOC's `Annotations/` and `JPEGImages/`.
        split: For a folder of COCO which of its files, by default the only one; for YOLO a key of
            `data.yaml`, for VOC a file of `ImageSets/Main/`; by default `train` and every image.
        images: The folder that the JSON's names of images start from; by default the folder of the file, or
            `{split}/` of COCO's folder.
        upright: Read images turned as their EXIF orientation says.
        on_broken: Called with an error for each entry of a JSON file that cannot be used, which is then left
            out; None raises them together.

    Raises:
        DataError: There is no such set, or it is not what it should be.
        MissingDependencyError: supervision, which reads YOLO and VOC, is not installed.
    """
    path = Path(path)
    if splits_of(path, "instances"):
        split = choose_split(path, split, _LAYOUT, kind="instances")
        path, images = path / "annotations" / f"instances_{split}.json", images or path / split
    if path.suffix == ".json":
        return _coco(path, Path(images or path.parent), upright, Faults(on_broken))
    readers = {"data.yaml": _yolo, "Annotations": _voc}
    read = next((reader for name, reader in readers.items() if (path / name).exists()), None)
    if read is None:
        raise DataError(f"{path} has no {' or '.join(readers)}: expected {_LAYOUT}.")
    try:
        import supervision
    except ImportError as error:
        raise MissingDependencyError(
            'YOLO and VOC need supervision: pip install "harmoclip[data]"'
        ) from error
    try:
        found = read(supervision.DetectionDataset, path, split)
    except (ValueError, KeyError, IndexError, OSError, SyntaxError) as error:
        raise DataError(f"supervision cannot read {path} ({error!r:.200}): expected {_LAYOUT}.") from error
    return from_supervision(found, upright=upright)


def _coco(path: Path, images: Path, upright: bool, faults: Faults) -> DescribedImages:
    """COCO's JSON; an image's file is its `file_name`, or for LVIS the end of its `coco_url`."""
    content = read_json(path, "images", "annotations", "categories", expected=_LAYOUT)
    listed = complete(content["images"], _IMAGE, what="image", file=path.name, faults=faults)
    entries = {entry["id"]: entry for _, entry in listed}
    categories = read_categories(content["categories"], lambda c: (spoken(c["name"]),), path.name, faults)
    boxes = read_boxes(content["annotations"], entries, categories, path.name, faults)
    faults.raise_any()
    label = labels_of(categories)
    names = tuple(categories[key].names[0] for key in label)
    rows = [_coco_row(entry, boxes.get(key, []), label, names) for key, entry in entries.items()]
    return DescribedImages(rows, images, _LAYOUT, box_format="xywh", class_names=names, upright=upright)


def _coco_row(image: Entry, boxes: list[Entry], label: dict[Id, int], names: Sequence[str]) -> Described:
    file = file_name(image)
    labels = [label[box["category_id"]] for box in boxes]
    return Described(
        files=(file,),
        key=file,
        boxes=[box["bbox"] for box in boxes],
        right=[[names[i]] for i in labels],
        labels=labels,
        size=(image["width"], image["height"]),
        names=[f"of annotation {box.get('id', row)!r}" for row, box in enumerate(boxes)],
    )


def _row(path: str, found: Any, names: Sequence[str]) -> Described:
    labels = [int(i) for i in (() if found.class_id is None else found.class_id)]
    if unknown := sorted({i for i in labels if not 0 <= i < len(names)}):
        raise DataError(f"{path}: a box has the class {unknown[0]}, and there are {len(names)} class names.")
    return Described(
        files=(path,),
        key=path,
        boxes=found.xyxy.tolist(),
        right=[[names[i]] for i in labels],
        labels=labels,
    )


def _yolo(reader: Any, root: Path, split: str | None) -> DetectionDataset:
    import yaml

    content = yaml.safe_load((root / "data.yaml").read_text(encoding="utf-8"))
    chosen = split or "train"
    check_split(chosen, [key for key in ("train", "val", "test") if content.get(key)], root / "data.yaml")
    folder = _folder(root, content.get("path"), str(content[chosen]))
    parts = list(folder.parts)
    parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    read: DetectionDataset = reader.from_yolo(str(folder), str(Path(*parts)), str(root / "data.yaml"))
    return read


def _folder(root: Path, base: str | None, images: str) -> Path:
    """The images' folder of a `data.yaml`, whose `path` may be of another machine."""
    tried = [root / (base or "") / images, root / images, root / images.removeprefix("../")]
    return next((folder for folder in tried if folder.is_dir()), tried[1])


def _voc(reader: Any, root: Path, split: str | None) -> DetectionDataset:
    read: DetectionDataset = reader.from_pascal_voc(str(root / "JPEGImages"), str(root / "Annotations"))
    if split is None:
        return read
    lists = root / "ImageSets" / "Main"
    check_split(split, [file.stem for file in lists.glob("*.txt")], lists)
    listed = {line.split()[0] for line in (lists / f"{split}.txt").read_text().splitlines() if line.strip()}
    kept = [image for image in read.image_paths if Path(image).stem in listed]
    found: DetectionDataset = reader(list(read.classes), kept, {key: read.annotations[key] for key in kept})
    return found


register_format("detection", open_detection, signs=("data.yaml", "Annotations/*.xml"))
