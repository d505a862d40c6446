"""LVIS's boxes (Gupta et al., arXiv 1908.03195) named among its 1,203 classes, by how frequent a class is."""

from __future__ import annotations

import torch

from harmoclip.errors import DataError
from harmoclip.evaluate.boxes import NamedBoxes, box_scores, size_scores
from harmoclip.evaluate.classification import macro
from harmoclip.evaluate.coco_boxes import CocoBoxes
from harmoclip.evaluate.metrics import Metrics
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.yardsticks.common import boxes_task, find
from harmoclip.evaluate.yardsticks.detection import FREQUENCY


def frequency_scores(boxes: NamedBoxes, frequency: tuple[str, ...]) -> Metrics:
    """The mean over the rare, the common and the frequent classes of each class's share of right boxes.

    Args:
        boxes: Named among all classes.
        frequency: `r`, `c` or `f` of each class.
    """
    scores = []
    for key, name in FREQUENCY.items():
        rows = torch.tensor([own == key for own in frequency])[boxes.labels]
        if rows.any():
            value = macro(boxes.right(1)[rows], boxes.labels[rows])
            scores.append(boxes.fraction(f"lvis_{name}_top1", value, 1))
    return Metrics(scores, boxes.left_out)


def tasks(request: Request) -> list[Task]:
    """All boxes of a split, `val` where none is asked for.

    Raises:
        DataError: The annotations are not there.
    """
    split = request.split or "val"
    path = find(request.path, f"lvis_v1_{split}.json")
    if path is None:
        raise DataError(
            f"{request.path} has no lvis_v1_{split}.json: expected it in COCO's folder or its annotations/."
        )
    data = CocoBoxes(path, request.images or request.path)
    scores = (box_scores, lambda named: frequency_scores(named, data.frequency), size_scores)
    return [boxes_task(f"LVIS {split}", data, "vild", request.regions, *scores)]
