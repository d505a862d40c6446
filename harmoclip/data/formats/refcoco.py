"""RefCOCO, RefCOCO+ (Yu et al., arXiv 1608.00272) and RefCOCOg (Mao et al., arXiv 1511.02283)."""

from __future__ import annotations

import pickle
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from harmoclip.data.formats.files import first_existing, open_image, read_json, require, unit_boxes
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError

_LAYOUT = (
    "the layout of RefCOCO: refs(unc).p (RefCOCO, RefCOCO+), or refs(umd).p or refs(google).p (RefCOCOg), "
    "and instances.json"
)
_SPLITTERS = ("unc", "umd", "google")


class RefCoco(Dataset[Sample]):
    """One sample an expression, with every object of its picture; the expression is one phrase.

    Args:
        folder: `refcoco`, `refcoco+` or `refcocog`, as published.
        split: `train`, `val`, `test`, `testA` or `testB`; not every set has each.
        images: The folder of COCO's train2014 pictures, or of another year's: both namings are tried.
        by: Whose split: `unc`, `umd` or `google`; None takes the first in this order that the folder has.

    Raises:
        DataError: A file is missing or not what it should be, or there is no such split.

    Example:
        >>> sample = RefCoco("refcoco", "testA", images="train2014")[0]  # doctest: +SKIP
        >>> sample.caption, sample.links  # doctest: +SKIP
        ('man in the red shirt', ((2, 0),))
    """

    def __init__(
        self, folder: str | Path, split: str = "train", *, images: str | Path, by: str | None = None
    ) -> None:
        root, self._images = Path(folder), Path(images)
        names = [f"refs({name}).p" for name in ([by] if by else _SPLITTERS)]
        path = first_existing(root, *names, expected=_LAYOUT)
        refs = _read_pickle(path)
        content = read_json(root / "instances.json", "images", "annotations", "categories", expected=_LAYOUT)
        images_have, boxes_have = (
            ("id", "file_name", "width", "height"),
            ("id", "image_id", "category_id", "bbox"),
        )
        require(content["images"], *images_have, what="image", expected=_LAYOUT)
        require(content["annotations"], *boxes_have, what="box", expected=_LAYOUT)
        categories = sorted(content["categories"], key=lambda c: c["id"])
        self.class_names = tuple(c["name"] for c in categories)
        self._class = {c["id"]: row for row, c in enumerate(categories)}
        self._sizes = {image["id"]: image for image in content["images"]}
        self._objects: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for annotation in content["annotations"]:
            self._objects[annotation["image_id"]].append(annotation)
        self._rows = [
            (ref["image_id"], ref["ann_id"], sentence["sent"].strip())
            for ref in refs
            if ref["split"] == split
            for sentence in ref["sentences"]
            if sentence["sent"].strip()
        ]
        if not self._rows:
            known = ", ".join(sorted({ref["split"] for ref in refs}))
            raise DataError(f"{path} has no split {split!r}: expected one of {known}.")

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        image_id, target, sentence = self._rows[index]
        image, objects = self._sizes[image_id], self._objects[image_id]
        row = next((i for i, o in enumerate(objects) if o["id"] == target), None)
        if row is None:
            raise DataError(
                f"instances.json has no annotation {target} of image {image_id}: expected {_LAYOUT}."
            )
        return Sample(
            image=open_image(self._picture(image["file_name"])),
            caption=sentence,
            boxes=unit_boxes([o["bbox"] for o in objects], (image["width"], image["height"]), "xywh"),
            phrases=((0, len(sentence)),),
            links=((row, 0),),
            labels=torch.tensor([self._class[o["category_id"]] for o in objects]),
            key=str(image_id),
        )

    def _picture(self, name: str) -> Path:
        # COCO 2017 has the same pictures without the year in the name
        plain = re.sub(r"^COCO_(train|val)2014_", "", name)
        return first_existing(self._images, name, plain, expected="COCO's pictures")


class _Plain(pickle.Unpickler):
    """Reads lists, dictionaries, text and numbers, and nothing that runs code."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        raise pickle.UnpicklingError(f"it holds {module_name}.{global_name}")


def _read_pickle(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            refs = _Plain(file, encoding="utf-8").load()
    except (pickle.UnpicklingError, EOFError, UnicodeDecodeError, IndexError, KeyError) as error:
        raise DataError(f"{path} cannot be read ({error}): expected {_LAYOUT}.") from error
    keys = {"image_id", "ann_id", "split", "sentences"}
    if not isinstance(refs, list) or not all(isinstance(r, dict) and keys <= r.keys() for r in refs):
        raise DataError(f"{path} is no list of references: expected {_LAYOUT}.")
    return refs
