"""Any yardstick as a measure of a run; the weights with the best trade-off of any of them are kept."""

import json

import pytest
import torch
from safetensors.torch import load_file

from harmoclip.data import JsonLines
from harmoclip.data.scenes import Scenes
from harmoclip.data.tools.prepare import write_lines
from harmoclip.errors import InputError
from harmoclip.train.evaluation import Yardsticks
from harmoclip.train.log import read_lines
from harmoclip.train.loop import Run, train

pytest_plugins = ["tests.helpers.small_runs"]
ON = ["evaluation.yardsticks=[scenes=6]", "evaluation.every=2", "steps=4"]


def measures_of(out):
    return read_lines(out / "measures.jsonl")


def test_they_are_measured_before_and_during_a_run(config, tmp_path):
    out = tmp_path / "run"
    names = "[retrieval-scenes/i2t_r5, pointing-scenes]"
    result = train(config(out, *ON, f"evaluation.best={names}"))
    lines = measures_of(out)
    assert [line["step"] for line in lines] == [0, 2, 4]
    assert {"retrieval-scenes", "retrieval-scenes/i2t_r1", "boxes-scenes-dense/box_top5"} <= lines[0].keys()
    assert "trade_off" not in lines[0]
    assert result["pointing-scenes"] == lines[-1]["pointing-scenes"]
    scores = []
    for line in lines:
        one, other = line["retrieval-scenes/i2t_r5"], line["pointing-scenes"]
        scores.append(2 * one * other / (one + other) if one and other else 0.0)
    run = Run(config(out, *ON, f"evaluation.best={names}"))
    run.checkpoints.resume()
    assert run.position.best == pytest.approx(max(scores))


def test_retrieval_by_phrases_is_one_of_them(config, tmp_path):
    best = "evaluation.best=[retrieval-by-phrases-scenes, pointing-scenes]"
    result = train(config(tmp_path / "run", *ON, "evaluation.phrase_share=0.4", best))
    measured = [result[f"retrieval-by-phrases-scenes/phrase_{way}_r1"] for way in ("i2t", "t2i")]
    assert result["retrieval-by-phrases-scenes"] == pytest.approx(sum(measured) / 2)


def test_the_best_of_two_yardsticks_is_kept(config, tmp_path, monkeypatch):
    found = iter([(0.9, 0.1), (0.4, 0.5), (0.9, 0.2)])  # harmonic means 0.18, 0.44, 0.33

    def measured(*args):
        whole, regions = next(found)
        return {"retrieval-scenes": whole, "boxes-scenes-dense": regions}

    monkeypatch.setattr(Yardsticks, "measure", measured)
    out = tmp_path / "run"
    train(config(out, *ON, "checkpoint.every=2", "checkpoint.keep=9"))
    best = load_file(out / "best" / "open_clip_model.safetensors")
    second = load_file(out / "checkpoints" / "step-00000002" / "model.safetensors")
    for name, tensor in best.items():
        torch.testing.assert_close(tensor, second[f"model.{name}"], rtol=0, atol=0)


def test_beside_held_out_samples_both_kinds_of_names_count(config, tmp_path):
    held_out = ["evaluation.split=test", "evaluation.samples=6"]
    names = "evaluation.best=[box_top1, expressions-scenes-dense/referring]"
    train(config(tmp_path / "run", *ON, *held_out, names))
    line = measures_of(tmp_path / "run")[-1]
    assert {"trade_off", "box_top1", "expressions-scenes-dense"} <= line.keys()
    assert Run(config(tmp_path / "other", *ON, *held_out)).yardsticks.best == ("trade_off",)


def test_own_data_with_its_options_and_the_same_curve_after_a_stop(config, tmp_path):
    scenes = Scenes("test", 4)
    write_lines([scenes[i].replace(labels=None) for i in range(4)], tmp_path / "mine.jsonl")
    assert len(JsonLines(tmp_path / "mine.jsonl")) == 4
    own = [f"evaluation.yardsticks=[own={tmp_path / 'mine.jsonl'}]", "evaluation.options=[unit=fraction]"]
    first, second = tmp_path / "whole", tmp_path / "parts"
    train(config(first, *own, "evaluation.every=2", "steps=4"))
    run = Run(config(second, *own, "evaluation.every=2", "steps=4"))
    run._take_up()
    run._evaluate(run._log())  # stopped before its first step
    train(config(second, *own, "evaluation.every=2", "steps=4"))
    assert json.dumps(measures_of(first)) == json.dumps(measures_of(second))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["evaluation.best=[retrieval-scene]"], "did you mean 'retrieval-scenes'"),
        (["evaluation.best=[trade_off]"], "evaluation.best names 'trade_off'"),  # no held-out samples
        (["evaluation.yardsticks=[scene=6]"], "did you mean 'scenes'"),
        (["evaluation.yardsticks=[scenes]"], "says not where"),
        (["evaluation.options=[unit=pixel]"], "none of scenes=6 takes options"),
    ],
)
def test_names_are_checked_before_the_run(config, tmp_path, more, message):
    with pytest.raises(InputError, match=message):
        Run(config(tmp_path / "run", *ON, *more))


@pytest.mark.parametrize(
    ("name", "message"),
    [("i2t_r2", "did you mean 'retrieval-scenes/i2t_r5'"), ("i2t_median_rank", "which is a rank")],
)
def test_metrics_are_checked_before_the_first_step(config, tmp_path, name, message):
    run = Run(config(tmp_path / "run", *ON, f"evaluation.best=[retrieval-scenes/{name}]"))
    with pytest.raises(InputError, match=message):
        run.train()
    assert not read_lines(tmp_path / "run" / "losses.jsonl")
