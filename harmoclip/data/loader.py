"""Batches for one rank that can stop in the middle of an epoch and go on there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import count
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from harmoclip.data.dataset import IdentifiedDataset, Indexed, rows_of_images
from harmoclip.data.formats.entries import OnBroken
from harmoclip.data.formats.shards import Shards, StreamPlace
from harmoclip.data.shard_loader import ShardBatches, Transform
from harmoclip.data.transforms.seeded import seeded
from harmoclip.errors import DataError, InputError
from harmoclip.notebook import table

B = TypeVar("B")
State = dict[str, Any]
_EPOCHS = 1_000_003
"""A prime: the seeds of two runs do not meet."""
_TRIES = 20
"""How many samples in the place of a broken one are tried before that is an error."""


class Loader(Generic[B]):
    """Shuffled batches of a data set, of which every rank gets an equal share without overlap.

    Over a map-style data set one iteration is an epoch: another permutation each, whose last samples that do
    not fill a batch of every rank are not used. Over `Shards` it is pass after pass, without end. Order and
    randomness depend on seed and position alone; over shards, which workers share, on their number too.

    Args:
        dataset: With `len` and samples by number, or `Shards`.
        collate: Makes a batch of a list of samples, such as a `Collator`.
        batch_size: Samples a batch and rank.
        transform: Maps each sample, in the workers.
        workers: Processes that read; 0 reads in this one.
        seed: Of the order, and of what the transform draws from torch.
        rank: Which rank this is.
        ranks: Of how many, over all nodes.
        one_caption: Take one sample of each image an epoch, in turn from one epoch to the next, so that no
            batch has an image twice. The data set has to know its `image_ids`, as every format but shards
            does.
        on_broken: Called once with the error of each image or row that cannot be read, such as
            `logging.warning`; another sample, drawn by the seed, takes its place. None raises the error.
        pin_memory: For a copy to a GPU.

    Raises:
        InputError: A number is out of range, or `one_caption` of a data set without `image_ids`.
        DataError: There is less data than one batch of every rank.

    Example:
        >>> loader = Loader(range(6), list, batch_size=2)
        >>> batches = iter(loader)
        >>> first, state = next(batches), loader.state_dict()
        >>> later = Loader(range(6), list, batch_size=2)
        >>> later.load_state_dict(state)
        >>> list(later) == list(batches)
        True
    """

    def __init__(
        self,
        dataset: Indexed[Any] | Shards,
        collate: Callable[[list[Any]], B],
        *,
        batch_size: int,
        transform: Transform | None = None,
        workers: int = 0,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        one_caption: bool = False,
        on_broken: OnBroken | None = None,
        pin_memory: bool = False,
    ) -> None:
        if batch_size < 1 or workers < 0 or not 0 <= rank < ranks:
            raise InputError(
                f"batch_size is {batch_size}, workers {workers}, rank {rank} of {ranks}: "
                "expected batch_size >= 1, workers >= 0 and 0 <= rank < ranks."
            )
        if one_caption and not isinstance(dataset, IdentifiedDataset):
            raise InputError(
                f"one_caption: {type(dataset).__name__} has no image_ids, which say which samples share an "
                "image. Shards are mixed when they are written, so that captions of an image lie far apart."
            )
        self.dataset, self.collate, self.transform = dataset, collate, transform
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self.rank, self.ranks, self.pin_memory = rank, ranks, pin_memory
        self.one_caption, self.on_broken = one_caption, on_broken
        self._epoch, self._batches = 0, 0
        self._places = [StreamPlace() for _ in range(max(workers, 1))]
        self._told: set[str] = set()
        if not isinstance(dataset, Shards) and len(self) == 0:
            what = "images" if one_caption else "samples"
            raise DataError(
                f"the data set has {self._size} {what}: expected at least {batch_size} x {ranks}, "
                "one batch of every rank. Lower batch_size."
            )

    def __len__(self) -> int:
        """Batches in an epoch; a TypeError for shards, which have no end."""
        return self._size // (self.batch_size * self.ranks)

    def __iter__(self) -> Iterator[B]:
        return self._begin([self._epoch])

    def endless(self) -> Iterator[B]:
        """Epoch after epoch, without end; the workers stay from one epoch to the next."""
        return self._begin(count(self._epoch))

    def state_dict(self) -> State:
        """Where this rank is: what follows the last batch that was taken."""
        return {
            "epoch": self._epoch,
            "batches": self._batches,
            "places": [tuple(place) for place in self._places],
            "made_with": self._setting(),
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from a state; the next iteration gives the rest of its epoch, or the next one after its end.

        Raises:
            InputError: The state was made with another batch size, seed, number of ranks or choice of
                captions (over shards, number of workers too).
        """
        if state["made_with"] != self._setting():
            raise InputError(
                f"the state was made with {state['made_with']}, this loader with {self._setting()}: "
                "expected the same, or the order would be another."
            )
        self._epoch, self._batches = state["epoch"], state["batches"]
        self._places = [StreamPlace(*place) for place in state["places"]]

    def _repr_html_(self) -> str:
        stream = isinstance(self.dataset, Shards)
        rows = {
            "data": type(self.dataset).__name__,
            "batch size": self.batch_size,
            "batches an epoch": "without end" if stream else len(self),
            "next": f"batch {self._batches} of epoch {self._epoch}",
            "rank": f"{self.rank} of {self.ranks}",
            "workers": self.workers,
        }
        return table("Loader", rows)

    def _setting(self) -> dict[str, int]:
        setting = {"batch_size": self.batch_size, "seed": self.seed, "ranks": self.ranks}
        if self.one_caption:
            setting["one_caption"] = True
        return {**setting, "workers": self.workers} if isinstance(self.dataset, Shards) else setting

    def _begin(self, epochs: Iterable[int]) -> Iterator[B]:
        if isinstance(self.dataset, Shards):
            return self._stream(self.dataset)
        return self._of_epochs(self.dataset, epochs)

    def _of_epochs(self, dataset: Indexed[Any], epochs: Iterable[int]) -> Iterator[B]:
        drawn = _Drawn(dataset, self.transform, self.seed, self.on_broken is not None)
        batches = self._batches_of(epochs, self._batches)
        together = _Together(self.collate)
        for batch, left_out in self._data_loader(drawn, batch_sampler=batches, collate_fn=together):
            more, self._batches = divmod(self._batches + 1, len(self))
            self._epoch += more
            self._tell(left_out)
            yield batch

    def _batches_of(self, epochs: Iterable[int], done: int) -> Iterator[list[tuple[int, int]]]:
        """This rank's (draw, row) of each batch; `done` of the first epoch are left out."""
        whole = self.batch_size * self.ranks
        for epoch in epochs:
            order = self._order(epoch)
            first = epoch * self._size
            for start in range(done * whole, len(self) * whole, whole):
                at = start + self.rank * self.batch_size
                yield [(first + i, order[i]) for i in range(at, at + self.batch_size)]
            done = 0

    def _order(self, epoch: int) -> list[int]:
        """The rows of an epoch in their order."""
        order: list[int] = torch.randperm(self._size, generator=self._generator(epoch)).tolist()
        if not self.one_caption:
            return order
        starts = torch.randint(2**31, (self._size,), generator=self._generator(0)).tolist()
        images = self._rows_of_images
        return [images[i][(starts[i] + epoch) % len(images[i])] for i in order]

    @cached_property
    def _rows_of_images(self) -> list[list[int]]:
        """The rows of each image."""
        return list(rows_of_images(self.dataset).values())  # type: ignore[arg-type]

    @cached_property
    def _size(self) -> int:
        """Samples of an epoch, before it is cut to whole batches."""
        return len(self._rows_of_images) if self.one_caption else len(self.dataset)  # type: ignore[arg-type]

    def _stream(self, shards: Shards) -> Iterator[B]:
        parts = ShardBatches(
            shards,
            self.collate,
            batch_size=self.batch_size,
            transform=self.transform,
            seed=self.seed,
            rank=self.rank,
            ranks=self.ranks,
            places=self._places,
            batches=self._batches,
            skip=self.on_broken is not None,
        )
        for part, place, batch, left_out in self._data_loader(parts, batch_size=None):
            self._places[part] = place
            self._batches += 1
            self._tell(left_out)
            yield batch

    def _tell(self, left_out: Iterable[str]) -> None:
        """Tell of what was left out, once each."""
        for message in left_out:
            if self.on_broken is not None and message not in self._told:
                self._told.add(message)
                self.on_broken(DataError(message))

    def _data_loader(self, dataset: Dataset[Any], **options: Any) -> DataLoader[Any]:
        return DataLoader(
            dataset,
            num_workers=self.workers,
            pin_memory=self.pin_memory,
            generator=self._generator(0),  # leaves the model's random numbers alone
            **options,
        )

    def _generator(self, epoch: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed * _EPOCHS + epoch)


class _Read(NamedTuple):
    """A sample, and what could not be read in its place."""

    sample: Any
    left_out: tuple[str, ...]


class _Drawn(Dataset[_Read]):
    """A data set asked by (draw, row); random transforms see a seed of the draw, in whichever worker."""

    def __init__(self, dataset: Indexed[Any], transform: Transform | None, seed: int, skip: bool) -> None:
        self.dataset, self.transform, self.seed, self.skip = dataset, transform, seed, skip

    def __getitem__(self, key: tuple[int, int]) -> _Read:
        draw, row = key
        left_out: list[str] = []
        others = torch.Generator().manual_seed(self.seed * _EPOCHS + draw)
        while len(left_out) < _TRIES:
            try:
                return _Read(self._sample(draw, row), tuple(left_out))
            except DataError as error:
                if not self.skip:
                    raise
                left_out.append(str(error))
            row = int(torch.randint(len(self.dataset), (), generator=others))
        raise DataError(f"{_TRIES} samples one after the other cannot be read, the last one: {left_out[-1]}")

    def _sample(self, draw: int, row: int) -> Any:
        transform = self.transform
        return seeded(
            self.seed * _EPOCHS + draw,
            lambda: self.dataset[row] if transform is None else transform(self.dataset[row]),
        )


class _Together(Generic[B]):
    """Collates samples, and joins what could not be read."""

    def __init__(self, collate: Callable[[list[Any]], B]) -> None:
        self.collate = collate

    def __call__(self, read: list[_Read]) -> tuple[B, list[str]]:
        return self.collate([r.sample for r in read]), [message for r in read for message in r.left_out]
