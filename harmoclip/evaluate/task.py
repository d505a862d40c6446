"""What a yardstick is asked for, and what it gives: tasks that any model can be put to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harmoclip.evaluate.boxes import NamedBoxes
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metrics
from harmoclip.evaluate.regions import Regions
from harmoclip.evaluate.samples import Samples

Side = Literal["whole", "regions"]


@dataclass(frozen=True)
class Request:
    """Where a yardstick's data is, and how it is to be measured.

    Args:
        source: A folder or a file; for generated data how much of it.
        split: Which part; None takes the one that is usually reported.
        images: The folder of the images, where it is not in its usual place.
        regions: How a box becomes a vector.
        proposals: A file of a detector's boxes, in the format of COCO's results, where one is asked for.
    """

    source: str
    split: str | None = None
    images: Path | None = None
    regions: Regions = "dense"
    proposals: Path | None = None

    @property
    def path(self) -> Path:
        """The source as a path."""
        return Path(self.source)


def first_metric(metrics: Metrics) -> float:
    """The value that a task's metrics begin with."""
    return next(iter(metrics.values()))


@dataclass(frozen=True)
class Task:
    """One measurement.

    Args:
        name: Of the task and its data.
        side: Whether it tells of `whole` images or of `regions`.
        run: From a model to its metrics.
        headline: The number that stands for it in a trade-off.
        boxes: From a model to the boxes it named, where it names boxes.
    """

    name: str
    side: Side
    run: Callable[[Encoder], Metrics]
    headline: Callable[[Metrics], float] = first_metric
    boxes: Callable[[Encoder], tuple[Samples, NamedBoxes]] | None = None
