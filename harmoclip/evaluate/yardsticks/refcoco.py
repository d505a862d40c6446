"""RefCOCO, RefCOCO+ and RefCOCOg: the best of all objects of the image, and pointing."""

from __future__ import annotations

from pathlib import Path

from harmoclip.data.formats.refcoco import RefCoco
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.yardsticks.common import expression_tasks


def tasks(request: Request) -> list[Task]:
    """Expressions against the boxes and the patches of their image."""
    split, images = request.split or "val", request.images or Path("train2014")
    samples = RefCoco(request.path, split, images=images)
    return expression_tasks(f"{request.path.name} {split}", samples, request.regions)
