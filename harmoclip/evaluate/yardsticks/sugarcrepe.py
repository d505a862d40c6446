"""SugarCrepe (Hsieh et al., arXiv 2306.14610) and SugarCrepe++ (2406.11171): small changes of a caption."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from harmoclip.data.formats.entries import TEXT
from harmoclip.data.formats.files import first_existing, read_json
from harmoclip.errors import DataError
from harmoclip.evaluate.choices import choices
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.records import checked_entries
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.vectors import unit_vectors
from harmoclip.images import open_image

_ENTRY = {"filename": TEXT, "caption": TEXT, "negative_caption": TEXT}
_LAYOUT = "SugarCrepe's files, such as replace_att.json, with COCO's images in val2017/"


@dataclass(frozen=True)
class Pairs:
    """Images with one or two right captions and a wrong one.

    Args:
        files: One image each.
        right: One or two captions each.
        wrong: One caption each.
    """

    files: list[Path]
    right: list[tuple[str, ...]]
    wrong: list[str]

    @classmethod
    def open(cls, path: Path, images: Path) -> Pairs:
        """Read a file; entries with a `caption2` have two right captions.

        Raises:
            DataError: The file or an image is missing, or an entry lacks something.
        """
        content = read_json(path, expected=_LAYOUT)
        rows = list(content.values()) if isinstance(content, dict) else content
        rows = checked_entries(rows, _ENTRY, what="entry", path=path)
        if not rows:
            raise DataError(f"{path} has no captions: expected {_LAYOUT}.")
        return cls(
            [first_existing(images, row["filename"], expected="COCO's images") for row in rows],
            [tuple(row[key] for key in ("caption", "caption2") if key in row) for row in rows],
            [row["negative_caption"] for row in rows],
        )


def sugarcrepe(encoder: Encoder, pairs: Pairs) -> Metrics:
    """How often an image is more similar to each of its right captions than to the wrong one.

    Raises:
        EvaluationError: Some vectors are not finite or all zeros.
    """
    vectors = encoder.image_vectors(
        lambda i: open_image(pairs.files[i]), len(pairs.files), lambda i: str(pairs.files[i])
    )
    texts = [(own[0], wrong) for own, wrong in zip(pairs.right, pairs.wrong, strict=True)]
    found = choices(encoder, vectors, texts, "sugarcrepe").pick("sugarcrepe_top1", "sugarcrepe_count")
    if max(map(len, pairs.right)) == 1:
        return found
    image = unit_vectors(vectors, "image vectors")
    wrong = _cosines(encoder, image, pairs.wrong)
    both = [_cosines(encoder, image, [own[i] for own in pairs.right]) > wrong for i in (0, -1)]
    score = (both[0] & both[1]).double().mean().item()
    return Metrics([Metric("sugarcrepe_both", score, chance=1 / 3)]) | found


def tasks(request: Request) -> list[Task]:
    """A task for each of the files in the folder.

    Raises:
        DataError: There is none.
    """
    root = request.path
    paths = sorted(root.glob(f"{request.split or '*'}.json")) if root.is_dir() else []
    if not paths:
        raise DataError(f"{root} has no {request.split or '*'}.json: expected {_LAYOUT}.")
    images = request.images or first_existing(root, "val2017", "images", expected=_LAYOUT)
    return [_task(path, Pairs.open(path, images)) for path in paths]


def _task(path: Path, pairs: Pairs) -> Task:
    return Task(f"SugarCrepe {path.stem}", "whole", lambda encoder: sugarcrepe(encoder, pairs))


def _cosines(encoder: Encoder, image: Tensor, texts: list[str]) -> Tensor:
    """The cosine `[N]` of each image with its text."""
    return (image * unit_vectors(encoder.text_vectors(texts), "text vectors")).sum(1)
