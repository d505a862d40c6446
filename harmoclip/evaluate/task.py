"""What a yardstick is asked for, and what it gives: tasks that any model can be put to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harmoclip.errors import InputError, unknown_name
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
        phrase_share: The share of the phrases in retrieval by phrases, from 0; None leaves that out.
        options: What a yardstick can be told beside, as `KEY=VALUE`.

    Raises:
        InputError: The share is below 0.
    """

    source: str
    split: str | None = None
    images: Path | None = None
    regions: Regions = "dense"
    proposals: Path | None = None
    phrase_share: float | None = None
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.phrase_share is not None and not 0 <= self.phrase_share < float("inf"):
            raise InputError(f"phrase_share is {self.phrase_share}: expected a number from 0, such as 0.4.")

    @property
    def path(self) -> Path:
        """The source as a path."""
        return Path(self.source)

    def read_options(self, known: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
        """The options by name, each read by its function.

        Raises:
            InputError: An option is not known, or its value cannot be read.

        Example:
            >>> Request("voc", options=("stride=112",)).read_options({"stride": int})
            {'stride': 112}
        """
        found: dict[str, Any] = {}
        for text in self.options:
            name, _, value = text.partition("=")
            if name not in known:
                raise InputError(unknown_name("an option is", name, known))
            try:
                found[name] = known[name](value)
            except ValueError as error:
                raise InputError(f"option {text!r} cannot be read: {str(error).rstrip('.')}.") from error
        return found


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

    @property
    def key(self) -> str:
        """The name as one word."""
        return one_word(self.name)


def one_word(name: str) -> str:
    """The name of a task as configurations and files have it.

    Example:
        >>> one_word("FG-OVD hard, dense")
        'fg-ovd-hard-dense'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
