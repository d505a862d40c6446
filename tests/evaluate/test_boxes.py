import pytest
import torch

from harmoclip.errors import DataError, InputError
from harmoclip.evaluate import (
    CocoBoxes,
    NamedBoxes,
    box_scores,
    clipself_scores,
    fgclip_scores,
    fineclip_scores,
    name_boxes,
    size_scores,
)
from tests.helpers.small_world import small_encoder, write_coco

# four people, one dog, two walls; the walls are stuff
BOXES = NamedBoxes(
    labels=torch.tensor([0, 0, 0, 0, 1, 2, 2]),
    guesses=torch.tensor([[0, 1], [0, 1], [0, 2], [1, 0], [2, 1], [2, 0], [0, 1]]),
    margin=torch.zeros(7),
    sample=torch.zeros(7, dtype=torch.int64),
    row=torch.arange(7),
    area=torch.tensor([10.0, 1023.0, 1024.0, 9215.0, 9216.0, 1e6, 5.0]),
    class_names=("person", "dog", "wall"),
    things=torch.tensor([True, True, False]),
)


def test_the_three_definitions_differ_as_published():
    assert clipself_scores(BOXES) == pytest.approx(
        {
            "clipself_things_top1": (3 / 4 + 0) / 2, "clipself_things_top5": 1,
            "clipself_stuff_top1": 1 / 2, "clipself_stuff_top5": 1 / 2,
        }
    )  # fmt: skip
    assert fineclip_scores(BOXES)["fineclip_top1"] == pytest.approx((3 / 4 + 0 + 1 / 2) / 3)
    assert fgclip_scores(BOXES)["fgclip_top1"] == pytest.approx(4 / 7)
    assert fgclip_scores(BOXES)["fgclip_top5"] == pytest.approx(6 / 7)


def test_sizes():
    scores = size_scores(BOXES)
    assert [scores[f"{size}_boxes"] for size in ("small", "medium", "large")] == [3, 2, 2]
    assert scores["small_top1"] == pytest.approx(2 / 3)
    assert scores["large_top1"] == pytest.approx(1 / 2)


def test_coco_boxes_follow_the_protocols_limits(tmp_path):
    root = write_coco(tmp_path)
    images = root / "val2017"
    every = CocoBoxes(root / "annotations/instances_val2017.json", images)
    assert [len(every[i].boxes) for i in range(3)] == [2, 2, 2]  # crowds are counted
    assert every.class_names == ("red", "green", "blue")
    torch.testing.assert_close(every[0].boxes[0], torch.tensor([10 / 60, 10 / 40, 40 / 60, 30 / 40]))
    limited = CocoBoxes(
        root / "annotations/panoptic_val2017.json", images, smallest=8, largest=1024, most=100
    )
    assert limited.class_names[-1] == "wall"
    assert limited.is_thing == (True, True, True, False)
    assert [limited[i].labels.tolist() for i in range(3)] == [[0, 3], [1, 3], [2, 3]]
    assert len(CocoBoxes(root / "annotations/panoptic_val2017.json", images, most=1)[0].boxes) == 1


def test_masks_are_the_segments(tmp_path):
    root = write_coco(tmp_path)
    annotations = root / "annotations"
    data = CocoBoxes(
        annotations / "panoptic_val2017.json",
        root / "val2017",
        segments=annotations / "panoptic_val2017",
        smallest=8,
    )
    masks = data.masks(0)
    assert masks.sum((1, 2)).tolist() == [30 * 20, 60 * 40 - 30 * 20]
    assert masks[0, 10:30, 10:40].all()
    with pytest.raises(DataError, match="panoptic"):
        CocoBoxes(annotations / "instances_val2017.json", root / "val2017", segments=annotations)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.json"):
        CocoBoxes(tmp_path / "nothing.json", tmp_path)


@pytest.mark.parametrize("regions", ["dense", "crops", "masks"])
def test_boxes_are_compared_with_the_classes(tmp_path, regions):
    root = write_coco(tmp_path)
    encoder = small_encoder()
    annotations = root / "annotations"
    data = CocoBoxes(
        annotations / "panoptic_val2017.json",
        root / "val2017",
        segments=annotations / "panoptic_val2017",
        smallest=8,
    )
    named = name_boxes(encoder, data, "photo", regions)
    assert named.labels.tolist() == [0, 3, 1, 3, 2, 3]
    assert named.sample.tolist() == [0, 0, 1, 1, 2, 2]
    assert named.row.tolist() == [0, 1] * 3
    torch.testing.assert_close(named.area, torch.tensor([600.0, 2400.0] * 3))
    vectors = encoder.region_vectors(data, regions).vectors
    cosine = torch.nn.functional.normalize(vectors) @ encoder.class_vectors(data.class_names, "photo").T
    assert named.guesses[:, 0].tolist() == cosine.argmax(1).tolist()
    right = cosine[torch.arange(6), named.labels]
    others = cosine.clone()
    others[torch.arange(6), named.labels] = -2
    torch.testing.assert_close(named.margin, right - others.amax(1))
    assert set(box_scores(named)) == {"box_top1", "box_top5", "box_macro_top1"}


def test_a_data_set_without_masks_or_classes_is_refused(tmp_path):
    root = write_coco(tmp_path)
    encoder = small_encoder()
    data = CocoBoxes(root / "annotations/instances_val2017.json", root / "val2017")
    with pytest.raises(InputError, match="has no masks"):
        encoder.region_vectors([data[0]], "masks")
    with pytest.raises(InputError, match="'dense'"):
        encoder.region_vectors(data, "nothing")
    with pytest.raises(DataError, match="class_names"):
        name_boxes(encoder, [data[0]])


def test_real_coco(data_root):
    root = data_root / "coco-mini"
    boxes = CocoBoxes(root / "annotations/instances_train2017.json", root / "train2017")
    samples = [boxes[i] for i in range(len(boxes))]
    assert sum(len(s.boxes) for s in samples) == 739
    assert len(boxes.class_names) == 80
    assert all((s.boxes[:, 2:] > s.boxes[:, :2]).all() and s.boxes.max() <= 1 for s in samples)
