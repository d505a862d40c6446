"""Boxes and captions made ready for training, by Python and by command."""

import json

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from harmoclip.cli import app
from harmoclip.data import GroundingFinder, JsonLines, Prepared, Sample, open_dataset, write_lines
from harmoclip.data.scenes import Scenes
from harmoclip.errors import DataError, InputError
from harmoclip.segment import CaptionSegmenter
from tests.helpers.tiny_clips import write_open_clip

CAPTIONS = ["A dog sits by a red car.", "Two cats.", "A dog."]
LABELS = [[0, 2], [1, 1], [0]]


@pytest.fixture
def own(tmp_path):
    """Three images with boxes in pixels, classes and captions, as somebody may have them."""
    rows = []
    for i, (caption, labels) in enumerate(zip(CAPTIONS, LABELS, strict=True)):
        Image.new("RGB", (60, 40), (40 * i, 90, 10)).save(tmp_path / f"{i}.png")
        boxes = [[5 + 20 * row, 5, 18, 30] for row in range(len(labels))]
        rows.append({"image": f"{i}.png", "caption": caption, "boxes": boxes, "labels": labels})
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


OPTIONS = ["--unit", "pixel", "--box-format", "xywh"]


def prepare(*arguments):
    return CliRunner().invoke(app, ["data", "prepare", *map(str, arguments)])


@pytest.mark.parametrize("out", ["ready/mine.jsonl", "shards"])
def test_phrases_are_linked_by_the_words_for_classes_and_read_back(own, tmp_path, out):
    target = tmp_path / out
    result = prepare(own, target, *OPTIONS, "--names", "dog,cat,car", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout.splitlines()[-1])
    assert (report["samples"], report["links"], report["left_out"]) == (3, 5, [])
    dataset = open_dataset(target, "json_lines" if target.suffix else "shards")
    found = dataset if not target.suffix else map(dataset.__getitem__, range(3))
    samples = {sample.caption: sample for sample in found}
    first = samples[CAPTIONS[0]]
    assert [(first.phrase_texts[p], r) for r, p in first.links] == [("A dog", 0), ("a red car", 1)]
    torch.testing.assert_close(first.boxes[0], torch.tensor([5 / 60, 5 / 40, 23 / 60, 35 / 40]))
    assert first.labels.tolist() == [0, 2]
    assert first.image.tobytes() == Image.open(tmp_path / "0.png").tobytes()


def test_phrases_are_linked_by_similarity(own, tmp_path):
    folder = write_open_clip(tmp_path / "tiny").removeprefix("local-dir:")
    arguments = [own, tmp_path / "ready.jsonl", *OPTIONS, "--link", "similarity", "--threshold", "0"]
    assert isinstance(prepare(*arguments).exception, InputError)
    result = prepare(*arguments, "--model", folder, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["links"] == 4  # one to one: as many as fit


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "does not name the classes of its boxes: expected --names"),
        (["--link", "magic"], "--link is 'magic': expected words, similarity or none"),
        (["--names", "dog"], r"the boxes' classes are \[0, 2\]: expected a number for each box, from 0 to 0"),
    ],
)
def test_what_is_missing_is_said(own, tmp_path, arguments, said):
    result = prepare(own, tmp_path / "out.jsonl", *OPTIONS, *arguments)
    with pytest.raises(InputError, match=said):
        raise result.exception


def test_nothing_linked_is_not_fine(own, tmp_path):
    result = prepare(own, tmp_path / "out.jsonl", *OPTIONS, "--link", "none")
    assert result.exit_code == 1
    assert "no box is linked to a phrase" in result.stdout


def test_links_and_phrases_that_are_there_stay():
    boxes = torch.tensor([[0.1, 0.1, 0.4, 0.9], [0.5, 0.1, 0.9, 0.9]])
    sample = Sample(
        Image.new("RGB", (8, 8)), "A dog, a cat.", boxes, ((7, 12),), ((0, 0),), labels=torch.tensor([0, 1])
    )
    assert GroundingFinder(CaptionSegmenter(), ["dog", "cat"])(sample) is sample


def test_images_without_a_file_are_written_beside_the_lines(tmp_path):
    scenes = Scenes("train", 3)
    assert write_lines(Prepared(scenes), tmp_path / "scenes.jsonl") == []
    for i, found in enumerate(map(JsonLines(tmp_path / "scenes.jsonl").__getitem__, range(3))):
        assert found.caption == scenes[i].caption
        assert found.links == scenes[i].links
        torch.testing.assert_close(found.boxes, scenes[i].boxes)
        assert found.image.tobytes() == scenes[i].image.tobytes()


def test_what_cannot_be_read_is_left_out_and_named(own, tmp_path):
    (tmp_path / "1.png").unlink()
    result = prepare(own, tmp_path / "out.jsonl", *OPTIONS, "--names", "dog,cat,car")
    assert result.exit_code == 1
    assert "1.png does not exist" in result.stderr
    assert len(JsonLines(tmp_path / "out.jsonl")) == 2
    for i in (0, 2):
        (tmp_path / f"{i}.png").unlink()
    with pytest.raises(DataError, match="none of 3 samples can be read"):
        write_lines(JsonLines(own, unit="pixel", box_format="xywh"), tmp_path / "none.jsonl")
    assert not list(tmp_path.glob("none*"))
    with pytest.raises(InputError, match=r"expected one that ends in \.jsonl"):
        write_lines(Scenes("train", 3), tmp_path / "scenes.json")
