"""Streams of webdataset shards whose samples are an image and a JSON object with boxes, or a caption."""

from __future__ import annotations

import glob
import random
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from torch.utils.data import IterableDataset, get_worker_info

from harmoclip.data.dataset import Shown
from harmoclip.data.formats.boxes import BoxFormat, Unit, check_box_options
from harmoclip.data.formats.entries import OnBroken
from harmoclip.data.formats.registry import register_format
from harmoclip.data.formats.rows import Row, SpanFinder, from_row, parse_row, read_class_names
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError, InputError, MissingDependencyError
from harmoclip.images import open_image

Read = Callable[[Row, Image.Image], Sample]
IMAGES = ("jpg", "jpeg", "png", "webp")
_WILD = frozenset("*?[")


class StreamPlace(NamedTuple):
    """How far a stream was read: whole passes, and samples of the pass that followed."""

    passes: int = 0
    samples: int = 0


class Shards(Shown, IterableDataset[Sample]):
    """The samples of tar shards, in one pass that data loader workers share; `Loader` gives endless passes.

    A sample is what shares a name in a shard, up to the name's first dot: an image, and a `.json` with the
    keys of `harmoclip.data.formats.rows` or, with `read=from_grit`, of GRIT. A `.txt` is the caption where no
    `.json` has one, as img2dataset and open_clip write it.

    Args:
        urls: A folder of shards, a pattern such as `coco-{000000..000009}.tar` or `coco-*.tar`, or a list;
            files, or what webdataset opens.
        read: Makes a sample of the JSON object and the image.
        shuffle: How many samples wait, not yet decoded, to be drawn from; 0 keeps the shards' order.
        seed: Of the order of shards and samples.
        suffixes: How names end, such as `("jpg", "json")`, where the rest of a name has dots too.
        upright: Read images turned as their EXIF orientation says; boxes are then of the turned image.
        class_names: Of each label; by default the lines of `class_names.txt` beside the first shard.
        on_broken: Called with the error of a sample that cannot be read, or of the rest of a shard, which is
            then left out, such as `logging.warning`; None raises it.

    Raises:
        MissingDependencyError: webdataset is not installed.
        DataError: A folder or pattern has no shard.
        InputError: There is no url, or `shuffle` is negative.

    Example:
        >>> shards = Shards("grit-{00000..00099}.tar", read=from_grit, shuffle=1000)  # doctest: +SKIP
    """

    def __init__(
        self,
        urls: str | Path | Sequence[str | Path],
        *,
        read: Read = from_row,
        shuffle: int = 0,
        seed: int = 0,
        suffixes: Sequence[str] | None = None,
        upright: bool = True,
        class_names: Sequence[str] | None = None,
        on_broken: OnBroken | None = None,
    ) -> None:
        self.urls = find_shards(urls)
        self.class_names = tuple(class_names or _class_names(self.urls))
        if shuffle < 0:
            raise InputError(f"shuffle is {shuffle}: expected how many samples wait, 0 or more.")
        self._read, self.shuffle, self.seed, self.on_broken = read, shuffle, seed, on_broken
        self._upright = upright
        self._suffixes = sorted((s.strip(".").lower() for s in suffixes or ()), key=len, reverse=True)

    def __iter__(self) -> Iterator[Sample]:
        worker = get_worker_info()
        part, parts = (worker.id, worker.num_workers) if worker else (0, 1)
        return (sample for _, sample in self._one_pass(StreamPlace(), part, parts) if sample)

    def stream(self, place: StreamPlace, part: int, parts: int) -> Iterator[tuple[StreamPlace, Sample]]:
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
            place = StreamPlace(place.passes + 1)

    def _one_pass(
        self, place: StreamPlace, part: int, parts: int
    ) -> Iterator[tuple[StreamPlace, Sample | None]]:
        """What is left of a pass; None stands for a broken sample."""
        for count, raw in enumerate(self._raw(place, part, parts), 1):
            if count > place.samples:
                yield StreamPlace(place.passes, count), self._decode(raw)

    def _raw(self, place: StreamPlace, part: int, parts: int) -> Iterator[dict[str, Any]]:
        samples = self._undecoded(self._part(place, part, parts))
        if not self.shuffle:
            return samples
        from webdataset.filters import shuffle

        rng = random.Random(f"{self.seed}/{place.passes}/{part}")
        return shuffle(self.shuffle, initial=self.shuffle, rng=rng)(samples)  # type: ignore[no-any-return]

    def _part(self, place: StreamPlace, part: int, parts: int) -> list[str]:
        urls = list(self.urls)
        if self.shuffle:
            random.Random(f"{self.seed}/{place.passes}").shuffle(urls)
        return urls[part::parts]

    def _undecoded(self, urls: Sequence[str]) -> Iterator[dict[str, Any]]:
        from webdataset import gopen
        from webdataset.tariterators import base_plus_ext, group_by_keys, tar_file_expander

        split = self._split if self._suffixes else base_plus_ext
        for url in urls:
            try:
                with gopen(url) as stream:
                    yield from group_by_keys(tar_file_expander([{"url": url, "stream": stream}]), keys=split)
            except (OSError, ValueError, tarfile.TarError) as error:
                self._complain(DataError(f"shard {url} cannot be read: {error}."))

    def _split(self, name: str) -> tuple[str | None, str | None]:
        """A file's name before and after the dot of one of the suffixes; others are no part of a sample."""
        for suffix in self._suffixes:
            if name.lower().endswith(f".{suffix}"):
                return name[: -len(suffix) - 1], suffix
        return None, None

    def _complain(self, error: DataError) -> None:
        if self.on_broken is None:
            raise error
        self.on_broken(error)

    def _decode(self, raw: dict[str, Any]) -> Sample | None:
        name = f"{raw['__key__']} of {raw['__url__']}"
        try:
            image, row = self._parts_of({k: v for k, v in raw.items() if not k.startswith("__")}, name)
            return self._read({"key": raw["__key__"], **row}, open_image(image, name, upright=self._upright))
        except DataError as error:
            self._complain(error)
            return None

    def _parts_of(self, files: dict[str, bytes], name: str) -> tuple[bytes, dict[str, Any]]:
        """The image and the JSON object among the files of a sample, by the end of their names."""
        kinds = {kind: [k for k in files if k.rpartition(".")[2] == kind] for kind in ("json", "txt")}
        images = [k for k in files if k.rpartition(".")[2] in IMAGES]
        if len(images) != 1 or not (kinds["json"] or kinds["txt"]) or max(map(len, kinds.values())) > 1:
            dots = any("." in kind for kind in files) and not self._suffixes
            hint = (
                " The first dot ends a name: where names have dots, say how they end with suffixes=." * dots
            )
            raise DataError(
                f"{name} has {', '.join(files)}: expected a .json or a caption in a .txt, and an image "
                f"({', '.join(IMAGES)}).{hint}"
            )
        row = parse_row(files[kinds["json"][0]], f"the .json of {name}") if kinds["json"] else {}
        if kinds["txt"] and not row.get("caption"):
            row = {**row, "caption": _text(files[kinds["txt"][0]], name)}
        return files[images[0]], row


def open_shards(
    urls: str | Path | Sequence[str | Path],
    *,
    box_format: BoxFormat = "xyxy",
    unit: Unit = "fraction",
    segment: SpanFinder | None = None,
    shuffle: int = 0,
    seed: int = 0,
    suffixes: Sequence[str] | None = None,
    upright: bool = True,
    class_names: Sequence[str] | None = None,
    on_broken: OnBroken | None = None,
) -> Shards:
    """`Shards` of rows with the options that `from_row` has."""
    check_box_options(box_format, unit)
    names = class_names or _class_names(find_shards(urls))

    def read(row: Row, image: Image.Image) -> Sample:
        return from_row(row, image, segment=segment, box_format=box_format, unit=unit, class_names=names)

    return Shards(
        urls,
        read=read,
        shuffle=shuffle,
        seed=seed,
        suffixes=suffixes,
        upright=upright,
        class_names=names,
        on_broken=on_broken,
    )


def _class_names(urls: Sequence[str]) -> tuple[str, ...]:
    """The names of classes that lie beside the first shard, where it is a file."""
    return read_class_names(Path(urls[0]).parent)


def find_shards(urls: str | Path | Sequence[str | Path]) -> list[str]:
    """The shards of a folder, a pattern or a list.

    Raises:
        MissingDependencyError: webdataset is not installed.
        DataError: A folder or pattern has none.
        InputError: The list is empty.
    """
    try:
        from webdataset.shardlists import expand_urls
    except ImportError as error:
        raise MissingDependencyError('Shards need webdataset: pip install "harmoclip[data]"') from error
    if not isinstance(urls, str | Path):
        found = [str(url) for url in urls]
    elif Path(urls).is_dir():
        found = sorted(map(str, Path(urls).glob("*.tar")))
    elif _WILD & set(str(urls)) and ":" not in str(urls):
        found = sorted(glob.glob(str(urls)))
    else:
        found = list(expand_urls(str(urls)))
    if not found and isinstance(urls, str | Path) and str(urls):
        raise DataError(f"{urls} has no shard: expected .tar files.")
    if not found:
        raise InputError("urls is empty: expected the name of at least one shard.")
    return found


def _text(content: bytes, name: str) -> str:
    text = content.decode("utf-8", "replace").strip()
    if not text:
        raise DataError(f"the .txt of {name}: caption is '': expected text.")
    return text


register_format("shards", open_shards, signs=("*.tar",), endings=(".tar",))
