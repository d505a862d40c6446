import copy
import io
import json

import pytest
import torch
from rich.console import Console

import harmoclip
from harmoclip.errors import DataError, InputError
from harmoclip.evaluate.columns import change
from harmoclip.evaluate.comparison import Comparison
from harmoclip.evaluate.evaluated import Evaluated
from harmoclip.evaluate.metrics import Metric, Metrics, show
from harmoclip.evaluate.registry import tasks_of
from harmoclip.evaluate.report import write_report
from harmoclip.evaluate.tables import terminal_table
from harmoclip.evaluate.task import Request
from tests.helpers.small_world import small_encoder, write_coco


def changed(state):
    return {name: value + 0.05 * torch.randn_like(value) for name, value in state.items()}


def test_before_after_sweep_and_report(tmp_path):
    encoder = small_encoder()
    state = copy.deepcopy(encoder.harmo.model.state_dict())
    comparison = Comparison(encoder, changed(state))
    tasks = tasks_of("scenes", Request("6"))
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
    evaluated = comparison.evaluate("a < b", tasks, [0.5])
    assert (evaluated.scores, evaluated.sweep) == (scores, sweep)
    page = write_report(tmp_path / "out", evaluated)
    text = page.read_text()
    assert "a &lt; b" in text
    assert text.count('<img src="data:image/png;base64,') == text.count("<img") == 6
    assert {path.name for path in page.parent.iterdir()} == {
        "report.html", "report.json", "report.csv", "report.tex", "model_card.md",
    }  # fmt: skip
    kept = json.loads((page.parent / "report.json").read_text())
    assert kept["scores"] == scores
    assert kept["version"] == harmoclip.__version__
    assert kept["units"]["retrieval, scenes"]["i2t_median_rank"] == "rank"
    assert kept["chance"]["boxes, scenes, dense"]["box_top1"] == 1 / 64


def test_one_model_alone_has_no_sweep(tmp_path):
    comparison = Comparison(small_encoder())
    tasks = tasks_of("coco", Request(str(write_coco(tmp_path))))
    kinds = ("retrieval, COCO", "boxes, COCO panoptic", "boxes, COCO instances")
    assert [task.name.split(" val2017")[0] for task in tasks] == list(kinds)
    scores = comparison.scores(tasks)
    assert {"clipself_things_top1", "fineclip_top5"} <= scores[tasks[1].name]["model"].keys()
    assert {"fgclip_top1", "small_boxes"} <= scores[tasks[2].name]["model"].keys()
    assert comparison.sweep(tasks, [0.5]) == {}


def test_masks_measure_the_panoptic_segments_alone(tmp_path):
    (_, boxes) = tasks_of("coco", Request(str(write_coco(tmp_path)), regions="masks"))
    assert "panoptic" in boxes.name
    assert boxes.run(small_encoder())["small_boxes"] == 3


def test_weights_of_another_model_are_refused():
    encoder = small_encoder()
    with pytest.raises(InputError, match=r"different architectures: .*86 weights.*1 weights"):
        Comparison(encoder, {"w": torch.ones(1)}).scores(tasks_of("scenes", Request("2"))[:1])


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"COCO's own layout"):
        tasks_of("coco", Request(str(tmp_path)))
    with pytest.raises(DataError, match=r"Karpathy"):
        tasks_of("flickr30k", Request(str(tmp_path)))


def test_numbers_as_shown():
    assert show(0.1234, "fraction") == "12.3 %"
    assert show(-0.1234, "fraction", signed=True) == "-12.3 %"
    assert show(2.5, "rank") == "2.5"
    assert show(1031, "count") == "1,031"


def test_changes_are_of_pairs_of_what_can_be_better():
    before = Metrics([Metric("i2t_r1", 0.25), Metric("small_boxes", 3, "count")])
    pair = {"before": before, "after": Metrics([Metric("i2t_r1", 0.5), Metric("small_boxes", 3, "count")])}
    assert change(pair, "i2t_r1") == 0.25
    assert change(pair, "small_boxes") is None
    assert change({"before": before}, "i2t_r1") is None


def test_what_was_left_out_is_told_beside_the_scores(tmp_path):
    left_out = [f"{i}.jpg, box 0 [1, 1, 1, 9]: no area" for i in range(7)]
    columns = {"model": Metrics([Metric("box_top1", 0.25, chance=0.1)], left_out)}
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(terminal_table("boxes", columns))
    text = console.export_text()
    assert "25.0 %" in text
    assert "10.0 %" in text
    assert "left out (7): 0.jpg, box 0" in text
    assert "and 2 more" in text
    page = write_report(tmp_path, Evaluated("t", {"boxes": columns}))
    assert "left out (7)" in page.read_text()
    assert json.loads((tmp_path / "report.json").read_text())["left_out"] == {"boxes": left_out}
