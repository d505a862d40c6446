"""The boxes of a data set with their vectors, and what messages call them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from harmoclip.data import Sample
from harmoclip.errors import InputError

Regions = Literal["dense", "crops", "masks"]


@dataclass(frozen=True)
class RegionVectors:
    """Every usable box of a data set with its vector.

    Args:
        samples: The samples with the boxes that were kept, cut at the edges; their images have no pixels.
        vectors: `[R, D]` with L2 norm 1, box by box in the order of the samples.
        rows: `[R]` which of its sample's boxes, as the data set has them, each one is.
        left_out: The boxes that cannot be measured, each with its image, its row and why.
    """

    samples: list[Sample]
    vectors: Tensor
    rows: Tensor
    left_out: tuple[str, ...]

    @property
    def counts(self) -> list[int]:
        """The number of boxes of each sample."""
        return [len(sample.boxes) for sample in self.samples]

    @property
    def sample_index(self) -> Tensor:
        """`[R]` the sample of each box."""
        return torch.arange(len(self.samples)).repeat_interleave(torch.tensor(self.counts, dtype=torch.int64))


def checked_regions(regions: str) -> Regions:
    """The way from boxes to vectors, or an InputError that lists what is known."""
    known: tuple[Regions, ...] = get_args(Regions)
    if regions not in known:
        raise InputError(f"regions is {regions!r}: expected one of {', '.join(map(repr, known))}.")
    return known[known.index(regions)]


def region_name(regions: RegionVectors, row: int) -> str:
    """What a message calls a box: its image and which of the image's boxes it is."""
    return f"box {int(regions.rows[row])} of {sample_name(regions.samples, int(regions.sample_index[row]))}"


def patch_name(samples: Sequence[Sample], dense: Tensor) -> Callable[[int], str]:
    """From a patch of a batch `[B, H, W, D]`, counted through all images, to what a message calls it."""
    patches = dense.shape[1] * dense.shape[2]
    return lambda row: f"patch {row % patches} of {sample_name(samples, row // patches)}"


def sample_name(samples: Sequence[Sample], index: int) -> str:
    """What a message calls a sample: its key, where it has one."""
    return samples[index].key or f"sample {index}"
