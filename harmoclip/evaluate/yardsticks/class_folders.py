"""Zero-shot classification of a folder with one folder of images a class."""

from __future__ import annotations

from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.zero_shot import ClassFolder, zero_shot


def tasks(request: Request) -> list[Task]:
    """Classification of all images below the folder."""
    data = ClassFolder.open(request.path)
    return [Task(f"zero-shot, {request.path.name}", "whole", lambda encoder: zero_shot(encoder, data))]
