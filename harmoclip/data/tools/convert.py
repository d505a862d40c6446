"""Write any data set as webdataset shards, in a way that can be stopped and gone on with."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset

from harmoclip.data.dataset import IdentifiedDataset, Indexed, SampleStream
from harmoclip.data.formats.rows import to_row, write_class_names
from harmoclip.data.formats.shards import IMAGES
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError, InputError, MissingDependencyError


class PackedSample(NamedTuple):
    """A sample as a shard holds it: a name, the ending and bytes of its image, and its row as JSON."""

    key: str
    ending: str
    image: bytes
    row: bytes


def write_shards(
    dataset: Indexed[Sample] | SampleStream,
    folder: str | Path,
    *,
    samples_per_shard: int = 1000,
    workers: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> list[str]:
    """Write the samples of a map-style data set to `folder/00000.tar` and on; `Shards` reads them back.

    Samples are mixed, always in the same way, so that those of one image lie far apart; each has its number
    in the data set as its name. Images that come from a file are copied byte for byte, others are written as
    PNG, and names of classes to `class_names.txt`. A shard gets its name when it is complete, so that a
    second call goes on with the first one that is missing. Samples that cannot be read are left out and
    listed beside their shard, in `00000.broken.txt`.

    Args:
        dataset: With `len` and samples by number.
        folder: Made where it is missing.
        samples_per_shard: Samples of the data set that a shard stands for.
        workers: Processes that read.
        progress: Called with how many samples are done.

    Returns:
        A message for each sample that was left out, by this and by earlier runs.

    Raises:
        InputError: `samples_per_shard` is below 1, or the data set is a stream.
        DataError: The folder holds shards of another data set, or of another size.
        MissingDependencyError: webdataset is not installed.
    """
    if samples_per_shard < 1:
        raise InputError(f"samples_per_shard is {samples_per_shard}: expected 1 or more.")
    if not isinstance(dataset, Indexed):
        raise InputError(
            f"{type(dataset).__name__} is a stream: expected a data set with a length. Shards can be read as "
            "they are; save the rows of a stream first."
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_class_names(dataset, folder)
    _claim(folder, {"samples": len(dataset), "samples_per_shard": samples_per_shard})
    order = mixed_order(dataset)
    for number, first in enumerate(range(0, len(order), samples_per_shard)):
        shard, rows = folder / f"{number:05}.tar", order[first : first + samples_per_shard]
        if not shard.exists():
            _write_shard(shard, _packed(dataset, rows, workers), first, progress)
        progress(first + len(rows))
    return [line for path in sorted(folder.glob("*.broken.txt")) for line in path.read_text().splitlines()]


def mixed_order(dataset: Indexed[object]) -> list[int]:
    """The rows of a data set in an order that puts those of one image far from each other.

    First one row of each image, then the second one of each that has two, and so on, each round mixed; a data
    set that does not know its images is mixed as a whole.
    """
    order: list[int] = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0)).tolist()
    if not isinstance(dataset, IdentifiedDataset):
        return order
    images, seen, turn = dataset.image_ids, Counter[int](), {}
    for row in order:
        turn[row] = seen[images[row]]
        seen[images[row]] += 1
    return sorted(order, key=turn.__getitem__)  # stable: a round stays mixed


def _claim(folder: Path, setting: dict[str, int]) -> None:
    """Note what the folder's shards are made of, or find out that it is something else."""
    note = folder / "shards.json"
    found = json.loads(note.read_text()) if note.exists() else setting
    if found != setting:
        raise DataError(
            f"{folder} holds shards of {found}, and this data set would give {setting}. "
            "Give another folder, or remove this one."
        )
    if not note.exists():
        unfinished = note.with_suffix(".tmp")
        unfinished.write_text(json.dumps(setting))
        os.replace(unfinished, note)


def _write_shard(
    shard: Path, samples: Iterator[PackedSample | str], first: int, progress: Callable[[int], None]
) -> None:
    try:
        from webdataset import TarWriter
    except ImportError as error:
        raise MissingDependencyError('Shards need webdataset: pip install "harmoclip[data]"') from error
    unfinished, broken = shard.with_suffix(".tmp"), []
    try:
        with TarWriter(str(unfinished), encoder=False, mtime=0.0) as tar:
            for done, sample in enumerate(samples, first + 1):
                if isinstance(sample, str):
                    broken.append(sample)
                else:
                    tar.write({"__key__": sample.key, sample.ending: sample.image, "json": sample.row})
                progress(done)
    except BaseException:  # an interrupt leaves nothing half-written
        unfinished.unlink(missing_ok=True)
        raise
    if broken:
        shard.with_suffix(".broken.txt").write_text("\n".join(broken) + "\n")
    os.replace(unfinished, shard)


def _packed(dataset: Indexed[Sample], rows: Sequence[int], workers: int) -> Iterator[PackedSample | str]:
    return iter(DataLoader(_Pack(dataset), batch_size=None, sampler=rows, num_workers=workers))


class _Pack(Dataset[PackedSample | str]):
    """A sample as a shard holds it, or a message for one that cannot be read."""

    def __init__(self, dataset: Indexed[Sample]) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> PackedSample | str:
        try:
            sample = self.dataset[index]
        except DataError as error:
            return " ".join(str(error).split())
        row = json.dumps(to_row(sample), ensure_ascii=False).encode()
        return PackedSample(f"{index:08}", *_image(sample), row)


def _image(sample: Sample) -> tuple[str, bytes]:
    """The ending and bytes of a sample's image: its own file's, where it has one of a known ending."""
    path = Path(getattr(sample.image, "filename", ""))
    ending = path.suffix[1:].lower()
    if ending in IMAGES:
        return ending, path.read_bytes()
    if isinstance(sample.image, torch.Tensor):
        raise InputError(
            f"sample {sample.key!r} has a tensor as its image: expected a PIL image. Give the data set "
            "before any transform, or Scenes themselves rather than what they render."
        )
    file = io.BytesIO()
    sample.image.save(file, "PNG")
    return "png", file.getvalue()
