"""The same losses and gradients from 1, 2 and 4 processes; `ranks.py` holds the checks."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import open_clip
import pytest
import torch
from torch.torch_version import TorchVersion

from tests.helpers.processes import communicate

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "helpers" / "ranks.py"
CHECKS = [
    line[4 : line.index("(")]
    for line in SCRIPT.read_text().split("\ndef main")[0].splitlines()
    if line.startswith("def ") and line.endswith("():")
]
CORE = [
    "rows_of_every_rank",
    "one_collective_for_each_tensor",
    "ddp_softmax",
    "ddp_sigmoid",
    "ddp_region_texts_softmax",
    "fsdp_value_and_phrases",
]
ALONE = ["ddp_softmax", "ddp_sigmoid", "fsdp_value_and_phrases"]
if not (torch.cuda.is_available() or hasattr(torch.cpu.Stream, "record_event")):  # FSDP2 of torch 2.6
    CHECKS, CORE, ALONE = (
        [name for name in names if not name.startswith("fsdp")] for names in (CHECKS, CORE, ALONE)
    )
if TorchVersion(open_clip.__version__) < "2.32":  # its reentrant checkpoints run a block once under DDP
    CHECKS = [name for name in CHECKS if name != "checkpointing_and_copies_under_ddp"]
CASES = [(1, name) for name in ALONE] + [(2, name) for name in CHECKS] + [(4, name) for name in CORE]
SLOW = [(4, name) for name in CHECKS if name not in CORE]


@cache
def launch(ranks: int, names: tuple[str, ...]) -> dict[str, list[str]]:
    """The faults of each check, all checks in one launch."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, "-m", "tests.helpers.ranks", *names],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    said, errors, ended = communicate(process, timeout=600)
    lines = [json.loads(line) for line in said.splitlines() if line.startswith('{"check"')]
    faults = {line["check"]: [] for line in lines}
    for line in lines:
        faults[line["check"]] += line["faults"]
    if process.returncode:
        faults["launch"] = [errors[-4000:] if ended else "no end in 600 s"]
    return faults


def assert_passes(ranks: int, name: str, cases: list[tuple[int, str]]):
    faults = launch(ranks, tuple(check for world, check in cases if world == ranks))
    assert name in faults, f"did not run; what ran before it: {faults}"
    assert not faults[name], "\n".join(faults[name])


@pytest.mark.parametrize(("ranks", "name"), CASES)
def test_ranks(ranks, name):
    assert_passes(ranks, name, CASES)


@pytest.mark.slow
@pytest.mark.parametrize(("ranks", "name"), SLOW)
def test_four_ranks_in_full(ranks, name):
    assert_passes(ranks, name, SLOW)
