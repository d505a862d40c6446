import json

import pytest
import torch
from PIL import Image

from harmoclip.data.formats.coco_stuff_names import STUFF_SYNONYMS
from harmoclip.data.formats.panoptic import CocoPanoptic
from harmoclip.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in ("annotations", "val2017"):
        (tmp_path / name).mkdir()
    images = [{"id": 9, "file_name": "000000000009.jpg", "width": 100, "height": 50}]
    said = ["A dog runs on the grass under trees.", "Zebras stand by a building."]
    segments = [
        {"id": 3937500, "category_id": 193, "area": 2000, "bbox": [0, 25, 100, 25], "iscrowd": 0},
        {"id": 1, "category_id": 18, "area": 90, "bbox": [10, 30, 10, 10], "iscrowd": 0},
        {"id": 2, "category_id": 184, "area": 400, "bbox": [0, 0, 50, 20], "iscrowd": 0},
        {"id": 3, "category_id": 24, "area": 400, "bbox": [50, 0, 50, 20], "iscrowd": 1},
    ]
    categories = [
        {"id": 18, "name": "dog", "isthing": 1, "supercategory": "animal", "color": [1, 2, 3]},
        {"id": 24, "name": "zebra", "isthing": 1, "supercategory": "animal", "color": [1, 2, 4]},
        {"id": 184, "name": "tree-merged", "isthing": 0, "supercategory": "plant", "color": [1, 3, 3]},
        {"id": 193, "name": "grass-merged", "isthing": 0, "supercategory": "plant", "color": [1, 2, 9]},
        {"id": 195, "name": "gravel", "isthing": 0, "supercategory": "ground", "color": [7, 2, 9]},
    ]
    contents = {
        "captions": [{"id": i, "image_id": 9, "caption": caption} for i, caption in enumerate(said)],
        "panoptic": [{"image_id": 9, "file_name": "000000000009.png", "segments_info": segments}],
    }
    for name, annotations in contents.items():
        content = {"images": images, "annotations": annotations, "categories": categories}
        (tmp_path / f"annotations/{name}_val2017.json").write_text(json.dumps(content))
    Image.new("RGB", (100, 50)).save(tmp_path / "val2017/000000000009.jpg")
    return tmp_path


def test_things_and_stuff_are_linked(folder):
    samples = CocoPanoptic(folder)
    assert samples.class_names == ("dog", "zebra", "tree", "grass", "gravel")
    assert samples.is_thing == (True, True, False, False, False)
    first = samples[0]
    assert first.phrase_texts == ("A dog", "the grass", "trees")
    torch.testing.assert_close(first.boxes[:2], torch.tensor([[0.0, 0.5, 1.0, 1.0], [0.1, 0.6, 0.2, 0.8]]))
    assert first.links == ((1, 0), (0, 1), (2, 2))
    assert first.labels.tolist() == [3, 0, 2, 1]


def test_a_crowd_is_linked_to_a_phrase_for_many(folder):
    second = CocoPanoptic(folder)[1]
    assert second.links == ((3, 0),)


def test_every_merged_class_has_a_spoken_name():
    assert len(STUFF_SYNONYMS) == 53
    assert all(names for name, names in STUFF_SYNONYMS.items() if "-" in name)
    assert not any("-" in name for names in STUFF_SYNONYMS.values() for name in names)


def test_a_folder_without_panoptic_annotations_is_named(folder):
    (folder / "annotations/panoptic_val2017.json").unlink()
    with pytest.raises(DataError, match=r"panoptic_val2017\.json does not exist: expected COCO's layout"):
        CocoPanoptic(folder)
