import json

import pytest
import torch
from PIL import Image

from harmoclip.data.formats.lvis import Lvis
from harmoclip.errors import DataError


def image(key, folder, not_exhaustive=()):
    return {
        "id": key, "width": 100, "height": 50, "neg_category_ids": [9],
        "coco_url": f"http://images.cocodataset.org/{folder}/{key:012}.jpg",
        "not_exhaustive_category_ids": list(not_exhaustive),
    }  # fmt: skip


def box(key, image_id, category, bbox):
    return {"id": key, "image_id": image_id, "category_id": category, "bbox": bbox, "area": 1.0}


@pytest.fixture
def folder(tmp_path):
    for name in ("annotations", "train2017", "val2017"):
        (tmp_path / name).mkdir()
    said = {
        "train2017": [(7, "A banana on a bow."), (8, "Bananas by a spray can."), (5, "Not in LVIS.")],
        "val2017": [(9, "A man peels a banana.")],
    }
    for split, rows in said.items():
        captions = [{"id": i, "image_id": key, "caption": text} for i, (key, text) in enumerate(rows)]
        content = {"images": [], "annotations": captions}
        (tmp_path / f"annotations/captions_{split}.json").write_text(json.dumps(content))
        for key, _ in rows:
            Image.new("RGB", (100, 50)).save(tmp_path / split / f"{key:012}.jpg")
    categories = [
        {"id": 1, "name": "aerosol_can", "synonyms": ["aerosol_can", "spray_can"], "frequency": "c"},
        {"id": 2, "name": "banana", "synonyms": ["banana"], "frequency": "f"},
        {"id": 3, "name": "bow_(decorative_ribbons)", "synonyms": ["bow_(decorative_ribbons)"]},
        {"id": 4, "name": "baby", "synonyms": ["baby", "child", "boy", "girl", "man", "woman", "person"]},
    ]
    boxes = [
        box(1, 7, 2, [0.0, 0.0, 50.0, 25.0]),
        box(2, 7, 3, [50.0, 0.0, 50.0, 50.0]),
        box(3, 8, 2, [0.0, 0.0, 50.0, 25.0]),
        box(4, 8, 1, [0.0, 30.0, 10.0, 10.0]),
        box(5, 9, 2, [0.0, 30.0, 10.0, 10.0]),
        box(6, 9, 4, [20.0, 0.0, 30.0, 50.0]),
    ]
    images = [image(7, "train2017"), image(8, "train2017", [2]), image(9, "val2017", [2])]
    content = {"images": images, "annotations": boxes, "categories": categories}
    (tmp_path / "annotations/lvis_v1_train.json").write_text(json.dumps(content))
    return tmp_path


def test_captions_of_both_coco_splits_meet_the_boxes(folder):
    samples = Lvis(folder)
    assert samples.class_names == ("aerosol can", "banana", "bow", "baby")
    assert [s.caption for s in samples] == [
        "A banana on a bow.",
        "Bananas by a spray can.",
        "A man peels a banana.",
    ]
    assert [samples.key(i) for i in range(3)] == [s.key for s in samples]
    assert samples.key(2) == "val2017/000000000009.jpg"
    first = samples[0]
    torch.testing.assert_close(first.boxes, torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.5, 0.0, 1.0, 1.0]]))
    assert first.links == ((0, 0), (1, 1))


def test_what_is_not_boxed_exhaustively_is_linked_to_phrases_for_many_only(folder):
    _, many, one = Lvis(folder)
    assert many.links == ((0, 0), (1, 1))
    assert one.phrase_texts == ("A man", "a banana")
    assert one.links == ((1, 0),)


def test_what_is_missing_is_named(folder):
    with pytest.raises(DataError, match=r"has no split 'val': expected one of train"):
        Lvis(folder, "val")
    for path in (folder / "annotations").glob("captions*"):
        path.unlink()
    with pytest.raises(DataError, match="no captions of the images"):
        Lvis(folder)
