import json

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from harmoclip import cli
from harmoclip.errors import InputError
from harmoclip.models import load_model, load_weights
from tests.helpers.small_world import preprocess, small_encoder, tokenizer
from tests.helpers.tiny_clips import small_config, write_open_clip


@pytest.fixture
def loaded(monkeypatch):
    """Every name and every weights are small models with random weights."""
    models = pytest.importorskip("harmoclip.models", exc_type=ModuleNotFoundError)

    def load_model(name, pretrained=None, device="cpu"):
        model = small_encoder().harmo.model
        if pretrained == "after.pt":
            torch.nn.init.normal_(model.text_projection)
        return models.LoadedModel(model=model, preprocess=preprocess, tokenizer=tokenizer, name=name)

    monkeypatch.setattr(models, "load_model", load_model)


def test_before_and_after_give_a_table_json_and_a_report(loaded, tmp_path):
    arguments = ["evaluate", "any", "--after", "after.pt", "--scenes", "4", "--shares", "0.5", "--json",
                 "--phrase-share", "0.4"]  # fmt: skip
    result = CliRunner().invoke(cli.app, [*arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout.splitlines()[-1])
    assert printed["scores"]["boxes, scenes, dense"]["after"]["box_top5"] <= 1
    assert printed["scores"]["retrieval by phrases, scenes"]["before"]["phrase_i2t_r10"] == 1
    assert list(printed["sweep"]) == ["0", "0.5", "1"]
    assert "i2t_median_rank" in result.stderr
    assert (tmp_path / "out" / "report.html").exists()


def test_nothing_to_measure_is_said():
    result = CliRunner().invoke(cli.app, ["evaluate", "any"])
    assert isinstance(result.exception, InputError)
    assert "--scenes" in str(result.exception)


@pytest.fixture
def folder(tmp_path):
    """A small model in a folder of open_clip."""
    if not hasattr(pytest.importorskip("open_clip.factory"), "parse_model_name"):
        pytest.skip("this open_clip does not read folders")
    write_open_clip(tmp_path / "tiny")
    return tmp_path / "tiny"


def run(*arguments):
    return CliRunner().invoke(cli.app, ["evaluate", *map(str, arguments)])


def test_a_local_folder_has_weights_of_its_own(folder, tmp_path):
    result = run(folder, "--scenes", 4, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    title = json.loads(result.stdout.splitlines()[-1])["title"]
    assert "tiny" in title
    assert "random" not in title


def test_weights_of_another_architecture_are_named_in_short(folder, tmp_path):
    other = small_encoder().harmo.model
    torch.save(other.state_dict(), tmp_path / "other.pt")
    (tmp_path / "other").mkdir()
    save_file(other.state_dict(), tmp_path / "other" / "open_clip_model.safetensors")
    config = {"model_cfg": small_config(), "preprocess_cfg": {}}
    (tmp_path / "other" / "open_clip_config.json").write_text(json.dumps(config))
    (tmp_path / "text.pt").write_text("no weights")
    for name in ("other.pt", "other", "text.pt"):
        result = run(folder, "--scenes", 4, "--after", tmp_path / name)
        assert isinstance(result.exception, InputError)
        message = str(result.exception)
        assert "tiny" in message
        assert name in message
        assert len(message) < 800


def test_weights_of_a_file_are_loaded_into_a_folders_model(folder, tmp_path):
    loaded = load_model(str(folder))
    torch.save(
        {"state_dict": {f"module.{k}": 2 * v for k, v in loaded.model.state_dict().items()}},
        tmp_path / "w.pt",
    )
    after = load_weights(loaded, tmp_path / "w.pt")
    for name, value in loaded.model.state_dict().items():
        torch.testing.assert_close(after[name], 2 * value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "gpu"])
def test_a_device_that_is_not_there_is_said(device):
    result = run("any", "--scenes", 4, "--device", device)
    assert isinstance(result.exception, InputError)
    assert repr(device) in str(result.exception)


@pytest.mark.parametrize("shares", ["0.2;0.4", "half", "1.5"])
def test_shares_that_are_none_are_refused(loaded, shares):
    result = run("any", "--after", "after.pt", "--scenes", 4, "--shares", shares)
    assert isinstance(result.exception, InputError)
    assert shares in str(result.exception)
