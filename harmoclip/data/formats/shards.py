"""Streams of webdataset shards whose samples are a picture and a JSON object with boxes."""

from __future__ import annotations

import json
import random
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from PIL import Image
from torch.utils.data import IterableDataset, get_worker_info

from harmoclip.data.formats.files import open_image
from harmoclip.data.formats.rows import from_row
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError, InputError, MissingDependencyError

Read = Callable[[Mapping[str, Any], Image.Image], Sample]
PICTURES = ("jpg", "jpeg", "png", "webp")


class Place(NamedTuple):
    """How far a stream was read: whole passes, and samples of the pass that followed."""

    passes: int = 0
    samples: int = 0


class Shards(IterableDataset[Sample]):
    """The samples of tar shards, in one pass that data loader workers share; `Loader` gives endless passes.

    A sample is what shares a name in a shard: a picture, and a `.json` with the keys of
    `harmoclip.data.formats.rows` or, with `read=from_grit`, of GRIT.

    Args:
        urls: A pattern such as `coco-{000000..000009}.tar`, or a list; files, or what webdataset opens.
        read: Makes a sample of the JSON object and the picture.
        shuffle: How many samples wait, not yet decoded, to be drawn from; 0 keeps the shards' order.
        seed: Of the order of shards and samples.
        on_broken: Called with the error of a sample that cannot be read, or of the rest of a shard, which is
            then left out, such as `logging.warning`; None raises it.

    Raises:
        MissingDependencyError: webdataset is not installed.
        InputError: There is no url, or `shuffle` is negative.

    Example:
        >>> shards = Shards("grit-{00000..00099}.tar", read=from_grit, shuffle=1000)  # doctest: +SKIP
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        *,
        read: Read = from_row,
        shuffle: int = 0,
        seed: int = 0,
        on_broken: Callable[[DataError], object] | None = None,
    ) -> None:
        try:
            from webdataset.shardlists import expand_urls
        except ImportError as error:
            raise MissingDependencyError('Shards need webdataset: pip install "harmoclip[data]"') from error
        self.urls = expand_urls(urls) if isinstance(urls, str) else [str(url) for url in urls]
        if not self.urls:
            raise InputError("urls is empty: expected the name of at least one shard.")
        if shuffle < 0:
            raise InputError(f"shuffle is {shuffle}: expected how many samples wait, 0 or more.")
        self._read, self.shuffle, self.seed, self.on_broken = read, shuffle, seed, on_broken

    def __iter__(self) -> Iterator[Sample]:
        worker = get_worker_info()
        part, parts = (worker.id, worker.num_workers) if worker else (0, 1)
        return (sample for _, sample in self._one_pass(Place(), part, parts) if sample)

    def stream(self, place: Place, part: int, parts: int) -> Iterator[tuple[Place, Sample]]:
        """Samples of one of several parts, pass after pass, each with the place to go on from after it.

        Raises:
            DataError: There are fewer shards than parts, or a whole pass has no sample.
        """
        if parts > len(self.urls):
            raise DataError(
                f"{len(self.urls)} shards for {parts} readers (ranks x workers): expected at least one each. "
                "Lower the number of workers, or write smaller shards."
            )
        while True:
            found = False
            for after, sample in self._one_pass(place, part, parts):
                if sample:
                    found = True
                    yield after, sample
            if not found and not place.samples:
                raise DataError(f"no sample can be read from {', '.join(self._part(place, part, parts))}.")
            place = Place(place.passes + 1)

    def _one_pass(self, place: Place, part: int, parts: int) -> Iterator[tuple[Place, Sample | None]]:
        """What is left of a pass; None stands for a broken sample."""
        for count, raw in enumerate(self._raw(place, part, parts), 1):
            if count > place.samples:
                yield Place(place.passes, count), self._decode(raw)

    def _raw(self, place: Place, part: int, parts: int) -> Iterator[dict[str, Any]]:
        samples = self._undecoded(self._part(place, part, parts))
        if not self.shuffle:
            return samples
        from webdataset.filters import shuffle

        rng = random.Random(f"{self.seed}/{place.passes}/{part}")
        return shuffle(self.shuffle, initial=self.shuffle, rng=rng)(samples)  # type: ignore[no-any-return]

    def _part(self, place: Place, part: int, parts: int) -> list[str]:
        urls = list(self.urls)
        if self.shuffle:
            random.Random(f"{self.seed}/{place.passes}").shuffle(urls)
        return urls[part::parts]

    def _undecoded(self, urls: Sequence[str]) -> Iterator[dict[str, Any]]:
        from webdataset import gopen
        from webdataset.tariterators import group_by_keys, tar_file_expander

        for url in urls:
            try:
                with gopen(url) as stream:
                    yield from group_by_keys(tar_file_expander([{"url": url, "stream": stream}]))
            except (OSError, ValueError, tarfile.TarError) as error:
                self._complain(DataError(f"shard {url} cannot be read: {error}."))

    def _complain(self, error: DataError) -> None:
        if self.on_broken is None:
            raise error
        self.on_broken(error)

    def _decode(self, raw: dict[str, Any]) -> Sample | None:
        name = f"{raw['__key__']} of {raw['__url__']}"
        try:
            picture = next((raw[kind] for kind in PICTURES if kind in raw), None)
            if picture is None or "json" not in raw:
                kinds = [kind for kind in raw if not kind.startswith("__")]
                raise DataError(
                    f"{name} has {', '.join(kinds)}: expected a .json and a picture ({PICTURES})."
                )
            row = _object(raw["json"], name)
            return self._read({"key": raw["__key__"], **row}, open_image(picture, name))
        except DataError as error:
            self._complain(error)
            return None


def _object(text: bytes, name: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise DataError(f"the .json of {name} is not JSON: {error}.") from error
    if not isinstance(row, dict):
        raise DataError(f"the .json of {name} is {row!r:.60}: expected a JSON object.")
    return row
