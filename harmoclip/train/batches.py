"""Endless batches in an order that seed and position alone decide, so that a run can go on anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from harmoclip.errors import DataError


class _Drawn(Dataset[Any]):
    """A data set asked by (draw, row); random transforms see a seed of the draw, in whichever worker."""

    def __init__(self, dataset: Any, seed: int) -> None:
        self.dataset, self.seed = dataset, seed

    def __getitem__(self, key: tuple[int, int]) -> Any:
        draw, row = key
        state = torch.random.get_rng_state()
        torch.default_generator.manual_seed(self.seed * 1_000_003 + draw)
        try:
            return self.dataset[row]
        finally:
            torch.random.set_rng_state(state)


class _Rows:
    """Lists of (draw, row) for one rank, from a position on; every epoch is another permutation."""

    def __init__(self, length: int, batch_size: int, seed: int, rank: int, ranks: int, position: int) -> None:
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.rank, self.ranks, self.position = rank, ranks, position

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        whole = self.batch_size * self.ranks
        per_epoch = self.length // whole
        position, epoch, order = self.position, -1, []
        while True:
            if position // per_epoch != epoch:
                epoch = position // per_epoch
                seeded = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
                order = torch.randperm(self.length, generator=seeded).tolist()
            first = (position % per_epoch) * whole + self.rank * self.batch_size
            draw = position * whole + self.rank * self.batch_size
            yield [(draw + i, row) for i, row in enumerate(order[first : first + self.batch_size])]
            position += 1


def batches_from(
    position: int,
    dataset: Any,
    collate: Callable[[Sequence[Any]], Any],
    *,
    batch_size: int,
    workers: int,
    seed: int,
    rank: int = 0,
    ranks: int = 1,
    pin_memory: bool = False,
) -> Iterator[Any]:
    """Batches of a map-style data set for one rank, without end.

    The ranks share each permutation without overlap; what is left at its end is not used in that epoch.

    Args:
        position: How many batches this rank has had already.
        dataset: With `len` and rows by number.
        collate: Makes a batch of a list of samples.
        batch_size: Samples a batch and rank.
        workers: Loader processes.
        seed: Of the permutations, and of the randomness that `dataset` draws from torch.
        rank: Which rank this is.
        ranks: Of how many.
        pin_memory: For a copy to a GPU.

    Raises:
        DataError: The data set is smaller than one batch of all ranks.

    Example:
        >>> batches = batches_from(0, range(5), list, batch_size=2, workers=0, seed=0)
        >>> rows = next(batches) + next(batches)
        >>> next(batches_from(1, range(5), list, batch_size=2, workers=0, seed=0)) == rows[2:]
        True
    """
    if len(dataset) < batch_size * ranks:
        raise DataError(
            f"the data set has {len(dataset)} samples: expected at least {batch_size} x {ranks}, "
            "one batch of every process. Lower data.batch_size."
        )
    return iter(
        DataLoader(
            _Drawn(dataset, seed),
            batch_sampler=_Rows(len(dataset), batch_size, seed, rank, ranks, position),  # type: ignore[arg-type]
            collate_fn=collate,
            num_workers=workers,
            pin_memory=pin_memory,
            generator=torch.Generator().manual_seed(seed),  # leaves the model's random numbers alone
        )
    )
