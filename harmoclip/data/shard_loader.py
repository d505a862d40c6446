"""The batches of one rank from shards, each worker reading its own part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Generic, NamedTuple, TypeVar

from torch.utils.data import IterableDataset, get_worker_info

from harmoclip.data.formats.shards import Shards, StreamPlace
from harmoclip.data.sample import Sample
from harmoclip.data.transforms.seeded import seeded
from harmoclip.errors import DataError

B = TypeVar("B")
Transform = Callable[[Sample], Sample]


class StreamedBatch(NamedTuple, Generic[B]):
    """A batch, the part of the stream it is from, where to go on after it, and what was left out before."""

    part: int
    place: StreamPlace
    batch: B
    left_out: list[str]


class ShardBatches(IterableDataset[StreamedBatch[B]], Generic[B]):
    """The batches of a rank, pass after pass without end; every worker reads its own part of the shards.

    Args:
        shards: What to read.
        collate: Makes a batch of a list of samples.
        batch_size: Samples a batch.
        transform: Maps each sample, with random numbers of its own seed.
        seed: Of these.
        rank: Which rank this is.
        ranks: Of how many.
        places: Where each part of the rank goes on.
        batches: How many batches were taken before.
        skip: Whether broken samples are left out and told with the batch.
    """

    def __init__(
        self,
        shards: Shards,
        collate: Callable[[list[Sample]], B],
        *,
        batch_size: int,
        transform: Transform | None,
        seed: int,
        rank: int,
        ranks: int,
        places: Sequence[StreamPlace],
        batches: int,
        skip: bool,
    ) -> None:
        self._left_out: list[str] = []
        self.shards = copy(shards)
        if skip:
            self.shards.on_broken = self._leave_out
        self.collate, self.transform, self.batch_size, self.seed = collate, transform, batch_size, seed
        self.rank, self.ranks, self.places, self.batches = rank, ranks, list(places), batches

    def __iter__(self) -> Iterator[StreamedBatch[B]]:
        worker = get_worker_info()
        workers = len(self.places)
        # batches come from the workers in turn: the first new one takes the part whose turn it is
        part = ((worker.id if worker else 0) + self.batches) % workers
        whole, of = self.rank * workers + part, self.ranks * workers
        waiting: list[Sample] = []
        for place, sample in self.shards.stream(self.places[part], whole, of):
            number = hash((self.seed, whole, *place)) % 2**62  # of whole numbers: equal everywhere
            waiting.append(self._mapped(number, sample))
            if len(waiting) == self.batch_size:
                left_out, self._left_out[:] = list(self._left_out), []
                yield StreamedBatch(part, place, self.collate(waiting), left_out)
                waiting = []

    def _mapped(self, number: int, sample: Sample) -> Sample:
        transform = self.transform
        return sample if transform is None else seeded(number, lambda: transform(sample))

    def _leave_out(self, error: DataError) -> None:
        self._left_out.append(str(error))
