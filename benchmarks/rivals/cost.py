"""What a step of each objective costs: its time, and what its graph holds."""

from __future__ import annotations

import copy
import time
from statistics import median, quantiles

import torch
from torch import Tensor

from rivals.study import Study
from rivals.training import Advance, State


def step_times(
    study: Study, names: list[str], start: State, rounds: int, progress: Advance
) -> dict[str, dict[str, float]]:
    """Milliseconds of one update, the objectives taking turns on the same batches: median, p20 and p80.

    Each takes every batch twice, and the second time counts: what is computed once for a text or a crop, and
    kept, belongs to no step.
    """
    runs = {name: study.begin(name, copy.deepcopy(start), 0, 1000) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    stream = study.batches(0)
    for i in range(rounds + 2):
        batch = next(stream)
        for name, run in runs.items():
            run.step(batch)
            run.done -= 1  # the same random choices again
            begin = time.perf_counter()
            run.step(batch)
            if i >= 2:
                times[name].append(1000 * (time.perf_counter() - begin))
        progress(i + 1, 0.0)
    return {
        name: {"step_ms": median(t), "p20": quantiles(t, n=5)[0], "p80": quantiles(t, n=5)[3]}
        for name, t in times.items()
    }


def held_megabytes(study: Study, name: str, start: State) -> float:
    """What one step's graph keeps for the backward pass, without the weights, in MB."""
    run = study.begin(name, start, 0, 1000)
    weights = {p.untyped_storage().data_ptr() for p in run.objective.parameters()}
    held: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = next(study.batches(0))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = run.objective(batch)
    del loss
    return sum(held.values()) / 1e6
