"""VALSE (Parcalabescu et al., arXiv 2112.07566): a caption against a foil that changes a part of it."""

from __future__ import annotations

from pathlib import Path

from harmoclip.data.formats.entries import TEXT, Entry
from harmoclip.data.formats.files import read_json
from harmoclip.errors import DataError
from harmoclip.evaluate.choices import choices
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.records import checked_entries
from harmoclip.evaluate.task import Request, Task
from harmoclip.images import open_image

VOTES = 2
"""Annotators of three who have to take the caption, and not the foil, for a sample to count."""
_ENTRY = {"image_file": TEXT, "caption": TEXT, "foil": TEXT}
_LAYOUT = "VALSE's files, such as existence.json, in the folder or its data/, and all images below images/"


def valse(encoder: Encoder, rows: list[Entry], files: dict[str, Path], invalid: int) -> Metrics:
    """How often an image is more similar to its caption than to the foil: the paper's pairwise accuracy.

    Args:
        encoder: The model.
        rows: The valid samples.
        files: Every image by its name.
        invalid: How many samples the annotators did not confirm.

    Returns:
        `valse_top1`, `valse_count` and `valse_invalid`.

    Raises:
        DataError: An image is missing.
        EvaluationError: Some vectors are not finite or all zeros.
    """
    names = [row["image_file"] for row in rows]
    if missing := [name for name in names if name not in files]:
        raise DataError(
            f"{len(missing)} of {len(names)} images are missing, such as {missing[0]!r}: expected {_LAYOUT}; "
            "--images names another folder."
        )
    vectors = encoder.image_vectors(lambda i: open_image(files[names[i]]), len(rows), names.__getitem__)
    found = choices(encoder, vectors, [(row["caption"], row["foil"]) for row in rows], "valse")
    left = Metric("valse_invalid", invalid, "count")
    return found.pick("valse_top1", "valse_count") | Metrics([left])


def tasks(request: Request) -> list[Task]:
    """A task for each of the files in the folder; a split names one, such as `existence`.

    Raises:
        DataError: There is none, or an entry lacks something.
    """
    root = request.path / "data" if (request.path / "data").is_dir() else request.path
    paths = sorted(root.glob(f"{request.split or '*'}.json"))
    if not paths:
        raise DataError(f"{root} has no {request.split or '*'}.json: expected {_LAYOUT}.")
    images = request.images or request.path / "images"
    files = {path.name: path for path in images.rglob("*") if path.is_file()}
    return [_task(path, files) for path in paths]


def _task(path: Path, files: dict[str, Path]) -> Task:
    content = read_json(path, expected=_LAYOUT)
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path} has no samples: expected {_LAYOUT}.")
    rows = checked_entries(list(content.values()), _ENTRY, what="sample", path=path)
    valid = [row for row in rows if _votes(row, path) >= VOTES]
    if not valid:
        raise DataError(f"{path}: no sample has {VOTES} votes for its caption under 'mturk'.")
    invalid = len(rows) - len(valid)
    return Task(f"VALSE {path.stem}", "whole", lambda encoder: valse(encoder, valid, files, invalid))


def _votes(row: Entry, path: Path) -> int:
    """How many annotators took the caption alone."""
    votes = row.get("mturk", {}).get("caption") if isinstance(row.get("mturk"), dict) else None
    if type(votes) is not int:
        raise DataError(
            f"{path}: the sample of {row['image_file']!r} has the votes {row.get('mturk')!r:.60}: expected "
            "{\"caption\": 0 to 3, ...} under 'mturk'."
        )
    return votes
