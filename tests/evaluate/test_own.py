"""Data of one's own, measured on whatever it says; every score counted by hand on images of one color."""

import json

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from harmoclip import cli
from harmoclip.data import Sample
from harmoclip.data.tools.convert import write_shards
from harmoclip.errors import DataError, InputError
from harmoclip.evaluate.registry import tasks_of, tasks_on
from harmoclip.evaluate.task import Request
from harmoclip.evaluate.yardsticks.own import among_negatives
from tests.helpers.known import ColorEncoder, mean_color
from tests.helpers.small_world import write_coco
from tests.helpers.tiny_clips import write_open_clip

COLORS = {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}
HALVES = [[0, 0, 20, 20], [20, 0, 20, 20]]  # x, y, width, height in pixels of 40 x 20


def draw(path, left, right):
    image = Image.new("RGB", (40, 20), COLORS[left])
    image.paste(COLORS[right], (20, 0, 40, 20))
    image.save(path)


def write_lines(folder, rows):
    path = folder / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def lines(tmp_path):
    """Two images; the first has two captions; its second box is linked to the wrong phrase on purpose."""
    draw(tmp_path / "a.png", "red", "green")
    draw(tmp_path / "b.png", "blue", "red")
    first = {"image": "a.png", "boxes": HALVES, "labels": ["red", "green"]}
    return write_lines(
        tmp_path,
        [
            {**first, "caption": "red and green", "phrases": ["red", "green"], "links": [[0, 0], [1, 1]]},
            {**first, "caption": "a red wall", "phrases": ["red"], "links": [[1, 0]]},
            {
                "image": "b.png", "boxes": HALVES, "labels": ["blue", "green"], "caption": "blue",
                "more_captions": ["a wall, blue and red"], "phrases": ["blue", {"text": "green"}],
                "links": [[0, 0]], "negatives": [[0, 1]],
            },
        ],
    )  # fmt: skip


OPTIONS = ("unit=pixel", "box_format=xywh")


class Known(ColorEncoder):
    """Its patches are the halves of an image."""

    def dense_vectors(self, samples):
        for sample in (samples[i] for i in range(len(samples))):
            halves = [mean_color(sample.image.crop((x, 0, x + 20, 20))) for x in (0, 20)]
            yield [sample], torch.stack(halves).view(1, 1, 2, 4)


def measured(path, *options, **request):
    tasks = tasks_of("own", Request(str(path), options=options, **request))
    return {task.key: task.run(Known()) for task in tasks}


def test_both_sides_and_grounding_by_hand(lines):
    found = measured(lines, *OPTIONS)
    assert list(found) == [
        "retrieval-mine-jsonl", "retrieval-mine-jsonl-further-captions-1", "boxes-mine-jsonl-dense",
        "expressions-mine-jsonl-dense", "pointing-mine-jsonl", "phrases-and-negatives-mine-jsonl-dense",
    ]  # fmt: skip
    retrieval = found["retrieval-mine-jsonl"]
    assert (retrieval["images"], retrieval["captions"]) == (2, 3)
    boxes = found["boxes-mine-jsonl-dense"]
    assert boxes["boxes"] == 4  # those of an image with two captions count once
    assert boxes["box_top1"] == 0.75  # the red half that is labelled green
    assert found["expressions-mine-jsonl-dense"]["referring"] == 0.75  # three of four phrases
    assert found["pointing-mine-jsonl"]["pointing"] == 0.75
    assert found["phrases-and-negatives-mine-jsonl-dense"] == {
        "negatives_top1": 1, "negatives_median_rank": 1, "negatives_count": 1,
    }  # fmt: skip


def test_without_classes_boxes_are_named_by_phrases(tmp_path):
    draw(tmp_path / "a.png", "red", "green")
    row = {"image": "a.png", "boxes": HALVES, "caption": "red and green", "phrases": ["red", "green"]}
    found = measured(write_lines(tmp_path, [{**row, "links": [[0, 0], [1, 0]]}]), *OPTIONS)
    assert found["phrases-of-boxes-mine-jsonl-dense"]["box_top1"] == 0.5
    assert not any(key.startswith("expressions") for key in found)  # no phrase has a wrong box


def test_a_negative_that_wins_is_counted():
    boxes = torch.tensor([[0.0, 0, 1, 1]])
    image = Image.new("RGB", (8, 8), COLORS["green"])
    sample = Sample(image, "", boxes, ("a red hat", "a green hat"), ((0, 0),), negatives=((0, 1),))
    assert among_negatives(ColorEncoder(), [sample])["negatives_top1"] == 0


def test_captions_alone_are_enough_and_nothing_is_an_error(tmp_path):
    draw(tmp_path / "a.png", "red", "red")
    found = measured(write_lines(tmp_path, [{"image": "a.png", "caption": "red"}]))
    assert list(found) == ["retrieval-mine-jsonl"]
    with pytest.raises(DataError, match="nothing can be measured"):
        measured(write_lines(tmp_path, [{"image": "a.png", "boxes": [[0, 0, 1, 1]]}]))


def test_options_are_those_of_the_format(lines):
    with pytest.raises(InputError, match="did you mean 'unit'"):
        measured(lines, "units=pixel")
    with pytest.raises(InputError, match="format is 'jsonlines'"):
        measured(lines, "format=jsonlines")
    with pytest.raises(InputError, match="no option 'split'"):
        measured(lines, *OPTIONS, split="val")
    with pytest.raises(DataError, match="line 1"):
        measured(lines)  # pixels taken for fractions


def test_options_go_to_what_takes_them(lines):
    tasks = tasks_on(["scenes=4", f"own={lines}"], Request("", options=OPTIONS))
    assert {"boxes-scenes-dense", "boxes-mine-jsonl-dense"} <= {task.key for task in tasks}
    with pytest.raises(InputError, match=r"none of scenes=4 takes options, but unit=pixel"):
        tasks_on(["scenes=4"], Request("", options=OPTIONS))
    with pytest.raises(InputError, match="scenes takes no options"):
        tasks_of("scenes", Request("4", options=OPTIONS))


def test_shards_and_cocos_folder(lines, tmp_path):
    from harmoclip.data import JsonLines

    write_shards(JsonLines(lines, unit="pixel", box_format="xywh"), tmp_path / "shards")
    shards = measured(tmp_path / "shards", "format=shards")
    assert shards["boxes-shards-dense"] == measured(lines, *OPTIONS)["boxes-mine-jsonl-dense"]
    (tmp_path / "coco").mkdir()
    found = measured(write_coco(tmp_path / "coco"), split="val2017")
    assert found["retrieval-coco"]["images"] == 3


def test_the_command(lines, tmp_path):
    write_open_clip(tmp_path / "tiny")
    arguments = ["evaluate", str(tmp_path / "tiny"), "--on", f"own={lines}", "--out", str(tmp_path / "out")]
    options = ["--option", "unit=pixel", "-o", "box_format=xywh", "--json"]
    result = CliRunner().invoke(cli.app, [*arguments, *options])
    assert result.exit_code == 0, result.output
    scores = json.loads(result.stdout.splitlines()[-1])["scores"]
    assert scores["boxes, mine.jsonl, dense"]["model"]["boxes"] == 4
    assert scores["pointing, mine.jsonl"]["model"]["pointing_phrases"] == 4
