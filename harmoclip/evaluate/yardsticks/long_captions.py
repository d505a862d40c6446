"""Retrieval of long captions: Urban1k (arXiv 2403.15378), DOCCI, DCI, IIW, ShareGPT4V-1k and their kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from harmoclip.data.formats.entries import Entry
from harmoclip.data.formats.files import first_existing, read_json
from harmoclip.data.formats.sharegpt4v import ShareGpt4v
from harmoclip.errors import DataError
from harmoclip.evaluate.captioned import Captioned
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.yardsticks.common import retrieval_tasks
from harmoclip.images import open_image

Captions = list[tuple[Path, str]]
_LAYOUT = (
    "Urban1k's image/ and caption/*.txt, DOCCI's docci_descriptions.jsonlines with images/, DCI's complete/ "
    "and photos/, ShareGPT4V's share-captioner_*.json, IIW's data.jsonl with images/, or captions.jsonl of "
    '{"image", "caption"} beside the images'
)
_ENDINGS = ("", ".jpg", ".png", ".jpeg", ".webp")
SHAREGPT4V = 1000
"""The first so many captions of ShareGPT4V's file are the ones that Long-CLIP and others report."""


def long_captions(request: Request) -> Captions:
    """Each image's file with its caption, in whichever layout the folder has.

    Raises:
        DataError: It has none, or an image or a caption is missing.
    """
    root = request.path
    readers: dict[str, Callable[[Path, Request], Captions]] = {
        "caption": _urban, "docci_descriptions.jsonlines": _docci, "complete": _dci, "data.jsonl": _iiw,
        "share-captioner_*.json": _sharegpt4v, "captions.jsonl": _lines,
    }  # fmt: skip
    reader = next((read for name, read in readers.items() if next(root.glob(name), None)), None)
    if reader is None:
        raise DataError(f"{root} has no {', '.join(readers)}: expected {_LAYOUT}.")
    found = reader(root, request)
    if not found:
        of_split = f" of split {request.split!r}" if request.split else ""
        raise DataError(f"{root} has no captions{of_split}: expected {_LAYOUT}.")
    return found


def tasks(request: Request) -> list[Task]:
    """Both directions of retrieval, one caption an image; what the tokenizer cuts off is not seen."""
    found = long_captions(request)
    captioned = Captioned.of(lambda i: open_image(found[i][0]), [[caption] for _, caption in found])
    return retrieval_tasks(f"long captions, {request.path.name}", captioned, request.phrase_share)


def _urban(root: Path, request: Request) -> Captions:
    images = request.images or root / "image"
    return [
        (_image(images, path.stem), path.read_text(encoding="utf-8").strip())
        for path in sorted((root / "caption").glob("*.txt"))
    ]


def _docci(root: Path, request: Request) -> Captions:
    images, split = request.images or root / "images", request.split or "test"
    rows = _rows(root / "docci_descriptions.jsonlines", "image_file", "description", "split")
    return [
        (first_existing(images, row["image_file"], expected=_LAYOUT), row["description"].strip())
        for row in rows
        if row["split"] == split
    ]


def _dci(root: Path, request: Request) -> Captions:
    found = []
    for path in sorted((root / "complete").glob("*.json")):
        row = read_json(path, "image", "short_caption", "extra_caption", expected=_LAYOUT)
        image = first_existing(request.images or root / "photos", row["image"], expected=_LAYOUT)
        found.append((image, f"{row['short_caption']} {row['extra_caption'] or ''}".strip()))
    return found


def _iiw(root: Path, request: Request) -> Captions:
    rows, images = _rows(root / "data.jsonl", "image/key", "IIW"), request.images or root / "images"
    return [(_image(images, row["image/key"]), row["IIW"].strip()) for row in rows]


def _sharegpt4v(root: Path, request: Request) -> Captions:
    data = ShareGpt4v(root, images=request.images)
    images = request.images or root
    return [
        (first_existing(images, row.files[0], expected=_LAYOUT), row.caption.replace("\n", " "))
        for row in data.rows[:SHAREGPT4V]
    ]


def _image(folder: Path, stem: str) -> Path:
    """The image that is named without its ending."""
    return first_existing(folder, *(stem + ending for ending in _ENDINGS), expected=_LAYOUT)


def _lines(root: Path, request: Request) -> Captions:
    images = request.images or root
    rows = _rows(root / "captions.jsonl", "image", "caption")
    return [(first_existing(images, row["image"], expected=_LAYOUT), row["caption"].strip()) for row in rows]


def _rows(path: Path, *keys: str) -> list[Entry]:
    """The objects of a file of JSON lines, each with text under these keys."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path} line {number} is not JSON: {error}.") from error
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in keys):
            raise DataError(f"{path} line {number} is {row!r:.80}: expected text under {', '.join(keys)}.")
        rows.append(row)
    return rows
