"""The recipe for a new yardstick: a module with `tasks`, and an entry of the registry. Files touched: two."""

import json
import sys
from types import ModuleType

import pytest
from typer.testing import CliRunner

from harmoclip import cli, models
from harmoclip.errors import InputError
from harmoclip.evaluate.choices import choices
from harmoclip.evaluate.registry import YARDSTICKS, Yardstick, tasks_of
from harmoclip.evaluate.task import Request, Task
from tests.helpers.known import ColorEncoder
from tests.helpers.small_world import preprocess, small_encoder, tokenizer

# the first file: everything that is new
MODULE = ModuleType("color_names")


def tasks(request):
    """Whether an image of one color is called by its name rather than by another."""
    rows = [line.split() for line in request.path.read_text().splitlines()]

    def run(encoder):
        from PIL import Image

        vectors = encoder.image_vectors(lambda i: Image.new("RGB", (8, 8), rows[i][0]), len(rows))
        return choices(encoder, vectors, rows, "color_names")

    return [Task("color names", "whole", run)]


MODULE.tasks = tasks


@pytest.fixture
def registered(monkeypatch):
    # the second file: one entry
    monkeypatch.setitem(sys.modules, "color_names", MODULE)
    entry = Yardstick("color_names", "none", "colors by their names", "a line an image: right wrong ...")
    monkeypatch.setitem(YARDSTICKS, "color-names", entry)


@pytest.fixture
def colors(tmp_path):
    (tmp_path / "colors.txt").write_text("red green blue\nblue red\n")
    return tmp_path / "colors.txt"


def test_it_is_measured_by_hand(registered, colors):
    (task,) = tasks_of("color-names", Request(str(colors)))
    found = task.run(ColorEncoder())
    assert found == {"color_names_top1": 1, "color_names_median_rank": 1, "color_names_count": 2}
    assert found.metric("color_names_top1").chance == pytest.approx((1 / 3 + 1 / 2) / 2)


def test_the_command_lists_and_measures_it(registered, colors, tmp_path, monkeypatch):
    def load_model(name, pretrained=None, device="cpu"):
        return models.LoadedModel(small_encoder().harmo.model, preprocess, tokenizer, name)

    monkeypatch.setattr(models, "load_model", load_model)
    assert "color-names" in CliRunner().invoke(cli.app, ["evaluate", "--list"]).stdout
    arguments = ["evaluate", "any", "--on", f"color-names={colors}", "--out", str(tmp_path / "out"), "--json"]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    assert (
        json.loads(result.stdout.splitlines()[-1])["scores"]["color names"]["model"]["color_names_count"] == 2
    )


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(InputError, match="flickr-entities"):
        tasks_of("flicker", Request("somewhere"))


@pytest.mark.parametrize("asked", ["coco", "=DIR", "coco="])
def test_what_to_measure_needs_a_name_and_a_folder(asked):
    result = CliRunner().invoke(cli.app, ["evaluate", "any", "--on", asked])
    assert isinstance(result.exception, InputError)
    assert asked in str(result.exception)


def test_every_yardstick_is_on_the_page_of_evaluation():
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    for name, yardstick in YARDSTICKS.items():
        assert f"`{name}=" in page or f"`{name}:" in page, name
        assert callable(yardstick.tasks)
