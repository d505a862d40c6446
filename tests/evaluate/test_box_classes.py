"""Boxes and masks among the classes of released data sets, each in its layout, scored by hand."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from harmoclip.errors import DataError, InputError
from harmoclip.evaluate.coco_boxes import CocoBoxes
from harmoclip.evaluate.masks import segment_mask
from harmoclip.evaluate.registry import tasks_of
from harmoclip.evaluate.task import Request
from tests.helpers.known import ColorEncoder
from tests.helpers.small_world import small_encoder

LEFT, RIGHT = [0, 0, 20, 20], [20, 0, 20, 20]


def draw(path):
    """Red on the left, green on the right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (40, 20), (250, 0, 0))
    image.paste((0, 250, 0), (20, 0, 40, 20))
    image.save(path)


def content(file_name, names, segments=None):
    """The left half is of the first class, the right half too, wrongly; the last class has a box as well."""
    categories = [{"id": 10 * i, "name": name, "isthing": int(i == 1)} for i, name in enumerate(names, 1)]
    boxes = [(LEFT, 10), (RIGHT, 10), (LEFT, 10 * len(names))]
    annotations = [
        {"id": i, "image_id": 7, "category_id": category, "bbox": box, "iscrowd": 0, "area": 400}
        for i, (box, category) in enumerate(boxes, 1)
    ]
    image = {"id": 7, "file_name": file_name, "width": 40, "height": 20}
    return {"images": [image], "annotations": annotations, "categories": categories}


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def score(split, root, encoder=None, **request):
    (task,) = tasks_of("boxes", Request(str(root), split, **request))
    return task.run(encoder or ColorEncoder())


@pytest.mark.parametrize(
    ("split", "annotations", "image", "name"),
    [
        ("objects365", "zhiyuan_objv2_val.json", "val/patch16/a.png", "images/v2/patch16/a.png"),
        ("objects365", "annotations/zhiyuan_objv2_val.json", "val/images/v1/p/a.png", "images/v1/p/a.png"),
        ("v3det", "annotations/v3det_2023_v1_val.json", "images/a00000066/a.png", "images/a00000066/a.png"),
    ],
)
def test_class_lists_of_detection_sets(tmp_path, split, annotations, image, name):
    draw(tmp_path / image)
    write(tmp_path / annotations, content(name, ["red", "green", "blue"]))
    found = score(split, tmp_path)
    assert found["box_top1"] == pytest.approx(1 / 3)
    assert (found["boxes"], found["small_boxes"]) == (3, 3)


def test_boxclass_counts_every_box(tmp_path):
    draw(tmp_path / "images/000010.jpg")
    write(tmp_path / "jsonfile/valid_category_data_total_zh.json", content("000010.jpg", ["red", "green"]))
    found = score("boxclass", tmp_path)
    assert found["fgclip_top1"] == pytest.approx(1 / 3)  # red as red; green as red and red as green are wrong


def test_coco_stuff_leaves_out_what_is_no_stuff(tmp_path):
    draw(tmp_path / "val2017/a.png")
    write(tmp_path / "annotations/stuff_val2017.json", content("a.png", ["red-stuff", "green", "other"]))
    found = score("coco-stuff", tmp_path)
    assert (found["boxes"], found["box_top1"]) == (2, 0.5)


def test_ade20k_things_and_stuff_with_boxes_and_masks(tmp_path):
    draw(tmp_path / "images/validation/a.png")
    ids = Image.new("RGB", (40, 20), (1, 0, 0))
    ids.paste((2, 0, 0), (20, 0, 40, 20))
    (tmp_path / "ade20k_panoptic_val").mkdir()
    ids.save(tmp_path / "ade20k_panoptic_val/a.png")
    segments = [
        {"id": 1, "category_id": 1, "bbox": LEFT, "area": 400, "iscrowd": 0},
        {"id": 2, "category_id": 2, "bbox": RIGHT, "area": 400, "iscrowd": 0},
    ]
    image = {"id": 7, "file_name": "a.png", "width": 40, "height": 20}
    categories = [{"id": 1, "name": "red, crimson", "isthing": 1}, {"id": 2, "name": "blue", "isthing": 0}]
    annotations = [{"image_id": 7, "file_name": "a.png", "segments_info": segments}]
    write(
        tmp_path / "ade20k_panoptic_val.json",
        {"images": [image], "annotations": annotations, "categories": categories},
    )
    found = score("ade20k", tmp_path)
    assert found["clipself_things_top1"] == 1
    masked = score("ade20k", tmp_path, small_encoder(), regions="masks")
    assert masked["boxes"] == 2


def test_any_file_in_cocos_format(tmp_path):
    draw(tmp_path / "pictures/a.png")
    write(tmp_path / "mine.json", content("a.png", ["red", "green", "blue"]))
    request = Request(str(tmp_path / "mine.json"), images=tmp_path / "pictures", options=("prompts=name",))
    (task,) = tasks_of("boxes", request)
    assert task.run(ColorEncoder())["box_top1"] == pytest.approx(1 / 3)


def test_what_is_not_known_is_answered(tmp_path):
    with pytest.raises(InputError, match="did you mean 'ade20k'"):
        tasks_of("boxes", Request(str(tmp_path), "ade20"))
    with pytest.raises(InputError, match="boxes:ade20k=DIR"):
        tasks_of("boxes", Request(str(tmp_path)))
    with pytest.raises(DataError, match="zhiyuan_objv2_val"):
        tasks_of("boxes", Request(str(tmp_path), "objects365"))


def test_polygons_and_run_lengths_are_masks():
    square = [[5, 2, 15, 2, 15, 12, 5, 12]]
    expected = torch.zeros(20, 40, dtype=torch.bool)
    expected[2:12, 5:15] = True
    assert torch.equal(segment_mask(square, (40, 20), "a"), expected)
    flat = expected.numpy().flatten(order="F").astype(int)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    counts = np.diff(np.concatenate([[0], edges, [len(flat)]])).tolist()
    assert torch.equal(segment_mask({"size": [20, 40], "counts": counts}, (40, 20), "a"), expected)
    mask = pytest.importorskip("pycocotools.mask")
    packed = mask.encode(np.asfortranarray(expected.numpy().astype(np.uint8)))
    for runs in (packed, {**packed, "counts": packed["counts"].decode()}):
        assert torch.equal(segment_mask(runs, (40, 20), "a"), expected)


@pytest.mark.parametrize("segmentation", [None, [], [[1, 2]], {"size": [20, 40]}, "mask"])
def test_a_segment_that_is_none_is_named(segmentation):
    with pytest.raises(DataError, match="annotation 7"):
        segment_mask(segmentation, (40, 20), "annotation 7")


def test_a_segment_of_another_size_is_named():
    with pytest.raises(DataError, match="10 x 10 pixels, and its image is 40 x 20"):
        segment_mask({"size": [10, 10], "counts": [100]}, (40, 20), "annotation 7")


def test_instances_are_pooled_by_their_polygons(data_root):
    root = data_root / "coco-mini"
    data = CocoBoxes(root / "annotations/instances_train2017.json", root / "train2017")
    assert data.has_masks
    masks, sample = data.masks(0), data[0]
    width, height = sample.size
    ys, xs = masks[0].nonzero(as_tuple=True)
    found = torch.tensor(
        [xs.min() / width, ys.min() / height, (xs.max() + 1) / width, (ys.max() + 1) / height]
    )
    torch.testing.assert_close(found, sample.boxes[0], atol=0.01, rtol=0)
