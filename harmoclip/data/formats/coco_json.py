"""The parts of COCO's JSON (Lin et al., arXiv 1405.0312): images, captions, boxes and categories by id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path

from harmoclip.data.formats.captioned import Category
from harmoclip.data.formats.entries import BOX, ID, SIZE, TEXT, Entry, Faults, Id, complete, not_listed, twin
from harmoclip.data.formats.files import check_split
from harmoclip.errors import DataError

IMAGE = {"id": ID, "file_name": TEXT, "width": SIZE, "height": SIZE}
CAPTION = {"image_id": ID, "caption": TEXT}
BOX_OF_IMAGE = {"image_id": ID, "category_id": ID, "bbox": BOX}


def choose_split(root: Path, split: str | None, layout: str, *, kind: str = "captions") -> str:
    """The split that is asked for, or the only one that a folder has captions of.

    Args:
        root: With `annotations/captions_{split}.json`.
        split: Which of them; None takes the only one.
        layout: What is expected, with `{split}`.
        kind: What the files are of, as their names begin: `captions` or `instances`.

    Raises:
        DataError: There are files of none or of several splits, or not of the one that is asked for.
    """
    found, expected = splits_of(root, kind), f"expected {layout.format(split=split or 'train2017')}"
    if not found:
        file = root / "annotations" / f"{kind}_{split or '*'}.json"
        raise DataError(f"{file} does not exist: {expected}.{_without_captions(root, kind)}")
    if split:
        check_split(split, found, root)
        return split
    if len(found) == 1:
        return found[0]
    raise DataError(f"{root} has {kind} of {', '.join(found)}: give one of them as split; {expected}.")


def splits_of(root: Path, kind: str) -> list[str]:
    """The splits that a folder has `annotations/{kind}_{split}.json` of."""
    return sorted(path.stem.removeprefix(f"{kind}_") for path in root.glob(f"annotations/{kind}_*.json"))


def _without_captions(root: Path, kind: str) -> str:
    """What to do with a folder that has boxes alone."""
    if kind != "captions" or not splits_of(root, "instances"):
        return ""
    return " Boxes without captions are the format detection, whose texts are the names of their classes."


def read_images(entries: object, file: str, faults: Faults) -> dict[Id, Entry]:
    """COCO's `images` by id."""
    found = complete(entries, IMAGE, what="image", file=file, faults=faults)
    return {image["id"]: image for _, image in found}


def read_categories(
    entries: object, names: Callable[[Entry], tuple[str, ...]], file: str, faults: Faults
) -> dict[Id, Category]:
    """COCO's `categories` by id; `names` says what each is called, its own name first."""
    found = complete(entries, {"id": ID, "name": TEXT}, what="category", file=file, faults=faults)
    return {entry["id"]: Category(names(entry), bool(entry.get("isthing", True))) for _, entry in found}


def read_captions(
    entries: object,
    images: Mapping[Id, Entry],
    file: str,
    faults: Faults,
    *,
    others: Container[Id] | None = (),
) -> list[tuple[Entry, str]]:
    """Each image with each of its captions: images in the order of their list, each with all captions.

    Args:
        entries: COCO's `annotations` with captions.
        images: By id.
        file: The name of the captions' file.
        faults: Told of captions that are no text, or of no image that is listed.
        others: Ids whose captions are passed over; None for all that are not those of `images` in another
            type.
    """
    said: dict[Id, list[str]] = {key: [] for key in images}
    for name, entry in complete(entries, CAPTION, what="caption", file=file, faults=faults):
        key = entry["image_id"]
        if key in images:
            said[key].append(entry["caption"])
        elif twin(key, images) is not None or (others is not None and key not in others):
            faults.add(
                f"{name}, {entry['caption']!r:.80}, has the image_id {not_listed(key, images, 'image')}"
            )
    return [(images[key], caption) for key, own in said.items() for caption in own]


def read_boxes(
    entries: object,
    images: Mapping[Id, Entry],
    categories: Container[Id],
    file: str,
    faults: Faults,
    *,
    own_images: Container[Id] = (),
) -> dict[Id, list[Entry]]:
    """COCO's `annotations` with boxes, by the id of their image.

    Args:
        entries: The annotations.
        images: Those that have captions, by id.
        categories: Their ids.
        file: The name of the boxes' file.
        faults: Told of boxes of no image or category that is listed.
        own_images: The ids that the boxes' own file lists: boxes of these, where they have no caption, are
            passed over.
    """
    named = named_boxes(entries, file, faults)
    return group_boxes(named, images, categories, file, faults, own_images=own_images)


def named_boxes(entries: object, file: str, faults: Faults) -> Iterator[tuple[str, Entry]]:
    """COCO's `annotations` with boxes, each with a name for messages."""
    return complete(entries, BOX_OF_IMAGE, what="annotation", file=file, faults=faults)


def group_boxes(
    named: Iterable[tuple[str, Entry]],
    images: Mapping[Id, Entry],
    categories: Container[Id],
    file: str,
    faults: Faults,
    *,
    own_images: Container[Id] = (),
) -> dict[Id, list[Entry]]:
    """As `read_boxes`, from annotations that each have a name for messages."""
    found: dict[Id, list[Entry]] = defaultdict(list)
    passed = 0
    for name, entry in named:
        key, category = entry["image_id"], entry["category_id"]
        if category not in categories:
            faults.add(f"{name} has the category_id {not_listed(category, categories, 'category')}")
        elif key in images:
            found[key].append(entry)
        elif key in own_images and twin(key, images) is None:
            passed += 1
        else:
            faults.add(f"{name} has the image_id {not_listed(key, images, 'image')}")
    if passed and not found:
        faults.add(f"{file}: none of the images of its {passed} boxes has a caption.")
    return found


def file_of_url(url: str) -> str:
    """The file of an image that LVIS names by its place on the web.

    Example:
        >>> file_of_url("http://images.cocodataset.org/train2017/000000391895.jpg")
        'train2017/000000391895.jpg'
    """
    return "/".join(url.split("/")[-2:])


def file_name(image: Entry) -> str:
    """The file of an image, by its name or, in LVIS, by its place on the web."""
    return str(image.get("file_name") or file_of_url(str(image.get("coco_url", ""))))


def listed(entries: object) -> set[Id]:
    """The ids of a list of entries, whatever else it holds."""
    rows = entries if isinstance(entries, list) else []
    return {entry["id"] for entry in rows if isinstance(entry, dict) and ID.holds(entry.get("id"))}
