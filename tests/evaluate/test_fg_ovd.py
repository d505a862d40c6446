"""FG-OVD's benchmark files, in their layout, scored by hand."""

import json

import pytest
from PIL import Image

from harmoclip.errors import DataError, InputError
from harmoclip.evaluate.registry import tasks_of
from harmoclip.evaluate.task import Request
from tests.helpers.known import ColorEncoder
from tests.helpers.small_world import small_encoder

CAPTIONS = ("A red mug.", "A green mug.", "A blue mug.", "A mug without a handle.")


def write_fg_ovd(root, boxes, name="1_attributes"):
    """As published: captions are categories, file names start with the folder, ids are LVIS's."""
    (root / "val2017").mkdir(exist_ok=True)
    picture = Image.new("RGB", (60, 40), (128, 128, 128))
    picture.paste((250, 0, 0), (0, 0, 30, 40))
    picture.paste((0, 250, 0), (30, 0, 60, 40))
    picture.save(root / "val2017" / "000000000009.png")
    image = {
        "id": 9, "width": 60, "height": 40, "file_name": "val2017/000000000009.png",
        "neg_category_ids": [1, 2], "not_exhaustive_category_ids": [0],
    }  # fmt: skip
    content = {
        "images": [image, {**image, "id": 10, "file_name": "val2017/none.png"}],
        "categories": [{"id": i, "name": caption} for i, caption in enumerate(CAPTIONS)],
        "annotations": [
            {
                "id": 70 + i,
                "image_id": 9,
                "bbox": box,
                "category_id": ids[0],
                "neg_category_ids": ids[1:],
                "area": 1,
            }
            for i, (box, ids) in enumerate(boxes)
        ],
    }
    (root / f"{name}.json").write_text(json.dumps(content))
    return content


BOXES = [
    ([0, 0, 30, 40], [0, 1, 2, 3]),  # red, right
    ([30, 0, 30, 40], [0, 1, 2, 3]),  # green, called red: wrong
    ([31, 5, 20, 20], [1, 0]),  # green, right
    ([31, 5, 0, 20], [1, 0]),  # no width
]


def test_the_right_caption_of_a_box(tmp_path):
    write_fg_ovd(tmp_path, BOXES)
    write_fg_ovd(tmp_path, BOXES[:1], "pattern")
    hard, pattern = tasks_of("fg-ovd", Request(str(tmp_path)))
    assert (hard.name, pattern.name) == ("FG-OVD hard, dense", "FG-OVD pattern, dense")
    found = hard.run(ColorEncoder())
    assert found == {"fg_ovd_top1": pytest.approx(2 / 3), "fg_ovd_median_rank": 1, "fg_ovd_count": 3}
    assert found.metric("fg_ovd_top1").chance == pytest.approx((1 / 4 + 1 / 4 + 1 / 2) / 3)
    assert [text.split(" [")[0] for text in found.left_out] == ["val2017/000000000009.png, annotation 73"]
    assert pattern.run(ColorEncoder())["fg_ovd_top1"] == 1
    (only,) = tasks_of("fg-ovd", Request(str(tmp_path), "pattern", tmp_path / "val2017"))
    assert only.run(small_encoder())["fg_ovd_count"] == 1


def test_equal_captions_give_no_credit(tmp_path):
    write_fg_ovd(tmp_path, [(BOXES[0][0], [0, 0, 0])])
    (task,) = tasks_of("fg-ovd", Request(str(tmp_path)))
    assert task.run(ColorEncoder())["fg_ovd_top1"] == 0


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"1_attributes\.json"):
        tasks_of("fg-ovd", Request(str(tmp_path)))
    content = write_fg_ovd(tmp_path, [(BOXES[0][0], [0, 99])])
    (task,) = tasks_of("fg-ovd", Request(str(tmp_path)))
    with pytest.raises(DataError, match="annotation 70 names the category 99"):
        task.run(ColorEncoder())
    with pytest.raises(InputError, match="hard, medium"):
        tasks_of("fg-ovd", Request(str(tmp_path), "harder"))
    content["annotations"][0]["image_id"] = "9"
    (tmp_path / "1_attributes.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="image '9', which is not listed"):
        tasks_of("fg-ovd", Request(str(tmp_path)))
