"""A folder in COCO's own layout, oddities included."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from harmoclip.data.formats.coco import CocoCaptions
from harmoclip.errors import DataError

RLE = {"counts": [10, 30, 60], "size": [50, 100]}
POLYGON = [[10.0, 5.0, 30.0, 5.0, 30.0, 45.0]]


def box(key, image, category, bbox, crowd=0):
    segmentation = RLE if crowd else POLYGON
    return {
        "id": key, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": crowd,
        "area": bbox[2] * bbox[3] / 2, "segmentation": segmentation,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "val2017").mkdir()
    images = [
        {"id": 9, "file_name": "000000000009.jpg", "width": 100, "height": 50},
        {"id": 3, "file_name": "café № 3.jpg", "width": 40, "height": 80},
        {"id": 5, "file_name": "gone.jpg", "width": 10, "height": 10},
        {"id": 7, "file_name": "unsaid.jpg", "width": 10, "height": 10},
    ]
    captions = [
        {"id": 1, "image_id": 3, "caption": "Two dogs near a man\n"},
        {"id": 2, "image_id": 9, "caption": "People cross a street."},
        {"id": 3, "image_id": 9, "caption": "A yellow taxi waits."},
        {"id": 4, "image_id": 5, "caption": "Nothing is boxed here."},
    ]
    categories = [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}, {"id": 3, "name": "car"}]
    boxes = [
        box(1, 3, 18, [0.0, 0.0, 10.0, 20.0]),
        box(2, 9, 1, [10.5, 5.25, 20.0, 40.0]),
        box(3, 3, 1, [20.0, 0.0, 20.0, 80.0]),
        box(4, 3, 18, [10.0, 40.0, 10.0, 20.0]),
        box(5, 9, 1, [50.0, 0.0, 50.0, 25.0], crowd=1),
        box(6, 9, 3, [0.0, 25.0, 100.0, 25.0]),
    ]
    for name, content in (
        ("captions", {"info": {}, "images": images, "licenses": [], "annotations": captions}),
        ("instances", {"images": images, "annotations": boxes, "categories": categories}),
    ):
        path = tmp_path / f"annotations/{name}_val2017.json"
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    for image in images[:2]:
        colors = np.full((image["height"], image["width"]), 90, np.uint8)
        Image.fromarray(colors).save(tmp_path / "val2017" / image["file_name"])
    return tmp_path


def test_samples_are_exact(folder):
    samples = CocoCaptions(folder)
    assert samples.split == "val2017"
    assert samples.class_names == ("person", "car", "dog")
    assert len(samples) == 4
    people, taxi, dogs = (samples[i] for i in range(3))
    assert [s.caption for s in (people, taxi, dogs)] == [
        "People cross a street.",
        "A yellow taxi waits.",
        "Two dogs near a man\n",
    ]
    assert people.image.mode == "RGB"
    torch.testing.assert_close(
        people.boxes, torch.tensor([[0.105, 0.105, 0.305, 0.905], [0.5, 0, 1, 0.5], [0, 0.5, 1, 1]])
    )
    assert people.labels.tolist() == [0, 0, 1]
    assert people.phrase_texts == ("People", "a street")
    assert people.links == ((0, 0), (1, 0))
    assert taxi.links == ((2, 0),)
    assert dogs.key == "café № 3.jpg"
    assert dogs.phrase_texts == ("Two dogs", "a man")
    assert dogs.links == ((0, 0), (2, 0), (1, 1))
    torch.testing.assert_close(
        dogs.boxes, torch.tensor([[0, 0, 0.25, 0.25], [0.5, 0, 1, 1], [0.25, 0.5, 0.5, 0.75]])
    )


def test_a_phrase_for_one_is_not_linked_to_a_crowd(folder):
    path = folder / "annotations/captions_val2017.json"
    path.write_text(path.read_text(encoding="utf-8").replace("People cross", "A man crosses"))
    assert CocoCaptions(folder)[0].links == ((0, 0),)


def test_the_share_of_links(folder):
    share = CocoCaptions(folder).link_share()
    assert share.boxes == 1
    assert share.boxes_per_caption == pytest.approx((2 + 1 + 3) / 9)
    assert share.phrases == pytest.approx(4 / 5)


def test_synonyms_can_be_given(folder):
    samples = CocoCaptions(folder, synonyms={"car": ("street",)})
    assert samples[0].links == ((0, 0), (1, 0), (2, 1))
    assert CocoCaptions(folder, synonyms={})[0].links == ((0, 0), (1, 0))
    assert CocoCaptions(folder, synonyms={})[1].links == ()


def test_a_missing_picture_is_named(folder):
    with pytest.raises(DataError, match=r"gone\.jpg does not exist"):
        CocoCaptions(folder)[3]


def test_a_folder_that_is_not_cocos_is_refused(tmp_path, folder):
    with pytest.raises(DataError, match=r"expected COCO's layout: annotations/captions_train2017"):
        CocoCaptions(tmp_path / "val2017")
    with pytest.raises(DataError, match=r"has no split 'test': expected one of val2017"):
        CocoCaptions(folder, "test")
    (folder / "annotations/captions_more.json").write_text("{}")
    with pytest.raises(DataError, match="captions of more, val2017: give one"):
        CocoCaptions(folder)
    with pytest.raises(DataError, match="'images'"):
        CocoCaptions(folder, "more")


def test_a_caption_of_an_unknown_picture_is_refused(folder):
    path = folder / "annotations/captions_val2017.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["annotations"][0]["image_id"] = 404
    path.write_text(json.dumps(content))
    with pytest.raises(
        DataError,
        match=r"caption 1 \(row 0\), 'Two dogs near a man\\n', has the image_id 404",
    ):
        CocoCaptions(folder)


@pytest.mark.parametrize(
    ("name", "part", "change", "said"),
    [
        ("captions", "images", {"width": None}, r"image 9 \(row 0\) has no width"),
        (
            "captions",
            "annotations",
            {"image_id": None},
            r"caption 1 \(row 0\) has no image_id",
        ),
        (
            "instances",
            "annotations",
            {"bbox": None},
            r"annotation 1 \(row 0\) has no bbox",
        ),
        (
            "instances",
            "annotations",
            {"category_id": 77},
            ".* has the category_id 77, but no category",
        ),
    ],
)
def test_entries_that_lack_something_are_named(folder, name, part, change, said):
    path = folder / f"annotations/{name}_val2017.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    changed = {**content[part][0], **change}
    content[part][0] = {key: value for key, value in changed.items() if value is not None}
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=f"{name}_val2017.json: {said}"):
        CocoCaptions(folder)


def test_the_real_photographs(data_root):
    samples = CocoCaptions(data_root / "coco-mini")
    assert len(samples) == 400
    assert len(samples.class_names) == 80
    for i in range(0, 400, 57):
        sample = samples[i]
        assert ((sample.boxes >= 0) & (sample.boxes <= 1.001)).all()
        assert sample.size[0] > 100
