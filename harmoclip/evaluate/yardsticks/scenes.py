"""Generated scenes: retrieval, boxes of seen and of held-out pairs, expressions, pointing."""

from __future__ import annotations

from harmoclip.data.scenes import Scenes
from harmoclip.errors import InputError
from harmoclip.evaluate.boxes import box_scores
from harmoclip.evaluate.captioned import Captioned
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.yardsticks.common import boxes_task, expression_tasks, retrieval_tasks


def tasks(request: Request, seed: int = 0) -> list[Task]:
    """The tasks on as many scenes as the source says.

    Raises:
        InputError: The source is no number from 1.
    """
    if not request.source.isdecimal() or not int(request.source):
        raise InputError(f"scenes are {request.source!r}: expected how many, from 1.")
    count = int(request.source)
    test, novel = Scenes("test", count, seed=seed), Scenes("novel", count, seed=seed)
    regions = "dense" if request.regions == "masks" else request.regions
    return [
        *retrieval_tasks("scenes", Captioned.samples(test), request.phrase_share),
        boxes_task("scenes", test, "name", regions, box_scores),
        boxes_task("scenes with held-out pairs", novel, "name", regions, box_scores),
        *expression_tasks("scenes", test, regions),
    ]
