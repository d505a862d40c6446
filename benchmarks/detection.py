"""`roi_align` at the sizes of detectors against torchvision's, on idle cores or beside other processes.

`python benchmarks/region_pool.py --detection` and `--busy` run it. Boxes have sides of 2 % to 42 % of the
map. Values and gradients are compared first. Every ratio is the median over turns of our time over
torchvision's, which has no bfloat16 on the CPU: its side converts, as its users have to.
"""

import itertools
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torchvision
from torch import Tensor

from harmoclip.ops import roi_align

CHANNELS = 256
GRIDS = ((50, 76), (100, 152), (200, 304))
TURNS = 5
ENOUGH = 10.0  # seconds, after which three turns do


class Case(NamedTuple):
    """One size."""

    batch: int
    grid: tuple[int, int]
    boxes: int
    bins: int
    sampling: int
    dtype: str = "float32"
    threads: int = 1


def cases(*, quick: bool = False) -> list[Case]:
    """Grids and boxes in full; batches, more bins and bfloat16 at one size each; one and all threads."""
    full = itertools.product((1,), GRIDS, (100, 1000), (7,), (2, -1))
    sizes = [Case(*size) for size in full]
    sizes += [Case(1, GRIDS[0], boxes, 7, 2) for boxes in (1, 10, 300)]
    if not quick:
        sizes += [Case(batch, GRIDS[0], 100, 7, 2) for batch in (2, 8)]
        sizes += [Case(1, GRIDS[1], 300, 14, sampling) for sampling in (2, -1)]
        sizes += [Case(1, grid, 100, 7, sampling, "bfloat16") for grid in GRIDS for sampling in (2, -1)]
    counts = sorted({1, torch.get_num_threads()})
    return [size._replace(threads=threads) for size in sizes for threads in counts]


def draw(case: Case) -> tuple[Tensor, Tensor]:
    """Maps `[B, C, H, W]` and boxes `[K, 5]` in cells."""
    generator = torch.Generator().manual_seed(0)
    count = case.batch * case.boxes
    scale = torch.tensor([case.grid[1], case.grid[0]])
    side = torch.rand(count, 2, generator=generator) * 0.4 + 0.02
    low = torch.rand(count, 2, generator=generator) * (1 - side)
    image = torch.arange(case.batch).repeat_interleave(case.boxes)[:, None]
    maps = torch.randn(case.batch, CHANNELS, *case.grid, generator=generator)
    return maps.to(getattr(torch, case.dtype)), torch.cat([image, low * scale, (low + side) * scale], 1)


def measure(case: Case) -> dict[str, Any]:
    """Milliseconds and ratios of the forward pass alone, and of forward and backward together."""
    torch.set_num_threads(case.threads)
    maps, rois = draw(case)
    maps.requires_grad_()
    grad = torch.randn(len(rois), CHANNELS, case.bins, case.bins).to(maps.dtype)
    options = (case.bins, 1.0, case.sampling, True)

    def ours() -> Tensor:
        return roi_align(maps, rois, *options)

    def peer() -> Tensor:
        return torchvision.ops.roi_align(maps.float(), rois, *options).to(maps.dtype)  # type: ignore[no-any-return]

    def full(align: Callable[[], Tensor]) -> Callable[[], Tensor]:
        return lambda: torch.autograd.grad(align(), maps, grad)[0]

    check(full(ours)(), full(peer)(), ours(), peer())
    with torch.no_grad():
        row = turns("forward", ours, peer)
    return case._asdict() | row | turns("full", full(ours), full(peer))


def check(our_grad: Tensor, peer_grad: Tensor, ours: Tensor, peer: Tensor) -> None:
    """Raise where values or gradients differ."""
    bound = 2e-2 if ours.dtype == torch.bfloat16 else 1e-4
    torch.testing.assert_close(ours, peer, atol=bound, rtol=bound)
    torch.testing.assert_close(our_grad, peer_grad, atol=4 * bound, rtol=bound)


def turns(name: str, ours: Callable[[], Tensor], peer: Callable[[], Tensor]) -> dict[str, float]:
    """One after the other, so that a disturbance meets both; the first turn warms up."""
    pairs: list[tuple[float, float]] = []
    end = time.perf_counter() + ENOUGH
    while len(pairs) < 4 or (len(pairs) <= TURNS and time.perf_counter() < end):
        pairs.append((seconds(ours), seconds(peer)))
    pairs = pairs[1:]
    our, their = (statistics.median(side) * 1e3 for side in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    return {f"{name}_ms": our, f"{name}_peer_ms": their, f"{name}_ratio": ratio}


def seconds(function: Callable[[], Any]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@contextmanager
def busy_cores() -> Iterator[None]:
    """As many processes as cores, each computing without a pause."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_burn, daemon=True) for _ in range(multiprocessing.cpu_count())]
    for worker in workers:
        worker.start()
    time.sleep(10)  # until all of them compute
    try:
        yield
    finally:
        for worker in workers:
            worker.terminate()


def _burn() -> None:
    torch.set_num_threads(1)
    values, parent = torch.randn(512, 512), os.getppid()
    while os.getppid() == parent:  # a benchmark that is killed takes this with it
        values @ values


def run(*, busy: bool) -> list[dict[str, Any]]:
    """All cases, a line each, and the worst as one JSON object in the last line."""
    rows = []
    with busy_cores() if busy else contextmanager(lambda: iter([None]))():
        for case in cases(quick=busy):
            row = measure(case)
            rows.append(row)
            times = ", ".join(
                f"{name} {row[f'{name}_ms']:.1f} ms ({row[f'{name}_ratio']:.2f})"
                for name in ("forward", "full")
            )
            print(
                f"{', '.join(f'{name} {value}' for name, value in case._asdict().items())}: {times}",
                flush=True,
            )
    print(json.dumps({key: worst(rows, key) for key in ("forward_ratio", "full_ratio")}))
    return rows


def worst(rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    """The highest ratio and its case."""
    row = max((row for row in rows if row["boxes"] >= 100), key=lambda row: row[key])
    return {"worst": round(row[key], 3), "case": {name: row[name] for name in Case._fields}}
