"""`harmoclip train` in processes of its own, and their end at any moment."""

import os
import subprocess
import sys
import time
from pathlib import Path

from harmoclip.train.log import read_lines
from tests.helpers.processes import communicate, kill_tree

ALONE = [sys.executable, "-m", "harmoclip", "train"]
_TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
DDP = [*_TWO, "-m", "harmoclip", "train"]
FSDP2 = [*_TWO, str(Path(__file__).with_name("sharded_run.py"))]


def start(launcher, options, out):
    """The processes of a run."""
    return subprocess.Popen(
        [*launcher, *options, f"out={out}"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(launcher, options, out):
    """Run to the end; what it said."""
    process = start(launcher, options, out)
    _, said, ended = communicate(process, timeout=300)
    assert ended, f"no end in 300 s: {said}"
    assert process.returncode == 0, said
    return said


def kill_after(lines, launcher, options, out):
    """Kill every process of a run with SIGKILL once so many steps are logged; how many there were then."""
    process = start(launcher, options, out)
    deadline = time.monotonic() + 300
    while len(read_lines(out / "losses.jsonl")) < lines:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    kill_tree(process)
    process.communicate()
    return len(read_lines(out / "losses.jsonl"))
