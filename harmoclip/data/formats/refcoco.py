"""RefCOCO, RefCOCO+ (Yu et al., arXiv 1608.00272) and RefCOCOg (Mao et al., arXiv 1511.02283)."""

from __future__ import annotations

import pickle
import re
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.data import Dataset

from harmoclip.data.formats.boxes import place_boxes
from harmoclip.data.formats.coco_json import read_boxes, read_categories, read_images
from harmoclip.data.formats.entries import (
    ID,
    LIST,
    TEXT,
    Entry,
    Faults,
    Id,
    Kind,
    OnBroken,
    complete,
    not_listed,
)
from harmoclip.data.formats.files import check_split, first_existing, read_json
from harmoclip.data.formats.registry import register_format
from harmoclip.data.sample import Sample, image_identity
from harmoclip.errors import DataError, unknown_name
from harmoclip.images import open_image

_LAYOUT = (
    "the layout of RefCOCO: refs(unc).p (RefCOCO, RefCOCO+), or refs(umd).p or refs(google).p (RefCOCOg), "
    "and instances.json"
)
_SPLITTERS = ("unc", "umd", "google")
_STRING = Kind(lambda value: isinstance(value, str), "text")
_REFERENCE = {"image_id": ID, "ann_id": ID, "split": TEXT, "sentences": LIST}


class _Row(NamedTuple):
    image_id: Id
    target: Id
    sentence: str


class RefCoco(Dataset[Sample]):
    """One sample an expression, with every object of its image; the expression is one phrase.

    Args:
        folder: `refcoco`, `refcoco+` or `refcocog`, as published.
        split: `train`, `val`, `test`, `testA` or `testB`; not every set has each.
        images: The folder of COCO's train2014 images, or of another year's: both namings are tried.
        by: Whose split: `unc`, `umd` or `google`; None takes the first in this order that the folder has.
        upright: Read images turned as their EXIF orientation says.
        on_broken: Called with an error for each entry of the files that cannot be used, which is then left
            out; None raises them together.

    Raises:
        DataError: A file is missing or not what it should be, there is no such split, or entries refer to
            nothing.

    Example:
        >>> sample = RefCoco("refcoco", "testA", images="train2014")[0]  # doctest: +SKIP
        >>> sample.caption, sample.links  # doctest: +SKIP
        ('man in the red shirt', ((2, 0),))
    """

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        images: str | Path,
        by: str | None = None,
        upright: bool = True,
        on_broken: OnBroken | None = None,
    ) -> None:
        root, faults = Path(folder), Faults(on_broken)
        self._images, self._upright = Path(images), upright
        if by is not None and by not in _SPLITTERS:
            raise DataError(unknown_name("by is", by, _SPLITTERS))
        names = [f"refs({name}).p" for name in ([by] if by else _SPLITTERS)]
        path = first_existing(root, *names, expected=_LAYOUT)
        content = read_json(root / "instances.json", "images", "annotations", "categories", expected=_LAYOUT)
        self._sizes = read_images(content["images"], "instances.json", faults)
        categories = read_categories(content["categories"], lambda c: (c["name"],), "instances.json", faults)
        order = sorted(categories, key=lambda key: (isinstance(key, str), key))
        self.class_names = tuple(categories[key].names[0] for key in order)
        self.is_thing = (True,) * len(order)
        self._class = {key: row for row, key in enumerate(order)}
        objects = read_boxes(content["annotations"], self._sizes, categories, "instances.json", faults)
        self._objects = defaultdict(list, objects)
        self._rows = self._expressions(path, split, faults)
        faults.raise_any()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        image_id, target, sentence = self._rows[index]
        image, objects = self._sizes[image_id], self._objects[image_id]
        size = (image["width"], image["height"])
        placed = place_boxes(
            [o["bbox"] for o in objects],
            size,
            "xywh",
            where=f"image {image['file_name']!r}",
            names=[f"of annotation {o.get('id')!r}" for o in objects],
        )
        row = next(i for i, o in enumerate(objects) if o.get("id") == target)
        labels = [self._class[objects[row]["category_id"]] for row in placed.rows]
        return Sample(
            image=open_image(self._file(image["file_name"]), upright=self._upright, stated=size),
            caption=sentence,
            boxes=placed.boxes,
            phrases=((0, len(sentence)),),
            links=placed.links([(row, 0)]),
            labels=torch.tensor(labels, dtype=torch.int64),
            key=str(image_id),
            dropped=placed.dropped,
            left_out=placed.left_out,
            cut=placed.cut,
        )

    @cached_property
    def image_ids(self) -> list[int]:
        """The `image_id` of every sample, whose images are not opened."""
        return [image_identity(str(row.image_id)) for row in self._rows]

    def _expressions(self, path: Path, split: str, faults: Faults) -> list[_Row]:
        """The expressions of a split whose object is there."""
        rows, splits = [], set()
        for name, ref in complete(
            _read_pickle(path), _REFERENCE, what="reference", file=path.name, faults=faults, key="ref_id"
        ):
            splits.add(ref["split"])
            if ref["split"] == split and self._is_listed(name, ref, faults):
                kinds = {"sent": _STRING}
                said = complete(ref["sentences"], kinds, what="sentence", file=name, faults=faults, key=None)
                rows += [_Row(ref["image_id"], ref["ann_id"], s["sent"].strip()) for _, s in said]
        check_split(split, splits, path)
        return [row for row in rows if row.sentence]

    def _is_listed(self, name: str, ref: Entry, faults: Faults) -> bool:
        """Whether a reference's image and object are in instances.json."""
        key, target = ref["image_id"], ref["ann_id"]
        if key not in self._sizes:
            faults.add(f"{name} has the image_id {not_listed(key, self._sizes, 'image')}")
            return False
        own = {o["id"] for o in self._objects[key] if "id" in o}
        if target not in own:
            faults.add(
                f"{name} has the ann_id {not_listed(target, own, 'annotation')} (instances.json has no "
                f"annotation {target!r} of image {key!r}.)"
            )
        return target in own

    def _file(self, name: str) -> Path:
        # COCO 2017 has the same images without the year in the name
        plain = re.sub(r"^COCO_(train|val)2014_", "", name)
        return first_existing(self._images, name, plain, expected="COCO's images")


class _Plain(pickle.Unpickler):
    """Reads lists, dictionaries, text and numbers, and nothing that runs code."""

    def find_class(self, module_name: str, global_name: str, /) -> object:
        """Refuse every global."""
        raise pickle.UnpicklingError(f"it holds {module_name}.{global_name}")


def _read_pickle(path: Path) -> list[object]:
    try:
        with path.open("rb") as file:
            refs = _Plain(file, encoding="utf-8").load()
    except Exception as error:  # a broken pickle raises whatever its bytes make it do
        raise DataError(f"{path} cannot be read ({error}): expected {_LAYOUT}.") from error
    if not isinstance(refs, list):
        raise DataError(f"{path} is no list of references: expected {_LAYOUT}.")
    return refs


register_format("refcoco", RefCoco, signs=("refs(*).p",))
