"""Every example runs, in a small form, from the file that users see."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from harmoclip.train import load_config
from tests.helpers.tiny_clips import write_hugging_face, write_open_clip

EXAMPLES = Path(__file__).parents[1] / "examples"
IN_A_LOOP = ["--steps", "2", "--batch-size", "4"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {"open_clip": write_open_clip(folder / "open_clip"), "hf": write_hugging_face(folder / "hf")}


def arguments(models, tmp_path, data_root):
    """What each example is given here; `data_root()` skips where there are no real images."""
    open_clip, hugging_face = ["--name", models["open_clip"]], ["--name", models["hf"]]
    return {
        "plain_loop.py": lambda: open_clip + IN_A_LOOP,
        "own_loss.py": lambda: open_clip + IN_A_LOOP,
        "hugging_face.py": lambda: hugging_face + IN_A_LOOP,
        "hugging_face_trainer.py": lambda: [*hugging_face, *IN_A_LOOP, "--out", str(tmp_path / "out")],
        "lightning_module.py": lambda: open_clip + IN_A_LOOP,
        "accelerate_loop.py": lambda: open_clip + IN_A_LOOP,
        "own_clip.py": list,
        "replace_roi_align.py": list,
        "segment_captions.py": list,
        "segment_distributed.py": lambda: [captions(tmp_path), str(tmp_path / "out"), "--processes", "1"],
        "train_coco.py": lambda: [
            *["--model", models["open_clip"], "--data", str(data_root() / "coco-mini"), *IN_A_LOOP],
            *["--out", str(tmp_path / "out")],
        ],
        "link_unlabelled_boxes.py": lambda: ["--model", models["open_clip"], "--count", "4"],
        "label_boxes.py": lambda: [*open_clip, "--out", "labelled.png"],
        "onnx_label_boxes.py": lambda: [*open_clip, "--out", str(tmp_path / "onnx")],
        "evaluate_before_after.py": lambda: [*open_clip, *IN_A_LOOP, "--scenes", "4"],
    }


def captions(folder):
    file = folder / "captions.jsonl"
    file.write_text('{"caption": "A man in a red hat walks two dogs."}\n' * 3)
    return str(file)


APART = {"torchrun_two_processes.py"}  # has a test of its own
PICTURES = {"label_boxes.py": "labelled.png"}
CASES = sorted(path.name for path in EXAMPLES.glob("*.py") if path.name not in APART)


@pytest.mark.parametrize("example", CASES)
def test_example(example, models, tmp_path, monkeypatch, request, capsys):
    given = arguments(models, tmp_path, lambda: request.getfixturevalue("data_root"))
    assert example in given, f"tests/test_examples.py does not say how to run examples/{example}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [example, *given[example]()])
    try:
        runpy.run_path(str(EXAMPLES / example), run_name="__main__")
    except SystemExit as stop:  # typer ends so
        if stop.code:
            pytest.fail(f"exit code {stop.code}")
    assert capsys.readouterr().out.strip(), "an example prints what it did"
    if example in PICTURES:
        with Image.open(PICTURES[example]) as picture:
            assert min(picture.size) > 200


def test_torchrun_two_processes(models):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += [str(EXAMPLES / "torchrun_two_processes.py"), "--name", models["open_clip"], *IN_A_LOOP]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert run.returncode == 0, run.stderr
    assert "step   2 on 2 processes" in run.stdout


@pytest.mark.parametrize("recipe", sorted((EXAMPLES / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_recipe(recipe):
    config = load_config(recipe)
    assert recipe.stem == Path(config.out).name
    assert config.evaluation.split
    photographs = 118_287 * 10  # of ten passes over train2017
    processes = int(recipe.stem[-4])
    assert config.steps * config.data.batch_size * processes == pytest.approx(photographs, rel=0.01)
