"""Detection from proposals: by hand, against pycocotools' own summary, and by LVIS's rules."""

import json

import pytest
import torch
from PIL import Image

from harmoclip.errors import DataError, InputError
from harmoclip.evaluate.registry import tasks_of
from harmoclip.evaluate.task import Request
from harmoclip.evaluate.yardsticks.detection import BASE, NOVEL, Annotations, average_precision
from tests.helpers.known import ColorEncoder

RED, GREEN = [10, 10, 30, 30], [60, 10, 30, 30]


def write_coco(root, boxes, categories, name="instances_val2017", **image):
    """One image of 100 x 50 with a red and a green square."""
    (root / "val2017").mkdir(exist_ok=True)
    (root / "annotations").mkdir(exist_ok=True)
    picture = Image.new("RGB", (100, 50), (128, 128, 128))
    picture.paste((250, 0, 0), (10, 10, 40, 40))
    picture.paste((0, 250, 0), (60, 10, 90, 40))
    picture.save(root / "val2017" / "7.png")
    content = {
        "info": {},
        "images": [{"id": 7, "file_name": "7.png", "width": 100, "height": 50, **image}],
        "annotations": [
            {"id": i + 1, "image_id": 7, "category_id": c, "bbox": b} for i, (b, c) in enumerate(boxes)
        ],
        "categories": categories,
    }
    (root / "annotations" / f"{name}.json").write_text(json.dumps(content))
    return content


def write_proposals(root, *boxes):
    rows = [{"image_id": 7, "bbox": box, "score": score} for box, score in boxes]
    (root / "proposals.json").write_text(json.dumps(rows))
    return root / "proposals.json"


CATEGORIES = [{"id": 5, "name": "red cat"}, {"id": 3, "name": "green bus"}, {"id": 9, "name": "blue dog"}]


def run(root, *boxes, split="val2017"):
    (task,) = tasks_of("detection", Request(str(root), split, proposals=write_proposals(root, *boxes)))
    return task.run(ColorEncoder())


def test_exact_boxes_with_right_names_have_full_precision(tmp_path):
    write_coco(tmp_path, [(RED, 5), (GREEN, 3)], CATEGORIES)
    found = run(tmp_path, (RED, 0.9), (GREEN, 0.8), ([200, 10, 10, 10], 0.9))
    assert [found[name] for name in ("ap", "ap50", "ap_small")] == pytest.approx([1, 1, 1])
    assert "ap_large" not in found  # no box is large
    assert [text.split(", box")[0] for text in found.left_out] == ["7"]


def test_a_surer_box_of_another_class_halves_the_precision(tmp_path):
    write_coco(tmp_path, [(RED, 3)], CATEGORIES)  # the model calls the other one so
    assert run(tmp_path, (RED, 0.9), (GREEN, 0.8))["ap50"] == pytest.approx(0.5)


def test_average_precision_equals_pycocotools_summary(tmp_path):
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    from pycocotools.coco import COCO

    generator = torch.Generator().manual_seed(3)
    corner = torch.rand(40, 2, generator=generator) * torch.tensor([60.0, 20.0])
    boxes = torch.cat([corner, 5 + torch.rand(40, 2, generator=generator) * 25], 1)
    content = write_coco(tmp_path, [(b, (5, 3, 9)[i % 3]) for i, b in enumerate(boxes.tolist())], CATEGORIES)
    results = [
        {"image_id": 7, "category_id": (5, 3, 9)[(i + (i % 5 == 0)) % 3], "bbox": b, "score": 1 / (i + 2)}
        for i, b in enumerate((boxes + torch.randn(40, 4, generator=generator)).abs().tolist())
    ]
    ours = {
        m.name: m.value
        for m in average_precision(
            Annotations(tmp_path / "annotations/instances_val2017.json", tmp_path), results
        )
    }
    right = COCO()
    right.dataset = {
        **content,
        "annotations": [
            {**a, "iscrowd": 0, "area": a["bbox"][2] * a["bbox"][3]} for a in content["annotations"]
        ],
    }
    right.createIndex()
    evaluator = cocoeval.COCOeval(right, right.loadRes(results), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    for name, value in zip(("ap", "ap50", "ap75", "ap_small"), evaluator.stats, strict=False):
        assert ours[name] == pytest.approx(value)


def test_novel_and_base_classes_of_coco(tmp_path):
    assert (len(NOVEL), len(BASE), set(NOVEL) & set(BASE)) == (17, 48, set())
    write_coco(tmp_path, [(RED, 1), (GREEN, 2)], [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}])
    results = [{"image_id": 7, "category_id": 1, "bbox": RED, "score": 0.9}]
    annotations = Annotations(tmp_path / "annotations/instances_val2017.json", tmp_path)
    found = {m.name: m.value for m in average_precision(annotations, results)}
    names = ("ap50_base", "ap50_novel", "ap50")
    assert [found[name] for name in names] == pytest.approx([1, 0, 0.5])


def lvis(root, **image):
    categories = [
        {"id": 1, "name": "bow_(decorative_ribbons)", "frequency": "r"},
        {"id": 2, "name": "bus", "frequency": "c"},
        {"id": 3, "name": "cup", "frequency": "f"},
    ]
    url = "http://images.cocodataset.org/val2017/7.png"
    content = write_coco(root, [(RED, 1), (GREEN, 2)], categories, "lvis_v1_val", coco_url=url, **image)
    del content["images"][0]["file_name"]
    (root / "annotations/lvis_v1_val.json").write_text(json.dumps(content))
    return Annotations(root / "annotations/lvis_v1_val.json", root)


# a wrong box of each class is surer than the right ones
WRONG = [{"image_id": 7, "category_id": c, "bbox": [0, 40, 9, 9], "score": 0.9} for c in (1, 2, 3)]
RIGHT = [{"image_id": 7, "category_id": c, "bbox": b, "score": 0.5} for c, b in ((1, RED), (2, GREEN))]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({"not_exhaustive_category_ids": [], "neg_category_ids": [3]}, {"ap_rare": 0.5, "ap_common": 0.5}),
        ({"not_exhaustive_category_ids": [1], "neg_category_ids": []}, {"ap_rare": 1.0, "ap_common": 0.5}),
    ],
)
def test_lvis_counts_only_what_was_looked_for(tmp_path, image, expected):
    annotations = lvis(tmp_path, **image)
    assert annotations.class_names[0] == "bow"
    assert annotations.file(annotations.images["7"]) == tmp_path / "val2017/7.png"
    found = {m.name: m.value for m in average_precision(annotations, WRONG + RIGHT, 300)}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert "ap_frequent" not in found  # it has no right box


def test_what_is_missing_is_said(tmp_path):
    write_coco(tmp_path, [(RED, 5)], CATEGORIES)
    with pytest.raises(InputError, match="--proposals"):
        tasks_of("detection", Request(str(tmp_path)))
    with pytest.raises(DataError, match=r"instances_train2017\.json"):
        tasks_of("detection", Request(str(tmp_path), "train2017", proposals=write_proposals(tmp_path)))
    other = write_proposals(tmp_path, (RED, 0.9))
    other.write_text(other.read_text().replace(": 7,", ": 8,"))
    (task,) = tasks_of("detection", Request(str(tmp_path), proposals=other))
    with pytest.raises(DataError, match="'7', those of the proposals such as '8'"):
        task.run(ColorEncoder())


def test_lvis_boxes_by_frequency(tmp_path):
    lvis(tmp_path)
    (task,) = tasks_of("lvis", Request(str(tmp_path)))
    found = task.run(ColorEncoder())
    # neither "bow" nor "bus" names a color, so both boxes are called by the first of equals
    assert {found["lvis_rare_top1"], found["lvis_common_top1"]} == {0, 1}
    assert "lvis_frequent_top1" not in found
    assert found["boxes"] == 2
    assert found.metric("lvis_rare_top1").chance == pytest.approx(1 / 3)
    with pytest.raises(DataError, match=r"lvis_v1_train\.json"):
        tasks_of("lvis", Request(str(tmp_path), "train"))
