"""RefCOCO, RefCOCO+ (Yu et al., arXiv 1608.00272) and RefCOCOg (Mao et al., arXiv 1511.02283)."""

from __future__ import annotations

import pickle
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from harmoclip.data.formats.coco_json import read_boxes, read_categories, read_images
from harmoclip.data.formats.entries import (
    ID,
    LIST,
    STRING,
    TEXT,
    Entry,
    Faults,
    Id,
    OnBroken,
    complete,
    labels_of,
    not_listed,
)
from harmoclip.data.formats.files import check_split, first_existing, read_json
from harmoclip.data.formats.registry import register_format
from harmoclip.data.formats.texts import Described, DescribedImages
from harmoclip.errors import DataError, unknown_name

_LAYOUT = (
    "the layout of RefCOCO: refs(unc).p (RefCOCO, RefCOCO+), or refs(umd).p or refs(google).p (RefCOCOg), "
    "and instances.json"
)
_SPLITTERS = ("unc", "umd", "google")
_REFERENCE = {"image_id": ID, "ann_id": ID, "split": TEXT, "sentences": LIST}


class RefCoco(DescribedImages):
    """One sample an image, with every object; expressions are texts of their own, several an object.

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
        >>> sample.phrases, sample.links  # doctest: +SKIP
        (('man in the red shirt', 'the man'), ((2, 0), (2, 1)))
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
        if by is not None and by not in _SPLITTERS:
            raise DataError(unknown_name("by is", by, _SPLITTERS))
        names = [f"refs({name}).p" for name in ([by] if by else _SPLITTERS)]
        path = first_existing(root, *names, expected=_LAYOUT)
        content = read_json(root / "instances.json", "images", "annotations", "categories", expected=_LAYOUT)
        self._sizes = read_images(content["images"], "instances.json", faults)
        categories = read_categories(content["categories"], lambda c: (c["name"],), "instances.json", faults)
        self._class = labels_of(categories)
        objects = read_boxes(content["annotations"], self._sizes, categories, "instances.json", faults)
        self._objects = defaultdict(list, objects)
        rows = [self._row(key, said) for key, said in self._expressions(path, split, faults).items()]
        faults.raise_any()
        super().__init__(
            rows,
            Path(images),
            "COCO's images",
            box_format="xywh",
            once=False,  # each is asked in an evaluation
            class_names=[categories[key].names[0] for key in self._class],
            upright=upright,
        )

    def _expressions(self, path: Path, split: str, faults: Faults) -> dict[Id, dict[Id, list[str]]]:
        """The expressions of a split by image and object, where these are there."""
        said: dict[Id, dict[Id, list[str]]] = {}
        splits = set()
        for name, ref in complete(
            _read_pickle(path), _REFERENCE, what="reference", file=path.name, faults=faults, key="ref_id"
        ):
            splits.add(ref["split"])
            if ref["split"] == split and self._is_listed(name, ref, faults):
                kinds = {"sent": STRING}
                sentences = complete(
                    ref["sentences"], kinds, what="sentence", file=name, faults=faults, key=None
                )
                words = [s["sent"].strip() for _, s in sentences if s["sent"].strip()]
                if words:
                    said.setdefault(ref["image_id"], {}).setdefault(ref["ann_id"], []).extend(words)
        check_split(split, splits, path)
        return said

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

    def _row(self, image_id: Id, said: Mapping[Id, list[str]]) -> Described:
        """All objects of an image, with what was said of each."""
        image, objects = self._sizes[image_id], self._objects[image_id]
        name = image["file_name"]
        return Described(
            # COCO 2017 has the same images without the year in the name
            files=(name, re.sub(r"^COCO_(train|val)2014_", "", name)),
            key=str(image_id),
            boxes=[o["bbox"] for o in objects],
            right=[said.get(o.get("id", ""), []) for o in objects],
            labels=[self._class[o["category_id"]] for o in objects],
            size=(image["width"], image["height"]),
            names=[f"of annotation {o.get('id')!r}" for o in objects],
        )


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
