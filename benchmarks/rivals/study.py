"""What is compared on: a model, its data, and what is measured of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from rivals.objectives import Batch
from rivals.training import State, Training


class Study(ABC):
    """One model, one start, one length of training for every objective."""

    key: str  # a name for files: runs of other settings do not mix
    start_steps: int
    steps: int

    @abstractmethod
    def identity(self, name: str) -> str:
        """A name for files: the same for options that come to the same, whatever the defaults are."""

    @abstractmethod
    def begin(self, name: str, start: State | None, seed: int, steps: int) -> Training:
        """An objective before its first step, from the start or from nothing."""

    @abstractmethod
    def batches(self, seed: int, skip: int = 0) -> Iterator[Batch]:
        """Random batches, the same for every objective of a seed; the first ones skipped."""

    @abstractmethod
    def measure(self, weights: State) -> dict[str, float]:
        """Both sides of a trained model."""

    def after_run(self) -> None:  # noqa: B027  most studies keep nothing
        """Called when a run is measured."""
