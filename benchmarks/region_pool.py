"""Region pooling against torchvision's `roi_align(...).mean((2, 3))`, and against a copy of the features.

Each side gets the layout that suits it: ours tokens `[B, N, C]`, torchvision contiguous `[B, C, H, W]`. Boxes
have sides of 10 % to 90 % of the image, uniformly. Correctness is checked first. The rounds interleave the
candidates, so that a disturbance meets all of them. `--quick` measures what the JSON of the last line needs;
without it the whole sweep runs, and writes a CSV and a plot under results/. `--detection` and `--busy`
measure `roi_align` at the sizes of detectors, see `detection.py`. `--cuda` runs the tests of the kernels on
the card that is there, times it, and writes a verdict to results/CARD.json.
"""

import argparse
import csv
import itertools
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import detection
import torch
import torchvision
from peak_memory import added_mib
from torch import Tensor

from harmoclip.ops import region_pool
from harmoclip.ops._weights import region_factors
from harmoclip.ops.backends import bags, cpu

BINS = 7
ROUND = 5
RESULTS = Path(__file__).parent / "results"
Case = dict[str, Any]
CUDA_TARGETS = {"cuda_full_16": 5.0, "cuda_full_64": 5.0, "cuda_bandwidth_64": 0.7}
"""Times faster than torchvision and the mean, and the share of a copy's bandwidth in the backward pass."""
HALVES = ("bfloat16", "float16")
# the cases of the last line; 20 boxes an image is the load of panoptic segments, or of a grid of patches
# at a grid of 14 the batch is one whose features leave the cache, as they do in training
HEADLINE: list[Case] = [
    {"grid": 14, "batch": 64, "boxes": 20, "channels": 768},
    {"grid": 16, "batch": 32, "boxes": 20, "channels": 768},
    {"grid": 64, "batch": 8, "boxes": 20, "channels": 768},
]


def sweep() -> list[Case]:
    cases = [*HEADLINE, {"grid": 14, "batch": 32, "boxes": 20, "channels": 768}]
    cases += [{"grid": g, "batch": 16, "boxes": 10, "channels": 768} for g in (7, 14, 16, 24, 37, 64)]
    cases += [{"grid": 14, "batch": 16, "boxes": 10, "channels": c} for c in (512, 1024, 1408)]
    cases += [{"grid": 14, "batch": 16, "boxes": n, "channels": 768} for n in (1, 3, 30, 100)]
    cases += [{"grid": g, "batch": 16, "boxes": 10, "channels": 768, "uneven": True} for g in (14, 64)]
    cases += [{"grid": 14, "batch": 16, "boxes": 10, "channels": 768, "dtype": d} for d in HALVES]
    return cases


def draw(case: Case, device: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    batch, grid, dtype = case["batch"], case["grid"], getattr(torch, case.get("dtype", "float32"))
    counts = torch.full((batch,), case["boxes"])
    if case.get("uneven"):  # one image has half of all boxes
        counts = torch.full((batch,), max(1, case["boxes"] // 2))
        counts[0] = batch * case["boxes"] // 2
    regions = int(counts.sum())
    side = torch.rand(regions, 2, generator=generator) * 0.8 + 0.1
    low = torch.rand(regions, 2, generator=generator) * (1 - side)
    tokens = torch.randn(batch, grid * grid, case["channels"], generator=generator).to(device, dtype)
    maps = tokens.unflatten(1, (grid, grid)).permute(0, 3, 1, 2).contiguous()
    boxes, index = torch.cat([low, low + side], 1), torch.arange(batch).repeat_interleave(counts)
    return {
        "tokens": tokens.requires_grad_(),
        "maps": (maps.float() if device == "cpu" else maps).requires_grad_(),
        "boxes": boxes.to(device),
        "index": index.to(device),
        "rois": torch.cat([index[:, None], boxes * grid], 1).to(device, torch.float32),
        "weight": torch.randn(regions, case["channels"], generator=generator).to(device, dtype),
    }


def candidates(case: Case, data: dict[str, Tensor]) -> dict[str, Callable[[], Any]]:
    grid, weight = (case["grid"], case["grid"]), data["weight"]

    def ours() -> Tensor:
        return region_pool(data["tokens"], data["boxes"], data["index"], grid=grid, bins=BINS)

    def peer() -> Tensor:
        rois = data["rois"].to(data["maps"].dtype)
        return torchvision.ops.roi_align(data["maps"], rois, BINS, 1.0, -1, True).mean((2, 3))

    out = ours()
    return {
        "copy": lambda: data["tokens"].detach().clone(),
        "ours_forward": ours,
        "ours_backward": lambda: torch.autograd.grad(out, data["tokens"], weight, retain_graph=True),
        "ours_full": lambda: torch.autograd.grad(ours(), data["tokens"], weight),
        "peer_forward": peer,
        "peer_full": lambda: torch.autograd.grad(peer(), data["maps"], weight.to(data["maps"].dtype)),
    }


def compiled(case: Case, data: dict[str, Tensor]) -> dict[str, Callable[[], Any]]:
    """The peer as a whole program of `torch.compile`, forward and backward."""
    weight = data["weight"].to(data["maps"].dtype)
    rois = data["rois"].to(data["maps"].dtype)

    torch.compiler.reset()

    @torch.compile(dynamic=False)
    def peer(maps: Tensor) -> Tensor:
        return torchvision.ops.roi_align(maps, rois, BINS, 1.0, -1, True).mean((2, 3))

    return {"peer_compiled_full": lambda: torch.autograd.grad(peer(data["maps"]), data["maps"], weight)}


def check(case: Case, data: dict[str, Tensor]) -> None:
    runs = candidates(case, data)
    low = data["tokens"].dtype in (torch.float16, torch.bfloat16)
    bound = 2e-2 if low else 1e-4
    torch.testing.assert_close(
        runs["ours_forward"]().float(), runs["peer_forward"]().float(), atol=bound, rtol=bound
    )
    (ours,), (peer,) = runs["ours_full"](), runs["peer_full"]()
    torch.testing.assert_close(ours.float(), peer.flatten(2).transpose(1, 2).float(), atol=bound, rtol=bound)


def seconds(function: Callable[[], Any], device: str) -> float:
    start = time.perf_counter()
    function()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure(case: Case, device: str, budget: float, *, whole: bool) -> Case:
    """Median, p20 and p80 in milliseconds of each candidate, in interleaved rounds for `budget` seconds.

    With `whole` also the peer under `torch.compile`, and the peak memory of each.
    """
    data = draw(case, device)
    check(case, data)
    runs = candidates(case, data)
    if whole:
        runs |= compiled(case, data)
    times: dict[str, list[float]] = {name: [] for name in runs}
    end = time.perf_counter() + budget
    while time.perf_counter() < end or len(times["copy"]) < 2 * ROUND:
        for name, run in runs.items():
            if name.startswith("peer"):
                times[name].append(seconds(run, device))
            else:  # short ones repeat, after a call that pays for the memory which the last candidate left
                times[name] += [seconds(run, device) for _ in range(ROUND + 1)][1:]
    row: Case = {"device": device, **case, "boxes_in_all": len(data["boxes"])}
    for name, values in times.items():
        low, *_, high = statistics.quantiles([v * 1e3 for v in values], n=5)
        row |= {name: statistics.median(values) * 1e3, f"{name}_p20": low, f"{name}_p80": high}
    if whole:
        row |= {f"{name}_peak_mib": added_mib(run, device) for name, run in runs.items()}
    print(describe(row), flush=True)
    return row


def describe(row: Case) -> str:
    keys = ("grid", "batch", "boxes", "channels")
    what = " ".join(f"{key}={row[key]}" for key in keys) + " uneven" * bool(row.get("uneven"))
    return (
        f"{row['device']} {what} {row.get('dtype', 'float32')}: copy {row['copy']:.2f} ms, ours "
        f"{row['ours_forward']:.2f} forward {row['ours_full']:.2f} full, "
        f"torchvision {row['peer_full']:.1f} full, {row['peer_full'] / row['ours_full']:.1f} times faster"
    )


def summary(rows: dict[tuple[str, int], Case]) -> dict[str, float | None]:
    def ratio(device: str, grid: int, above: str, below: str) -> float | None:
        row = rows.get((device, grid))
        return round(row[above] / row[below], 3) if row else None

    wide = rows.get(("cuda", 64))
    # a copy reads and writes the features once; the gradient is written once, and read nowhere
    bandwidth = round(wide["copy"] / 2 / wide["ours_backward"], 3) if wide else None
    return {
        "cpu_full_14": ratio("cpu", 14, "peer_full", "ours_full"),
        "cpu_full_16": ratio("cpu", 16, "peer_full", "ours_full"),
        "cpu_full_64": ratio("cpu", 64, "peer_full", "ours_full"),
        "cpu_forward_14_over_copy": ratio("cpu", 14, "ours_forward", "copy"),
        "cpu_full_64_over_copy": ratio("cpu", 64, "ours_full", "copy"),
        "cuda_full_16": ratio("cuda", 16, "peer_full", "ours_full"),
        "cuda_full_64": ratio("cuda", 64, "peer_full", "ours_full"),
        "cuda_bandwidth_64": bandwidth,
    }


def threshold() -> None:
    """Milliseconds of every way that the CPU has, over grids, boxes and their size, and what is chosen."""
    rows: list[Case] = []
    for grid, boxes, side in itertools.product(
        (14, 37, 64), (3, 10, 30, 100), (0.05, 0.15, 0.3, 0.5, 0.7, 0.95)
    ):
        batch = max(2, 3000 // grid**2)
        generator = torch.Generator().manual_seed(0)
        low = torch.rand(batch * boxes, 2, generator=generator) * (1 - side)
        factors = region_factors(torch.cat([low, low + side], 1), (grid, grid), (1, 1), -1)
        high, wide = (factor[:, None] for factor in factors)
        where = (high, wide, torch.arange(batch).repeat_interleave(boxes))
        tokens = torch.randn(batch, grid * grid, 768, generator=generator)
        grad = torch.randn(batch * boxes, 1, 1, 768, generator=generator)
        pool = {
            "bags": lambda: bags.pool(tokens, *where, 0),  # noqa: B023
            "cells": lambda: over_cells(lambda: cpu.pool(tokens, *where, 0)),  # noqa: B023
        }
        size = (batch, grid * grid, 0)
        spread = {
            "bags": lambda: bags.spread(grad, *where, *size),  # noqa: B023
            "cells": lambda: over_cells(lambda: cpu.spread(grad, *where, *size)),  # noqa: B023
        }
        row: Case = {"grid": grid, "batch": batch, "boxes": boxes, "side": side}
        for name, ways in (("pool", pool), ("spread", spread)):
            row |= {f"{name}_{way}": round(least(function), 3) for way, function in ways.items()}
        row["entries"] = int(bags.entry_count(high, wide).sum())
        row["pool_chosen"] = chosen(bags, "pool", lambda: cpu.pool(tokens, *where, 0))  # noqa: B023
        row["spread_chosen"] = chosen(bags, "spread", lambda: cpu.spread(grad, *where, *size))  # noqa: B023
        rows.append(row)
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    write(rows, "region_pool_threshold.csv")
    for name in ("pool", "spread"):
        lost = [
            row[f"{name}_{row[name + '_chosen']}"] / min(row[f"{name}_bags"], row[f"{name}_cells"])
            for row in rows
        ]
        print(
            f"{name}: the choice takes {statistics.geometric_mean(lost):.3f} times the best, "
            f"at worst {max(lost):.2f}"
        )


def over_cells(function: Callable[[], Any]) -> Any:
    """Run with the choice held to the product with every cell."""
    with mock.patch.object(cpu, "_bags_pay", return_value=False):
        return function()


def chosen(module: Any, name: str, function: Callable[[], Any]) -> str:
    """Which way the choice takes."""
    with mock.patch.object(module, name, wraps=getattr(module, name)) as way:
        function()
    return "bags" if way.called else "cells"


def least(function: Callable[[], Any]) -> float:
    function()
    return min(seconds(function, "cpu") for _ in range(ROUND)) * 1e3


def write(rows: list[Case], name: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with (RESULTS / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def save(rows: list[Case]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    write(rows, "region_pool.csv")
    line = [row for row in rows if row["boxes"] == 10 and row["channels"] == 768]
    line = [row for row in line if not row.get("uneven") and "dtype" not in row and row["device"] == "cpu"]
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, label in (
        ("peer_full", "torchvision"),
        ("ours_full", "harmoclip"),
        ("copy", "copy of the features"),
    ):
        axes.plot([row["grid"] for row in line], [row[name] for row in line], marker="o", label=label)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="grid side",
        ylabel="ms, forward and backward",
        title="16 images, 160 boxes",
    )
    axes.set_xticks([row["grid"] for row in line], [str(row["grid"]) for row in line], minor=False)
    axes.minorticks_off()
    axes.legend()
    figure.savefig(RESULTS / "region_pool.png", dpi=120)


def judge_card() -> int:
    """Run the GPU's tests of values and gradients, then time it, and keep a verdict; 0 if all is reached."""
    if not torch.cuda.is_available():
        sys.exit(f"--cuda needs a CUDA device, and torch {torch.__version__} sees none here.")
    tests = ["tests/ops/test_triton.py", "-q", "-m", "gpu", "--require-gpu"]
    right = subprocess.run([sys.executable, "-m", "pytest", *tests], cwd=RESULTS.parents[1]).returncode == 0
    name = torch.cuda.get_device_name()
    rows = [measure(case, "cuda", 8.0, whole=True) for case in HEADLINE]
    found = summary({("cuda", row["grid"]): row for row in rows})
    reached = right and all((found[key] or 0.0) >= least for key, least in CUDA_TARGETS.items())
    verdict = {"card": name, "torch": torch.__version__, "tests_pass": right}
    verdict |= {key: {"found": found[key], "at_least": CUDA_TARGETS[key]} for key in CUDA_TARGETS}
    verdict["verdict"] = "reached" if reached else "not reached"
    file = RESULTS / f"{name.lower().replace(' ', '_')}.json"
    file.write_text(json.dumps({**verdict, "rows": rows}, indent=2) + "\n")
    print(json.dumps(verdict))
    return 0 if reached else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what the last line needs, within 45 s")
    parser.add_argument(
        "--threshold", action="store_true", help="only the sweep behind the choice on the CPU"
    )
    parser.add_argument("--detection", action="store_true", help="only roi_align at the sizes of detectors")
    parser.add_argument(
        "--cuda", action="store_true", help="only the GPU: its tests, then the headline cases"
    )
    parser.add_argument("--busy", action="store_true", help="the same while other processes use all cores")
    options = parser.parse_args()
    if options.threshold:
        threshold()
        return
    if options.detection or options.busy:
        rows = detection.run(busy=options.busy)
        write(rows, f"roi_align_{'busy' if options.busy else 'detection'}.csv")
        return
    if options.cuda:
        sys.exit(judge_card())
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"{torch.get_num_threads()} CPU threads, {card}, torch {torch.__version__}, ", end="")
    print(f"torchvision {torchvision.__version__}, Python {platform.python_version()}")
    cases = HEADLINE if options.quick else sweep()
    whole = not options.quick
    rows = [measure(case, device, 8.0 if whole else 3.0, whole=whole) for device in devices for case in cases]
    if not options.quick:
        save(rows)
    first = {(row["device"], row["grid"]): row for row in reversed(rows) if not row.get("uneven")}
    print(json.dumps(summary(first)))


if __name__ == "__main__":
    main()
