"""Whole runs: the same curve after kills, a model that stock open_clip loads, both sides watched."""

import json

import accelerate.tracking
import open_clip
import pytest
import torch
from accelerate.tracking import GeneralTracker
from accelerate.utils import LoggerType

from harmoclip.cli import train as command
from harmoclip.data import write_shards
from harmoclip.data.scenes import Scenes
from harmoclip.errors import DataError, InputError, MissingDependencyError
from harmoclip.train.log import Unwatched, read_lines
from harmoclip.train.loop import Run, train
from tests.helpers.tiny_clips import write_hugging_face
from tests.helpers.train_processes import ALONE, kill_after

pytest_plugins = ["tests.helpers.small_runs"]


class Watching(Unwatched):
    """Keeps what it is told."""

    def __init__(self):
        self.seen, self.said = [], []

    def step(self, status):
        self.seen.append(status)

    def say(self, text):
        self.said.append(text)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("coco", "shards")]


@pytest.mark.parametrize("data", ["scenes", *SLOW])
def test_killed_twice_ends_in_the_same_curve_and_model(data, options, config, tmp_path, request):
    torch.set_num_threads(1)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    watched = ["evaluation.split=test", "evaluation.samples=8", "evaluation.every=4"]
    if data == "coco":
        folder = request.getfixturevalue("data_root") / "coco-mini"
        watched = [*watched[1:], "data.format=coco", f"data.path={folder}", "data.crop=0.8", "data.flip=0.5"]
        watched.append("evaluation.split=train2017")
    if data == "shards":
        write_shards(Scenes("train", 40), tmp_path / "shards", samples_per_shard=7)
        path = tmp_path / "shards" / "{00000..00005}.tar"
        watched = [*watched[1:], "data.format=null", f"data.path={path}", "data.workers=2"]
        watched.append(f"evaluation.path={path}")
    train(config(whole, *watched))
    assert kill_after(3, ALONE, [*options, *watched], killed) < 12  # before the first checkpoint
    assert 7 <= kill_after(7, ALONE, [*options, *watched], killed) < 12  # between the first and the second
    (killed / "checkpoints" / "step-00000099.partial").mkdir(
        exist_ok=True
    )  # as a kill inside a save leaves it
    result = train(config(killed, *watched))
    curves = [read_lines(out / "losses.jsonl") for out in (whole, killed)]
    assert [line["step"] for line in curves[0]] == list(range(1, 13))
    assert curves[0] == curves[1]
    assert read_lines(whole / "measures.jsonl") == read_lines(killed / "measures.jsonl")
    assert result["loss"] == curves[0][-1]["loss"]
    for name in ("final", "best"):
        weights = [(out / name / "open_clip_model.safetensors").read_bytes() for out in (whole, killed)]
        assert weights[0] == weights[1]
    assert sorted(p.name for p in (killed / "checkpoints").iterdir()) == ["step-00000010", "step-00000012"]
    assert not list(killed.glob("*.partial"))


def test_final_model_loads_in_stock_open_clip(config, tmp_path):
    run = Run(config(tmp_path / "run", "steps=3", "checkpoint.every=3"))
    run.train()
    stock = open_clip.create_model(f"local-dir:{tmp_path / 'run' / 'final'}").eval()
    assert not any(module._forward_hooks for module in stock.modules())
    images, texts = torch.randn(2, 3, 32, 32), open_clip.tokenize(["a dog", "two cats"], context_length=32)
    ours = run.loaded.model.eval()
    with torch.no_grad():
        for theirs, mine in zip(stock(images, texts), ours(images, texts), strict=True):
            torch.testing.assert_close(theirs, mine, rtol=0, atol=0)


def test_final_model_loads_in_stock_transformers(config, tmp_path):
    from transformers import AutoProcessor, CLIPModel

    folder = write_hugging_face(tmp_path / "tiny")
    run = Run(config(tmp_path / "run", f"model.name=hf:{folder}", "steps=2"))
    run.train()
    stock = CLIPModel.from_pretrained(tmp_path / "run" / "final").eval()
    inputs = AutoProcessor.from_pretrained(tmp_path / "run" / "final")(
        text=["a dog"], images=[torch.rand(3, 40, 40)], return_tensors="pt", do_rescale=False
    )
    with torch.no_grad():
        theirs, mine = stock(**inputs), run.loaded.model.eval()(**inputs)
    torch.testing.assert_close(theirs.logits_per_image, mine.logits_per_image, rtol=0, atol=0)


def test_the_best_trade_off_is_kept(config, tmp_path, monkeypatch):
    import harmoclip.train.loop as loop

    scores = iter([0.2, 0.6, 0.4])

    def measured(*args):
        return {"i2t_r1": 0.0, "t2i_r1": 0.0, "box_top1": 0.0, "trade_off": next(scores)}

    monkeypatch.setattr(loop, "measure", measured)
    out = tmp_path / "run"
    train(config(out, "steps=3", "evaluation.split=test", "evaluation.samples=4", "evaluation.every=1",
                 "checkpoint.every=1", "checkpoint.keep=9"))  # fmt: skip
    best = (out / "best" / "open_clip_model.safetensors").read_bytes()
    from safetensors.torch import load, load_file

    second = load_file(out / "checkpoints" / "step-00000002" / "model.safetensors")
    for name, tensor in load(best).items():
        torch.testing.assert_close(tensor, second[f"model.{name}"], rtol=0, atol=0)


def test_gradient_accumulation_takes_that_many_batches(config, tmp_path):
    run = Run(config(tmp_path / "run", "steps=2", "optimizer.accumulate=2"))
    seen = []
    run.harmo.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    run.train()
    assert seen == [6] * 4


def test_a_folder_of_another_run_is_refused(config, tmp_path):
    out = tmp_path / "run"
    train(config(out, "steps=1"))
    with pytest.raises(InputError, match=r"another configuration: seed was 0 and is 3\. Give another"):
        train(config(out, "steps=1", "seed=3", "log_every=2"))


def test_a_run_can_be_made_longer(config, tmp_path):
    """With a constant rate it is the run that was long from the start."""
    constant = ["optimizer.schedule=constant", "optimizer.layer_decay=0.9"]
    train(config(tmp_path / "long", *constant))
    for steps in (4, 7, 12):
        train(config(tmp_path / "grown", *constant, f"steps={steps}"))
    names = ("losses.jsonl", "final/open_clip_model.safetensors")
    for name in names:
        assert (tmp_path / "long" / name).read_bytes() == (tmp_path / "grown" / name).read_bytes()
    with pytest.raises(InputError, match=r"steps is 7, but the run in .* has made 12"):
        train(config(tmp_path / "grown", *constant, "steps=7"))


def test_a_longer_run_goes_on_with_the_rates_of_a_run_of_that_length(config, tmp_path):
    rates = {}
    for name, lengths in {"long": (8,), "grown": (4, 8)}.items():
        for steps in lengths:
            run = Run(config(tmp_path / name, f"steps={steps}"), watch := Watching())
            run.train()
        rates[name] = [status.rate for status in watch.seen]
    assert rates["grown"] == rates["long"][4:]


def test_what_decides_no_loss_may_change_when_a_run_is_taken_up(config, tmp_path):
    """Workers, logging, checkpoints, the tracker, how often it is measured, and the folder's own name."""
    same = ["optimizer.schedule=constant", "evaluation.split=test", "evaluation.samples=4"]
    train(config(tmp_path / "whole", *same))
    train(config(tmp_path / "parts", *same, "steps=5", "evaluation.every=4"))
    (tmp_path / "parts").rename(tmp_path / "moved")
    changed = ["data.workers=1", "log_every=1", "checkpoint.every=2", "checkpoint.keep=1", "tracker=none"]
    changed += ["data.cache=phrases.sqlite", "evaluation.every=6", "data.on_broken=skip"]
    train(config(tmp_path / "moved", *same, *changed))
    whole, moved = (read_lines(tmp_path / name / "losses.jsonl") for name in ("whole", "moved"))
    assert whole == moved
    assert [line["step"] for line in read_lines(tmp_path / "moved" / "measures.jsonl")] == [4, 5, 6, 12]
    assert [p.name for p in (tmp_path / "moved" / "checkpoints").iterdir()] == ["step-00000012"]


def test_a_batch_of_one_is_refused(config, tmp_path):
    with pytest.raises(InputError, match="at least 2 samples in a batch of all processes"):
        train(config(tmp_path / "run", "data.batch_size=1", "optimizer.accumulate=4"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("out", ["/proc/x/y", "/dev/null/run"])
def test_a_folder_that_cannot_be_written_is_found_before_the_work(out, config):
    with pytest.raises(InputError, match=f"out is '{out}', where nothing can be written"):
        train(config(out))


def test_a_run_that_never_began_does_not_hold_its_folder(config, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(DataError, match="40 samples"):
        train(config(out, "data.batch_size=64"))
    assert not out.exists()
    Run(config(out, "steps=1"))._take_up()
    assert train(config(out, "steps=2"))["step"] == 2


def test_a_finished_run_only_says_so(config, tmp_path):
    out = tmp_path / "run"
    first = train(config(out, "steps=2"))
    curve = (out / "losses.jsonl").read_text()
    assert train(config(out, "steps=2")) == first
    assert (out / "losses.jsonl").read_text() == curve


def test_losses_that_are_not_finite_stop_the_run(config, tmp_path):
    from harmoclip.errors import TrainingError

    with pytest.raises(TrainingError, match=r"step .*expected finite losses"):
        train(
            config(
                tmp_path / "run",
                "optimizer.learning_rate=1e18",
                "optimizer.warmup=0",
                "optimizer.max_norm=null",
            )
        )


def test_tensorboard_has_the_losses_and_the_rates_of_their_steps(config, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "run"
    train(config(out, "steps=4", "log_every=2"))
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [2, 4]
    rates = [event.value for event in events.Scalars("learning_rate")]
    assert rates == pytest.approx([1e-3 * 2 / 3, 1e-3])  # three steps of warm-up, then the highest


def test_json_on_standard_output_and_nothing_else(options, tmp_path, capsys):
    command.train(None, [*options, "steps=1", f"out={tmp_path / 'run'}"], as_json=True)
    assert json.loads(capsys.readouterr().out)["step"] == 1


def test_curves_go_to_the_tracker_that_is_asked_for(config, tmp_path, monkeypatch):
    """Accelerate's own way to a tracker, with one that keeps what it is given in the place of W&B's."""
    kept = {}

    class Tracker(GeneralTracker):
        name, requires_logging_directory = "wandb", False

        def __init__(self, run_name, **options):
            super().__init__()
            kept.update(run=run_name, options=options)

        @property
        def tracker(self):
            return self

        def store_init_configuration(self, values):
            kept["configuration"] = values

        def log(self, values, step, **options):
            kept.setdefault("steps", []).append(step)

    monkeypatch.setitem(accelerate.tracking.LOGGER_TYPE_TO_CLASS, "wandb", Tracker)
    monkeypatch.setattr(accelerate.tracking, "_available_trackers", [LoggerType.WANDB])
    out = tmp_path / "run"
    train(config(out, "steps=4", "log_every=2", "tracker=wandb"))
    assert kept["steps"] == [2, 4]
    assert kept["configuration"]["optimizer.warmup"] == 3
    assert kept["options"]["name"] == "run"
    assert not (out / "tensorboard").exists()
    with pytest.raises(MissingDependencyError, match=r"tracker is mlflow, which is not installed"):
        Run(config(out, "tracker=mlflow"))
