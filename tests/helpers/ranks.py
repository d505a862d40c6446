"""Checks that run in every process of a torchrun launch; prints one line of JSON a check.

A check is a generator: what comes before its `yield` runs as one process, the rest as one rank of many.
"""

import copy
import inspect
import json
import os
import sys
import time
import traceback
import warnings
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from harmoclip.losses import Positives, gather
from tests.helpers.world import (
    assert_same,
    batch,
    gradients,
    harmonized,
    one_process,
    own_batch,
    rich_batch,
    small_clip,
)


def averaged(module):
    """Gradients after an average over ranks, by hand."""
    grads = {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in module.named_parameters()
    }
    for grad in grads.values():
        dist.all_reduce(grad)
        grad /= dist.get_world_size()
    return grads


def run(module, inputs=None):
    losses = module(*(inputs or own_batch()))
    losses["loss"].backward()
    return {name: value.detach() for name, value in losses.items()}


def same_as_one_process(expected, options, inputs=None, **ddp):
    harmo = harmonized(**options)
    module = DistributedDataParallel(harmo, **ddp)
    assert_same(run(module, inputs), expected[0])
    assert_same(gradients(harmo), expected[1])


# ------------------------------------------------------------------ gathering


def rows_of_every_rank():
    yield
    rank, world = dist.get_rank(), dist.get_world_size()
    rows = torch.full((rank, 3), float(rank), dtype=torch.float64, requires_grad=True)  # none on rank 0
    found = gather(rows)
    expected = torch.cat([torch.full((r, 3), float(r), dtype=torch.float64) for r in range(world)])
    torch.testing.assert_close(found.all, expected)
    assert (found.counts, found.start) == (tuple(range(world)), sum(range(rank)))
    weight = torch.arange(len(expected), dtype=torch.float64)[:, None] * (rank + 1)
    (found.all * weight).sum().backward()
    start = found.start
    summed = torch.arange(start, start + rank, dtype=torch.float64)[:, None] * sum(range(1, world + 1))
    torch.testing.assert_close(rows.grad, summed.expand(rank, 3))


def nothing_anywhere():
    yield
    rows = torch.zeros(0, 3, requires_grad=True)
    found = gather(rows)
    found.all.sum().backward()
    assert found.all.shape == rows.grad.shape == (0, 3)


def one_collective_for_each_tensor():
    yield
    calls = Counter()

    def counted(name):
        original = getattr(dist, name)

        def call(*args, **kwargs):
            calls[name] += 1
            return original(*args, **kwargs)

        return patch.object(dist, name, call)

    renamed = hasattr(dist, "all_gather_single")  # since torch 2.14
    gathering = "all_gather_single" if renamed else "all_gather_into_tensor"
    scattering = "reduce_scatter_single" if renamed else "reduce_scatter_tensor"
    harmo = harmonized()
    with ExitStack() as stack:
        for name in (gathering, scattering, "all_reduce", "all_gather", "broadcast"):
            stack.enter_context(counted(name))
        losses = harmo(*own_batch())
        # counts; image, text, regions, phrases, labels, boxes, means of regions; the values of four losses
        assert calls == {gathering: 8, "all_reduce": 4}, calls
        calls.clear()
        losses["loss"].backward()
        assert calls == {scattering: 5}, calls


# ------------------------------------------------------------------ the same answer


def ddp_softmax():
    expected = one_process()
    yield
    same_as_one_process(expected, {})


def ddp_whole_loss_on_every_rank():
    expected = one_process()
    yield
    same_as_one_process(expected, {"local_loss": False})


def ddp_sigmoid():
    def options():
        return {"model": small_clip(init_logit_bias=-3.0, init_logit_scale=1.5), "temperatures": "separate"}

    expected = one_process(**options())
    yield
    same_as_one_process(expected, options())
    same_as_one_process(expected, {**options(), "local_loss": False})


def region_texts(options):
    """Photographs on several ranks, images without a caption, negatives, texts of their own."""
    expected = one_process(rich_batch(), **options())
    yield
    inputs = rich_batch(dist.get_rank(), dist.get_world_size())
    same_as_one_process(expected, options(), inputs)
    same_as_one_process(expected, {**options(), "local_loss": False}, inputs)


def ddp_region_texts_softmax():
    yield from region_texts(lambda: {"weights": {"hard_negative": 0.5}, "balance": True})


def ddp_region_texts_sigmoid():
    def options():
        model = small_clip(init_logit_bias=-3.0, init_logit_scale=1.5)
        return {"model": model, "weights": {"hard_negative": 0.5}, "temperatures": "separate"}

    yield from region_texts(options)


def ddp_kinds_of_captions():
    yield from region_texts(lambda: {"several_captions": "separate"})


def ddp_synonyms():
    positives = Positives(synonyms=0.2)  # of a tower that was never trained
    expected, plain = one_process(positives=positives), one_process()
    assert expected[0]["lexeme_region_loss"] < plain[0]["lexeme_region_loss"]
    yield
    same_as_one_process(expected, {"positives": positives})
    same_as_one_process(expected, {"positives": positives, "local_loss": False})


def labels_of_some_ranks_only():
    """A grounding without labels stands for what they say by default."""
    expected = one_process()
    yield
    images, texts, grounding = own_batch()
    count = len(images)
    if dist.get_rank() == 1:
        texts = torch.cat([texts, texts[:1]])
        more = torch.full((count, 2), -1)
        more[0, 1] = count  # a caption of a kind of its own has nothing to be compared with
        grounding = grounding.replace(
            image_id=torch.arange(count), captioned=torch.ones(count, dtype=torch.bool), more_captions=more
        )
    same_as_one_process(expected, {"several_captions": "separate"}, (images, texts, grounding))


def ddp_static_graph():
    options = {"lexemes": "spans", "dense": "plain", "global_region": "image"}
    expected = one_process(**options)
    yield
    same_as_one_process(expected, options, static_graph=True)


def ddp_find_unused_parameters():
    options = {"lexemes": "phrases"}
    expected = one_process(**options)
    yield
    same_as_one_process(expected, options, find_unused_parameters=True)


def ddp_crops_teacher_and_balance():
    def options():
        teacher = small_clip()
        with torch.no_grad():
            teacher.visual.proj.add_(0.1)
        return {
            "global_region": "crops", "teacher": teacher.requires_grad_(False), "balance": True,
            "weights": {"lexeme_region": [(0, 0.5), (4, 1.5)]},
        }  # fmt: skip

    expected = one_process(**options())
    yield
    same_as_one_process(expected, options())


def a_gradient_average_by_hand():
    expected = one_process()
    yield
    harmo = harmonized()
    run(harmo)
    assert_same(averaged(harmo), expected[1])


def gradient_accumulation():
    """Two halves under no_sync and sync give the mean of two steps of one process."""
    swapped = batch()[0].flip(-1)
    harmo = harmonized()
    for inputs in (batch(), (swapped, *batch()[1:])):
        (harmo(*inputs)["loss"] / 2).backward()
    expected = gradients(harmo)
    yield
    harmo = harmonized()
    module = DistributedDataParallel(harmo)
    images, texts, grounding = own_batch()
    with module.no_sync():
        (module(images, texts, grounding)["loss"] / 2).backward()
    (module(images.flip(-1), texts, grounding)["loss"] / 2).backward()
    assert_same(gradients(harmo), expected)


def checkpointing_and_copies_under_ddp():
    expected = one_process()
    yield
    harmo = harmonized()
    harmo.model.set_grad_checkpointing(True)
    twin = copy.deepcopy(harmo)
    module = DistributedDataParallel(harmo)
    assert_same(run(module), expected[0])
    assert_same(gradients(harmo), expected[1])
    torch.testing.assert_close(twin(*own_batch())["loss"].detach(), expected[0]["loss"])


# ------------------------------------------------------------------ FSDP2


def sharded(**options):
    policy = options.pop("policy", MixedPrecisionPolicy())
    harmo = harmonized(**options)
    scale = harmo.model.logit_scale
    harmo.model.logit_scale = torch.nn.Parameter(scale.detach().reshape(1))
    for tower in (harmo.model.visual, harmo.model):
        for block in tower.transformer.resblocks:
            fully_shard(block, mp_policy=policy)
    return fully_shard(harmo, mp_policy=policy)


def full(module):
    grads = {name: p.grad.full_tensor() for name, p in module.named_parameters() if p.grad is not None}
    return {name: grad.reshape(()) if name.endswith("logit_scale") else grad for name, grad in grads.items()}


def fsdp_value_and_phrases():
    expected = one_process()
    yield
    harmo = sharded()
    assert_same(run(harmo), expected[0])
    assert_same(full(harmo), expected[1])


def fsdp_plain_and_spans():
    options = {"dense": "plain", "lexemes": "spans", "temperatures": "separate"}
    expected = one_process(**options)
    yield
    harmo = sharded(**options)
    assert_same(run(harmo), expected[0])
    assert_same(full(harmo), expected[1])


def fsdp_region_texts():
    options = {"weights": {"hard_negative": 0.5}}
    expected = one_process(rich_batch(), **options)
    yield
    harmo = sharded(**options)
    assert_same(run(harmo, rich_batch(dist.get_rank(), dist.get_world_size())), expected[0])
    assert_same(full(harmo), expected[1])


def fsdp_mixed_precision():
    expected = one_process()
    yield
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    harmo = sharded(policy=policy, model=small_clip().float())
    images, texts, grounding = own_batch()
    losses = run(harmo, (images.float(), texts, grounding))
    assert all(value.dtype == torch.float32 for value in losses.values())
    torch.testing.assert_close(losses["loss"].double(), expected[0]["loss"], rtol=3e-2, atol=3e-2)


CHECKS = {
    name: f
    for name, f in globals().items()
    if inspect.isgeneratorfunction(f) and not inspect.signature(f).parameters
}


def backend() -> str:
    """NCCL with a GPU for every rank, gloo otherwise; what follows is made on the device."""
    if torch.cuda.device_count() < int(os.environ["WORLD_SIZE"]):
        return "gloo"
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.set_default_device("cuda")
    return "nccl"


def report(name, fault=None):
    print(json.dumps({"check": name, "faults": [fault] if fault else []}), flush=True)


def main(names):
    """Run the checks; a rank with a fault ends at once, and the launcher ends the others."""
    warnings.simplefilter("always")
    torch.set_num_threads(1)
    chosen = backend()
    checks = {name: CHECKS[name]() for name in names or CHECKS}
    for check in checks.values():
        next(check)
    dist.init_process_group(chosen, timeout=timedelta(seconds=300))
    passed = torch.zeros(1)
    for name, check in checks.items():
        try:
            next(check, None)
            dist.all_reduce(passed)
        except Exception:
            report(name, traceback.format_exc())
            os._exit(1)
        if dist.get_rank() == 0:
            report(name)
    time.sleep(1)  # a group of torch 2.6 that ends while its thread frees a tensor waits for itself
    dist.destroy_process_group()


if __name__ == "__main__":
    from tests.helpers.warning_policy import ours_are_errors

    with ours_are_errors():
        main(sys.argv[1:])
