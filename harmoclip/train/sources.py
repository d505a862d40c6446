"""The data sets that a configuration names, as the model takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset

from harmoclip.data import Sample
from harmoclip.data.scenes import Scenes
from harmoclip.errors import InputError
from harmoclip.train.config import Config

FORMATS = ("scenes",)


class Prepared(Dataset[Sample]):
    """A data set whose square images go through a model's preprocessing; their boxes stay where they are."""

    def __init__(self, dataset: Any, preprocess: Any) -> None:
        self.dataset, self.preprocess = dataset, preprocess
        self.class_names: Sequence[str] | None = getattr(dataset, "class_names", None)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, row: int) -> Sample:
        sample: Sample = self.dataset[row]
        return sample.replace(image=self.preprocess(sample.image))


def training_data(config: Config, loaded: Any) -> Any:
    """The samples to train on."""
    return _open(config, config.data.path, config.data.split, config.data.size, loaded)


def held_out(config: Config, loaded: Any) -> tuple[Sequence[Sample], Sequence[str] | None] | None:
    """The samples to measure on with the names of their classes, or None where there is no evaluation."""
    chosen = config.evaluation
    if chosen.split is None:
        return None
    dataset = _open(config, chosen.path or config.data.path, chosen.split, chosen.samples, loaded)
    count = min(len(dataset), chosen.samples)
    return [dataset[row] for row in range(count)], getattr(dataset, "class_names", None)


def _open(config: Config, path: str | None, split: str, size: int, loaded: Any) -> Any:
    if config.data.format == "scenes":
        return Prepared(Scenes(split, size, seed=config.seed), loaded.preprocess)
    raise InputError(f"data.format is {config.data.format!r}: expected one of {', '.join(FORMATS)}.")
