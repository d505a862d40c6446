"""Several processes, sharded or not, and mixed precision: one run, the same after a kill."""

import sys

import open_clip
import pytest
import torch
from safetensors.torch import load_file

from harmoclip.train.log import read_lines
from tests.helpers.train_processes import DDP, FSDP2, finish, kill_after

pytest_plugins = ["tests.helpers.small_runs"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]
WATCHED = ["evaluation.split=test", "evaluation.samples=8", "evaluation.every=4", "optimizer.accumulate=2"]


@pytest.fixture(scope="module")
def curves():
    """Of each kind of processes, for a comparison of both."""
    return {}


def close(ours, theirs, tolerance):
    """Whether two lists of dicts of numbers hold the same."""
    assert [list(line) for line in ours] == [list(line) for line in theirs]
    ours, theirs = ([list(line.values()) for line in lines] for lines in (ours, theirs))
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=tolerance, atol=0)


# the last bit of a sharded run may depend on where in memory its shards lie
@pytest.mark.parametrize(("launcher", "tolerance"), [(DDP, 0), (FSDP2, 1e-5)], ids=["ddp", "fsdp2"])
def test_two_processes_killed_end_in_the_same_run(launcher, tolerance, options, tmp_path, curves):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = [*options, *WATCHED]
    said = finish(launcher, options, whole)
    assert "2 x 6 x 2 a step" in said
    assert 7 <= kill_after(7, launcher, options, killed) < 12
    said = finish(launcher, options, killed)
    assert "from step 5 of 12" in said
    lines = read_lines(whole / "losses.jsonl")
    assert [line["step"] for line in lines] == list(range(1, 13))
    close(read_lines(killed / "losses.jsonl"), lines, tolerance)
    measures = read_lines(whole / "measures.jsonl")
    assert [line["step"] for line in measures] == [4, 8, 12]
    close(read_lines(killed / "measures.jsonl"), measures, tolerance)
    states = {path.name for path in (whole / "checkpoints" / "step-00000012").glob("random_states_*")}
    assert states == {"random_states_0.pkl", "random_states_1.pkl"}
    finals = [load_file(out / "final" / "open_clip_model.safetensors") for out in (whole, killed)]
    torch.testing.assert_close(*finals, rtol=tolerance, atol=tolerance)
    assert finals[0]["logit_scale"].shape == ()
    assert open_clip.create_model(f"local-dir:{whole / 'final'}") is not None
    curves[str(launcher)] = [line["loss"] for line in lines]


def test_shards_train_as_copies_do(curves):
    if len(curves) < 2:
        pytest.skip("needs both runs before it")
    torch.testing.assert_close(*map(torch.tensor, curves.values()), rtol=1e-4, atol=1e-4)


def test_mixed_precision_is_accelerates(options, tmp_path):
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--num_processes",
        "1",
        "--num_machines",
        "1",
    ]
    launch += ["--cpu", "--dynamo_backend", "no", "--mixed_precision"]
    train = ["-m", "harmoclip", "train"]
    curves = []
    for precision in ("no", "bf16"):
        out = tmp_path / precision
        said = finish([*launch, precision, *train], options, out)
        assert f"precision {'fp32' if precision == 'no' else precision}" in said
        curves.append(torch.tensor([line["loss"] for line in read_lines(out / "losses.jsonl")]))
        weights = load_file(out / "final" / "open_clip_model.safetensors")
        assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert not torch.equal(*curves)
    torch.testing.assert_close(*curves, rtol=0.05, atol=0.05)
