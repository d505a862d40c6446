"""Boxes at and over the edge: cut, or left out with their name; none of them ends an evaluation."""

import json
import pickle

import pytest
import torch
from PIL import Image

from harmoclip.data import JsonLines, Sample
from harmoclip.data.formats.refcoco import RefCoco
from harmoclip.evaluate import CocoBoxes, box_scores, name_boxes, pointing, referring
from tests.helpers.small_world import small_encoder, write_coco

INNER = [0.2, 0.2, 0.6, 0.6]
OVER = {
    "rounding": [0.5, 0.5, 1.0000004768371582, 1.0],
    "a pixel": [0.5, 0.5, 1.03, 1.0],
    "left of it": [-0.05, 0.1, 0.5, 0.5],
    "larger": [-1.0, -1.0, 2.0, 2.0],
}
EMPTY = {
    "no width": [0.3, 0.1, 0.3, 0.9],
    "outside": [1.1, 0.1, 1.4, 0.9],
    "swapped": [0.9, 0.1, 0.4, 0.9],
    "not a number": [float("nan"), 0.1, 0.4, 0.9],
    "infinite": [0.1, 0.1, float("inf"), 0.9],
}


def sample(*boxes, key="a.jpg"):
    image = Image.effect_noise((32, 32), 90).convert("RGB")
    links = tuple((row, 0 if row == len(boxes) - 1 else 1) for row in range(len(boxes)))
    return Sample(image, "left right", torch.tensor(boxes), ((0, 4), (5, 10)), links, key=key)


@pytest.mark.parametrize("box", OVER.values(), ids=OVER)
@pytest.mark.parametrize("regions", ["dense", "crops"])
def test_boxes_over_the_edge_are_cut(box, regions):
    encoder = small_encoder()
    given = sample(box, INNER)
    cut = given.replace(boxes=given.boxes.clamp(0, 1))
    found = encoder.region_vectors([given], regions)
    torch.testing.assert_close(found.vectors, encoder.region_vectors([cut], regions).vectors)
    assert found.left_out == ()
    assert referring(encoder, [given], regions) == referring(encoder, [cut], regions)
    assert pointing(encoder, [given]) == pointing(encoder, [cut])


@pytest.mark.parametrize("box", EMPTY.values(), ids=EMPTY)
def test_boxes_without_area_are_left_out_and_named(box):
    encoder = small_encoder()
    found = encoder.region_vectors([sample(INNER), sample(INNER, box, INNER, key="b.jpg")])
    assert found.counts == [1, 2]
    assert found.rows.tolist() == [0, 0, 2]
    (text,) = found.left_out
    assert text.startswith("b.jpg, box 1 [")
    scores = referring(encoder, [sample(INNER, box, INNER)])
    assert scores["referring_phrases"] == 2
    assert len(scores.left_out) == 1


def test_coco_names_image_and_annotation(tmp_path):
    root = write_coco(tmp_path)
    path = root / "annotations/instances_val2017.json"
    content = json.loads(path.read_text())
    rows = [[70, 10, 5, 5], [10, 10, 0, 5], None, ["a", 1, 2, 3], [50, 10, 30, 20]]
    content["annotations"] += [
        {"id": 900 + i, "image_id": 1, "category_id": 10, "bbox": box} for i, box in enumerate(rows)
    ]
    path.write_text(json.dumps(content))
    named = name_boxes(small_encoder(), CocoBoxes(path, root / "val2017"), "name")
    assert len(named.labels) == 6 + 1
    left_out = box_scores(named).left_out
    assert [text.split(" [")[0] for text in left_out] == [f"1.png, annotation {900 + i}" for i in range(4)]


def test_fractions_of_yolo_that_rounding_moved(tmp_path):
    Image.effect_noise((64, 48), 90).convert("RGB").save(tmp_path / "a.jpg")
    row = {
        "image": "a.jpg", "caption": "A dog by a red car.", "phrases": ["A dog"], "links": [[0, 0]],
        "boxes": [[0.689844, 0.719792, 0.620312, 0.560417], [0.2, 0.2, 0.1, 0.1]],
    }  # fmt: skip
    (tmp_path / "yolo.jsonl").write_text(json.dumps(row) + "\n")
    scores = referring(small_encoder(), JsonLines(tmp_path / "yolo.jsonl", box_format="cxcywh"))
    assert scores["referring_phrases"] == 1
    assert scores.left_out == ()


def write_refcoco(folder, boxes):
    (folder / "pictures").mkdir(parents=True)
    Image.effect_noise((100, 80), 90).convert("RGB").save(folder / "pictures" / "1.jpg")
    instances = {
        "images": [{"id": 1, "file_name": "1.jpg", "width": 100, "height": 80}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, "bbox": box} for i, box in enumerate(boxes)
        ],
        "categories": [{"id": 1, "name": "dog"}],
    }
    (folder / "instances.json").write_text(json.dumps(instances))
    refs = [{"image_id": 1, "ann_id": 0, "split": "val", "sentences": [{"sent": "the left dog"}]}]
    (folder / "refs(unc).p").write_bytes(pickle.dumps(refs))


@pytest.mark.parametrize("box", [[60, 10, 40.01, 40], [-5, 10, 40, 40], [60, 10, 20, 0], [100.5, 10, 20, 20]])
def test_refcoco_boxes_are_cut_or_named(tmp_path, box):
    write_refcoco(tmp_path, [[10, 10, 30, 30], [50, 10, 20, 20], box])
    scores = referring(small_encoder(), RefCoco(tmp_path, "val", images=tmp_path / "pictures"))
    assert scores["referring_phrases"] == 1
    assert len(scores.left_out) == (box[3] == 0 or box[0] > 100)
