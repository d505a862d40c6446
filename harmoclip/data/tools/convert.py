"""Write any data set as webdataset shards, in a way that can be stopped and gone on with."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.data import DataLoader, Dataset

from harmoclip.data.formats.rows import to_row
from harmoclip.data.formats.shards import PICTURES
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError, InputError, MissingDependencyError


class Packed(NamedTuple):
    """A sample as a shard holds it."""

    key: str
    kind: str
    picture: bytes
    row: bytes


def write_shards(
    dataset: Any,
    folder: str | Path,
    *,
    samples_per_shard: int = 1000,
    workers: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> list[str]:
    """Write the samples of a map-style data set to `folder/00000.tar` and on; `Shards` reads them back.

    Pictures that come from a file are copied byte for byte, others are written as PNG. A shard gets its name
    when it is complete, so that a second call goes on with the first one that is missing. Samples that cannot
    be read are left out and listed beside their shard, in `00000.broken.txt`.

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
    if not hasattr(dataset, "__len__"):
        raise InputError(
            f"{type(dataset).__name__} is a stream: expected a data set with a length. Shards can be read as "
            "they are; save the rows of a stream first."
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, {"samples": len(dataset), "samples_per_shard": samples_per_shard})
    for number, first in enumerate(range(0, len(dataset), samples_per_shard)):
        shard, rows = folder / f"{number:05}.tar", range(first, min(first + samples_per_shard, len(dataset)))
        if not shard.exists():
            _write_shard(shard, _packed(dataset, rows, workers), first, progress)
        progress(rows.stop)
    return [line for path in sorted(folder.glob("*.broken.txt")) for line in path.read_text().splitlines()]


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
    shard: Path, samples: Iterator[Packed | str], first: int, progress: Callable[[int], None]
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
                    tar.write({"__key__": sample.key, sample.kind: sample.picture, "json": sample.row})
                progress(done)
    except BaseException:  # an interrupt leaves nothing half-written
        unfinished.unlink(missing_ok=True)
        raise
    if broken:
        shard.with_suffix(".broken.txt").write_text("\n".join(broken) + "\n")
    os.replace(unfinished, shard)


def _packed(dataset: Any, rows: range, workers: int) -> Iterator[Packed | str]:
    loader = DataLoader(_Pack(dataset), batch_size=None, sampler=rows, num_workers=workers)
    for kind, content in loader:
        yield content if kind == "broken" else Packed(*content)


class _Pack(Dataset[Any]):
    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> tuple[str, Any]:
        try:
            sample = self.dataset[index]
        except DataError as error:
            return "broken", " ".join(str(error).split())
        kind, picture = _picture(sample)
        return "packed", (
            f"{index:08}",
            kind,
            picture,
            json.dumps(to_row(sample), ensure_ascii=False).encode(),
        )


def _picture(sample: Sample) -> tuple[str, bytes]:
    """The kind and bytes of a sample's picture: its own file's, where it has one of a known kind."""
    path = Path(getattr(sample.image, "filename", ""))
    kind = path.suffix[1:].lower()
    if kind in PICTURES:
        return kind, path.read_bytes()
    file = io.BytesIO()
    sample.image.save(file, "PNG")  # type: ignore[union-attr]
    return "png", file.getvalue()
