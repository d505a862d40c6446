"""The recipe for a new data format: a module that registers itself, its name in a list, and a test."""

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from harmoclip import cli
from harmoclip.data.formats import registry
from harmoclip.data.formats.registry import open_dataset, options_of, read_options, recognize, register_format
from harmoclip.data.formats.texts import Described, DescribedImages
from harmoclip.errors import DataError


# harmoclip/data/formats/table.py: everything that is new
class Table(DescribedImages):
    """An image a line of `boxes.tsv`: its file, a caption, a box in pixels and the name of what is in it."""

    def __init__(self, folder, *, upright=True):
        lines = [line.split("\t") for line in (Path(folder) / "boxes.tsv").read_text().splitlines()]
        names = sorted({name for *_, name in lines})
        rows = [
            Described(
                (file,),
                file,
                caption,
                boxes=[[float(side) for side in box.split()]],
                right=[[name]],
                labels=[names.index(name)],
            )
            for file, caption, box, name in lines
        ]
        super().__init__(rows, Path(folder), "boxes.tsv and images", class_names=names, upright=upright)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """harmoclip/data/formats/registry.py: the name that is listed, here by the module's last line alone."""
    registry.known_formats()
    monkeypatch.setattr(registry, "_FORMATS", dict(registry._FORMATS))
    register_format("table", Table, signs=("boxes.tsv",))
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    (tmp_path / "boxes.tsv").write_text("a.png\tA dog sits.\t0 0 20 10\tdog\n")
    return tmp_path


# tests/data/test_table.py: its test
def test_the_new_format_is_one_like_the_others(folder):
    assert recognize(folder) == "table"
    assert options_of("table") == ("upright",)
    dataset = open_dataset(folder, **read_options("table", ["upright=false"]))
    sample = dataset[0]
    assert sample.boxes.tolist() == [[0, 0, 0.5, 0.5]]
    assert (sample.phrases, sample.links, dataset.class_names) == (("dog",), ((0, 0),), ("dog",))


def test_commands_read_it(folder):
    found = CliRunner().invoke(cli.app, ["data", "check", str(folder), "-o", "upright=true"])
    assert found.exit_code == 0, found.output


def test_what_is_missing_is_named(folder):
    (folder / "a.png").unlink()
    with pytest.raises(DataError, match=r"has no a\.png: expected boxes\.tsv and images"):
        open_dataset(folder)[0]
