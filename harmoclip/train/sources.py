"""The data sets that a configuration names, as the model takes them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset

from harmoclip.data import Sample, transform_for
from harmoclip.data.scenes import Scenes
from harmoclip.errors import InputError
from harmoclip.train.config import Config

# format -> where its data set is, and whether it has splits
FORMATS = {
    "coco": ("harmoclip.data.coco", "CocoCaptions", True),
    "flickr30k": ("harmoclip.data.flickr30k", "Flickr30kEntities", True),
    "visual_genome": ("harmoclip.data.visual_genome", "VisualGenome", False),
    "json_lines": ("harmoclip.data.json_lines", "JsonLines", False),
}


class Transformed(Dataset[Sample]):
    """A data set whose samples go through a transform when they are asked for."""

    def __init__(self, dataset: Any, transform: Any) -> None:
        self.dataset, self.transform = dataset, transform

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, row: int) -> Sample:
        sample: Sample = self.transform(self.dataset[row])
        return sample


def training_data(config: Config, loaded: Any) -> Transformed:
    """The samples to train on, augmented as the configuration says."""
    data = config.data
    transform = transform_for(_source(loaded), crop=_crop(data.crop), flip=data.flip)
    return Transformed(_open(config, data.path, data.split, data.size), transform)


def held_out(config: Config, loaded: Any) -> tuple[Sequence[Sample], Sequence[str] | None] | None:
    """The samples to measure on with the names of their classes, or None where there is no evaluation."""
    chosen = config.evaluation
    if chosen.split is None:
        return None
    dataset = _open(config, chosen.path or config.data.path, chosen.split, chosen.samples)
    rows = Transformed(dataset, transform_for(_source(loaded)))
    samples = [rows[row] for row in range(min(len(rows), chosen.samples))]
    return samples, getattr(dataset, "class_names", None)


def _open(config: Config, path: str | None, split: str | None, size: int) -> Any:
    name = config.data.format
    if name == "scenes":
        return Scenes(split or "train", size, seed=config.seed)
    if name not in FORMATS:
        raise InputError(f"data.format is {name!r}: expected one of scenes, {', '.join(FORMATS)}.")
    if path is None:
        raise InputError(f"data.path is null: expected where the data of format {name} is.")
    module, data_set, splits = FORMATS[name]
    opened = getattr(importlib.import_module(module), data_set)
    return opened(path, *([split] if splits and split is not None else []))


def _source(loaded: Any) -> Any:
    """What says how the model's pictures are prepared."""
    return getattr(loaded.preprocess, "processor", loaded.model)


def _crop(smallest: float | None) -> tuple[float, float] | None:
    return None if smallest is None else (smallest, 1.0)
