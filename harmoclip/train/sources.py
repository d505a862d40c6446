"""The data sets that a configuration names, with what prepares their samples for the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from harmoclip.data import Sample, SampleTransform, open_dataset, transform_for
from harmoclip.data.formats.registry import STREAMS, recognise
from harmoclip.data.scenes import Scenes
from harmoclip.errors import InputError
from harmoclip.train.config import Config


def training_data(config: Config, loaded: Any) -> tuple[Any, SampleTransform]:
    """The samples to train on, and the transform that augments them as the configuration says."""
    data = config.data
    transform = transform_for(_source(loaded), crop=_crop(data.crop), flip=data.flip)
    return _open(config, data.path, data.split, data.size, data.shuffle), transform


def held_out(config: Config, loaded: Any) -> tuple[Sequence[Sample], Sequence[str] | None] | None:
    """The samples to measure on with the names of their classes, or None where there is no evaluation."""
    chosen = config.evaluation
    if chosen.path is None and chosen.split is None:
        return None
    dataset = _open(config, chosen.path or config.data.path, chosen.split, chosen.samples, 0)
    transform = transform_for(_source(loaded))
    samples = [transform(sample) for sample in islice(_in_order(dataset), chosen.samples)]
    return samples, getattr(dataset, "class_names", None)


def _open(config: Config, path: str | None, split: str | None, size: int, shuffle: int) -> Any:
    data = config.data
    if data.format == "scenes":
        return Scenes(split or "train", size, seed=config.seed)
    if path is None:
        raise InputError(
            "data.path is null: expected where the data is; data.format=scenes needs none, it is generated."
        )
    form = data.format or recognise(path)
    stream = {"shuffle": shuffle, "seed": config.seed} if form in STREAMS else {}
    return open_dataset(
        path,
        form,
        split=split,
        images=data.images,
        unit=data.unit,
        box_format=data.box_format,
        cache=data.cache,
        **stream,
    )


def _in_order(dataset: Any) -> Iterator[Sample]:
    if not hasattr(dataset, "__len__"):
        return iter(dataset)
    return (dataset[row] for row in range(len(dataset)))


def _source(loaded: Any) -> Any:
    """What says how the model's pictures are prepared."""
    return getattr(loaded.preprocess, "processor", loaded.model)


def _crop(smallest: float | None) -> tuple[float, float] | None:
    return None if smallest is None else (smallest, 1.0)
