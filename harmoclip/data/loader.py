"""Batches for one rank that can stop in the middle of an epoch and go on there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from harmoclip.data.formats.shards import Place, Shards
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError, InputError

B = TypeVar("B")
State = dict[str, Any]
_EPOCHS = 1_000_003
"""A prime: the seeds of two runs do not meet."""


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
        pin_memory: For a copy to a GPU.

    Raises:
        InputError: A number is out of range.
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
        dataset: Any,
        collate: Callable[[list[Any]], B],
        *,
        batch_size: int,
        transform: Callable[[Sample], Sample] | None = None,
        workers: int = 0,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        pin_memory: bool = False,
    ) -> None:
        if batch_size < 1 or workers < 0 or not 0 <= rank < ranks:
            raise InputError(
                f"batch_size is {batch_size}, workers {workers}, rank {rank} of {ranks}: "
                "expected batch_size >= 1, workers >= 0 and 0 <= rank < ranks."
            )
        self.dataset, self.collate, self.transform = dataset, collate, transform
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self.rank, self.ranks, self.pin_memory = rank, ranks, pin_memory
        self._epoch, self._batches = 0, 0
        self._places = [Place() for _ in range(max(workers, 1))]
        if not isinstance(dataset, Shards) and len(self) == 0:
            raise DataError(
                f"the data set has {len(dataset)} samples: expected at least {batch_size} x {ranks}, "
                "one batch of every rank. Lower batch_size."
            )

    def __len__(self) -> int:
        """Batches in an epoch; a TypeError for shards, which have no end."""
        return int(len(self.dataset) // (self.batch_size * self.ranks))

    def __iter__(self) -> Iterator[B]:
        return self._stream() if isinstance(self.dataset, Shards) else self._epochs([self._epoch])

    def endless(self) -> Iterator[B]:
        """Epoch after epoch, without end; the workers stay from one epoch to the next."""
        return self._stream() if isinstance(self.dataset, Shards) else self._epochs(count(self._epoch))

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
            InputError: The state was made with another batch size, seed or number of ranks (over shards, of
                workers too).
        """
        if state["made_with"] != self._setting():
            raise InputError(
                f"the state was made with {state['made_with']}, this loader with {self._setting()}: "
                "expected the same, or the order would be another."
            )
        self._epoch, self._batches = state["epoch"], state["batches"]
        self._places = [Place(*place) for place in state["places"]]

    def _setting(self) -> dict[str, int]:
        setting = {"batch_size": self.batch_size, "seed": self.seed, "ranks": self.ranks}
        return {**setting, "workers": self.workers} if isinstance(self.dataset, Shards) else setting

    def _epochs(self, epochs: Iterable[int]) -> Iterator[B]:
        drawn = _Drawn(self.dataset, self.transform, self.seed)
        batches = self._batches_of(epochs, self._batches)
        for batch in self._data_loader(drawn, batch_sampler=batches, collate_fn=self.collate):
            more, self._batches = divmod(self._batches + 1, len(self))
            self._epoch += more
            yield batch

    def _batches_of(self, epochs: Iterable[int], done: int) -> Iterator[list[tuple[int, int]]]:
        """This rank's (draw, row) of each batch; `done` of the first epoch are left out."""
        whole = self.batch_size * self.ranks
        for epoch in epochs:
            order = torch.randperm(len(self.dataset), generator=self._generator(epoch)).tolist()
            first = epoch * len(self.dataset)
            for start in range(done * whole, len(self) * whole, whole):
                at = start + self.rank * self.batch_size
                yield [(first + i, order[i]) for i in range(at, at + self.batch_size)]
            done = 0

    def _stream(self) -> Iterator[B]:
        parts = _Parts(self)
        for part, place, batch in self._data_loader(parts, batch_size=None):
            self._places[part] = place
            self._batches += 1
            yield batch

    def _data_loader(self, dataset: Any, **options: Any) -> DataLoader[Any]:
        return DataLoader(
            dataset,
            num_workers=self.workers,
            pin_memory=self.pin_memory,
            generator=self._generator(0),  # leaves the model's random numbers alone
            **options,
        )

    def _generator(self, epoch: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed * _EPOCHS + epoch)


class _Drawn(Dataset[Any]):
    """A data set asked by (draw, row); random transforms see a seed of the draw, in whichever worker."""

    def __init__(self, dataset: Any, transform: Callable[[Any], Any] | None, seed: int) -> None:
        self.dataset, self.transform, self.seed = dataset, transform, seed

    def __getitem__(self, key: tuple[int, int]) -> Any:
        draw, row = key
        return _seeded(self.seed * _EPOCHS + draw, lambda: _mapped(self.transform, self.dataset[row]))


class _Parts(IterableDataset[Any]):
    """A rank's batches of shards; each worker reads its own part and says where it is."""

    def __init__(self, loader: Loader[Any]) -> None:
        self.dataset, self.transform, self.collate = loader.dataset, loader.transform, loader.collate
        self.batch_size, self.seed, self.rank, self.ranks = (
            loader.batch_size, loader.seed, loader.rank, loader.ranks,
        )  # fmt: skip
        self.places, self.batches = list(loader._places), loader._batches

    def __iter__(self) -> Iterator[tuple[int, Place, Any]]:
        worker = get_worker_info()
        workers = len(self.places)
        # batches come from the workers in turn: the first new one takes the part whose turn it is
        part = ((worker.id if worker else 0) + self.batches) % workers
        whole, of = self.rank * workers + part, self.ranks * workers
        waiting: list[Any] = []
        for place, sample in self.dataset.stream(self.places[part], whole, of):
            number = hash((self.seed, whole, *place)) % 2**62  # of whole numbers: equal everywhere
            waiting.append(_seeded(number, lambda s=sample: _mapped(self.transform, s)))  # type: ignore[misc]
            if len(waiting) == self.batch_size:
                yield part, place, self.collate(waiting)
                waiting = []


def _mapped(transform: Callable[[Any], Any] | None, sample: Any) -> Any:
    return transform(sample) if transform else sample


def _seeded(seed: int, make: Callable[[], B]) -> B:
    state = torch.random.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        return make()
    finally:
        torch.random.set_rng_state(state)
