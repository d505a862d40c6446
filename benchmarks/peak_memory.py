"""The most memory that a piece of work holds, for the benchmarks."""

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

import torch


def peak_mib(work: Callable[[], object], device: str) -> float:
    """MiB held at most while `work` runs: the device's, or on the CPU the whole process's (Linux)."""
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        work()
        return torch.cuda.max_memory_allocated() / 2**20
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the peak so far
    work()
    return _status("VmHWM")


def added_mib(work: Callable[[], object], device: str) -> float:
    """MiB that `work` takes at most beyond what is held before it."""
    gc.collect()
    if device == "cuda":
        return -torch.cuda.memory_allocated() / 2**20 + peak_mib(work, device)
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return -_status("VmRSS") + peak_mib(work, device)


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {name}")
