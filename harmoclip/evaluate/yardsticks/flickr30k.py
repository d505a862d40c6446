"""Retrieval on Flickr30k's Karpathy test split."""

from __future__ import annotations

from harmoclip.errors import DataError
from harmoclip.evaluate.captioned import Captioned
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.yardsticks.common import find, retrieval_tasks


def tasks(request: Request) -> list[Task]:
    """Retrieval with `dataset_flickr30k.json` beside `flickr30k-images/`.

    Raises:
        DataError: The file is not there.
    """
    root, split = request.path, request.split or "test"
    path = find(root, "dataset_flickr30k.json")
    if path is None:
        raise DataError(
            f"{root} has no dataset_flickr30k.json: expected Karpathy's splits beside the images."
        )
    usual = root / "flickr30k-images"
    images = request.images or (usual if usual.is_dir() else root)
    captioned = Captioned.karpathy(path, images, split)
    return retrieval_tasks(f"Flickr30k Karpathy {split}", captioned, request.phrase_share)
