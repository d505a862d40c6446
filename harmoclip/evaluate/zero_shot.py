"""Whole pictures classified by their folder's name: what a model has forgotten."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from harmoclip.errors import DataError
from harmoclip.evaluate.classification import macro, micro, top_k
from harmoclip.evaluate.prompts import Prompts
from harmoclip.evaluate.subject import Subject

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


def zero_shot(subject: Subject, folder: Path, prompts: Prompts = "imagenet") -> dict[str, float]:
    """Top-1 and Top-5 of the pictures of a class folder, one sub-folder a class.

    Args:
        subject: The model.
        folder: Its sub-folders are the classes; `class_names.txt` may give a line `folder<TAB>name` each,
            otherwise a folder's name is its class's.
        prompts: The sentences that stand for a class.

    Raises:
        DataError: There are no sub-folders with pictures.
    """
    root = Path(folder)
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    files = [(path, i) for i, sub in enumerate(folders) for path in _pictures(sub)]
    if not files:
        raise DataError(f"{folder} has no sub-folders with pictures: expected one folder a class.")
    names = _names(root)
    classes = subject.class_vectors([names.get(sub.name, sub.name) for sub in folders], prompts)
    vectors = subject.image_vectors(lambda i: Image.open(files[i][0]), len(files))
    labels = torch.tensor([label for _, label in files])
    return {
        "zero_shot_top1": micro(top_k(vectors, classes, labels)),
        "zero_shot_top5": micro(top_k(vectors, classes, labels, 5)),
        "zero_shot_macro_top1": macro(top_k(vectors, classes, labels), labels),
    }


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)


def _names(folder: Path) -> dict[str, str]:
    path = folder / "class_names.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.split("\t", 1) for line in lines if "\t" in line)  # type: ignore[misc]
