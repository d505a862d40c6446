import json

import pytest
import torch
from small_world import preprocess, small_subject, tokenizer
from typer.testing import CliRunner

from harmoclip import cli
from harmoclip.errors import InputError


@pytest.fixture
def loaded(monkeypatch):
    """Every name and every weights are small models with random weights."""
    models = pytest.importorskip("harmoclip.models", exc_type=ModuleNotFoundError)

    def load_model(name, pretrained=None, device="cpu"):
        model = small_subject().harmo.model
        if pretrained == "after.pt":
            torch.nn.init.normal_(model.text_projection)
        return models.LoadedModel(model=model, preprocess=preprocess, tokenizer=tokenizer, name=name)

    monkeypatch.setattr(models, "load_model", load_model)


def test_before_and_after_give_a_table_json_and_a_report(loaded, tmp_path):
    arguments = ["evaluate", "any", "--after", "after.pt", "--scenes", "4", "--shares", "0.5", "--json"]
    result = CliRunner().invoke(cli.app, [*arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout.splitlines()[-1])
    assert printed["scores"]["boxes, scenes, dense"]["after"]["box_top5"] <= 1
    assert list(printed["sweep"]) == ["0", "0.5", "1"]
    assert "i2t_median_rank" in result.stderr
    assert (tmp_path / "out" / "report.html").exists()


def test_nothing_to_measure_is_said():
    result = CliRunner().invoke(cli.app, ["evaluate", "any"])
    assert isinstance(result.exception, InputError)
    assert "--scenes" in str(result.exception)
