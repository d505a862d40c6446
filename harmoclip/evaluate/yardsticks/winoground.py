"""Winoground (Thrush et al., arXiv 2204.03162): two images and two captions of the same words."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from harmoclip.data.formats.entries import TEXT, Entry
from harmoclip.data.formats.files import first_existing
from harmoclip.errors import DataError
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.records import checked_entries
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.vectors import unit_vectors
from harmoclip.images import open_image

_LAYOUT = "Winoground's examples.jsonl beside images/"
_KEYS = ("image_0", "image_1", "caption_0", "caption_1")


def winoground(encoder: Encoder, rows: list[Entry], images: Path) -> Metrics:
    """How often each image has its caption (text), each caption its image (image), and both (group).

    Args:
        encoder: The model.
        rows: The examples.
        images: The folder of the images.

    Returns:
        `winoground_text`, `winoground_image`, `winoground_group`, `winoground_count`.

    Raises:
        DataError: An image is missing.
        EvaluationError: Some vectors are not finite or all zeros.
    """
    files = [_file(images, row[key]) for row in rows for key in _KEYS[:2]]
    vectors = encoder.image_vectors(lambda i: open_image(files[i]), len(files), lambda i: str(files[i]))
    texts = encoder.text_vectors([row[key] for row in rows for key in _KEYS[2:]])
    image = unit_vectors(vectors, "image vectors").view(len(rows), 2, -1)
    text = unit_vectors(texts, "text vectors").view(len(rows), 2, -1)
    cosine = torch.einsum("nid,ntd->nit", image, text)
    right, swapped = cosine.diagonal(dim1=1, dim2=2), cosine.flip(2).diagonal(dim1=1, dim2=2)
    by_text = (right > swapped).all(1)
    by_image = (right > swapped.flip(1)).all(1)
    scores = {"text": (by_text, 1 / 4), "image": (by_image, 1 / 4), "group": (by_text & by_image, 1 / 6)}
    metrics = [Metric(f"winoground_{n}", s.double().mean().item(), chance=c) for n, (s, c) in scores.items()]
    return Metrics([*metrics, Metric("winoground_count", len(rows), "count")])


def tasks(request: Request) -> list[Task]:
    """The examples of the folder.

    Raises:
        DataError: They are not there, or one lacks something.
    """
    path = first_existing(request.path, "examples.jsonl", "data/examples.jsonl", expected=_LAYOUT)
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except ValueError as error:
        raise DataError(f"{path} is not JSON lines ({error}): expected {_LAYOUT}.") from error
    if not rows:
        raise DataError(f"{path} is empty: expected {_LAYOUT}.")
    rows = checked_entries(rows, dict.fromkeys(_KEYS, TEXT), what="example", path=path)
    images = request.images or first_existing(path.parent, "images", expected=_LAYOUT)
    return [Task("Winoground", "whole", lambda encoder: winoground(encoder, rows, images))]


def _file(folder: Path, name: str) -> Path:
    """The image, which the examples name without an ending."""
    return first_existing(folder, name, f"{name}.png", f"{name}.jpg", expected=_LAYOUT)
