import copy
import json

import pytest
import torch
from small_world import small_subject, write_coco

from harmoclip.errors import DataError, InputError
from harmoclip.evaluate.comparison import Comparison
from harmoclip.evaluate.report import change, show
from harmoclip.evaluate.suite import coco_tasks, flickr_tasks, scene_tasks


def changed(state):
    return {name: value + 0.05 * torch.randn_like(value) for name, value in state.items()}


def test_before_after_sweep_and_report(tmp_path):
    subject = small_subject()
    state = copy.deepcopy(subject.harmo.model.state_dict())
    comparison = Comparison(subject, changed(state))
    tasks = scene_tasks(6, "dense")
    scores = comparison.scores(tasks)
    assert {name: list(columns) for name, columns in scores.items()} == {
        task.name: ["before", "after"] for task in tasks
    }
    sweep = comparison.sweep(tasks, [0.5])
    assert list(sweep) == ["0", "0.5", "1"]
    ends = [
        ((s["i2t_r1"] + s["t2i_r1"]) / 2, b["box_top1"])
        for s, b in zip(scores[tasks[0].name].values(), scores[tasks[1].name].values(), strict=True)
    ]
    assert [sweep["0"], sweep["1"]] == ends
    page = comparison.report(tmp_path / "out", "a < b", tasks, scores, sweep)
    text = page.read_text()
    assert "a &lt; b" in text
    assert text.count("<img") == len(list(page.parent.glob("*.png"))) == 5
    kept = json.loads((page.parent / "report.json").read_text())
    assert kept["scores"] == scores


def test_one_model_alone_has_no_sweep(tmp_path):
    comparison = Comparison(small_subject())
    tasks = coco_tasks(write_coco(tmp_path), "val2017", "dense")
    kinds = ("retrieval, COCO", "boxes, COCO panoptic", "boxes, COCO instances")
    assert [task.name.split(" val2017")[0] for task in tasks] == list(kinds)
    scores = comparison.scores(tasks)
    assert {"clipself_things_top1", "fineclip_top5"} <= scores[tasks[1].name]["model"].keys()
    assert {"fgclip_top1", "small_boxes"} <= scores[tasks[2].name]["model"].keys()
    assert comparison.sweep(tasks, [0.5]) == {}


def test_masks_measure_the_panoptic_segments_alone(tmp_path):
    (_, boxes) = coco_tasks(write_coco(tmp_path), "val2017", "masks")
    assert "panoptic" in boxes.name
    assert boxes.run(small_subject())["small_boxes"] == 3


def test_weights_of_another_model_are_refused():
    subject = small_subject()
    with pytest.raises(InputError, match="do not fit"):
        Comparison(subject, {"w": torch.ones(1)}).scores(scene_tasks(2, "dense")[:1])


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="COCO's own layout"):
        coco_tasks(tmp_path, "val2017", "dense")
    with pytest.raises(DataError, match="Karpathy"):
        flickr_tasks(tmp_path)


def test_numbers_as_shown():
    assert show(0.1234, "i2t_r1") == "12.3"
    assert show(2.5, "i2t_median_rank") == "2.5"
    assert show(31, "small_boxes") == "31"
    pair = {"before": {"i2t_r1": 0.25, "small_boxes": 3}, "after": {"i2t_r1": 0.5, "small_boxes": 3}}
    assert change(pair, "i2t_r1") == 0.25
    assert change(pair, "small_boxes") is None
    assert change({"before": pair["before"]}, "i2t_r1") is None
