"""Retrieval of long captions: Urban1k (arXiv 2403.15378), DOCCI (2404.19753) and their kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from harmoclip.data.formats.entries import Entry
from harmoclip.data.formats.files import first_existing
from harmoclip.errors import DataError
from harmoclip.evaluate.captioned import Captioned
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.yardsticks.common import retrieval_task
from harmoclip.images import open_image

Captions = list[tuple[Path, str]]
_LAYOUT = (
    "Urban1k's image/ and caption/*.txt, DOCCI's docci_descriptions.jsonlines with images/, or "
    'captions.jsonl of {"image", "caption"} beside the images'
)
_ENDINGS = (".jpg", ".png", ".jpeg", ".webp")


def long_captions(request: Request) -> Captions:
    """Each image's file with its caption, in whichever layout the folder has.

    Raises:
        DataError: It has none, or an image or a caption is missing.
    """
    root = request.path
    readers: dict[str, Callable[[Path, Request], Captions]] = {
        "caption": _urban, "docci_descriptions.jsonlines": _docci, "captions.jsonl": _lines,
    }  # fmt: skip
    reader = next((read for name, read in readers.items() if (root / name).exists()), None)
    if reader is None:
        raise DataError(f"{root} has no {', '.join(readers)}: expected {_LAYOUT}.")
    found = reader(root, request)
    if not found:
        raise DataError(f"{root} has no captions of split {request.split!r}: expected {_LAYOUT}.")
    return found


def tasks(request: Request) -> list[Task]:
    """Both directions of retrieval, one caption an image; what the tokenizer cuts off is not seen."""
    found = long_captions(request)
    captioned = Captioned.of(lambda i: open_image(found[i][0]), [[caption] for _, caption in found])
    return [retrieval_task(f"long captions, {request.path.name}", captioned)]


def _urban(root: Path, request: Request) -> Captions:
    images = request.images or root / "image"
    return [
        (
            first_existing(images, *(path.stem + ending for ending in _ENDINGS), expected=_LAYOUT),
            path.read_text(encoding="utf-8").strip(),
        )
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
