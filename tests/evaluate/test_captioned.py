import json

import pytest
from PIL import Image

from harmoclip.data.scenes import Scenes
from harmoclip.errors import DataError
from harmoclip.evaluate import Captioned
from tests.helpers.small_world import write_coco


def write_karpathy(root):
    (root / "val2014").mkdir()
    rows = []
    for i, split in enumerate(["test", "val", "test", "restval"]):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(root / "val2014" / f"{i}.png")
        texts = [{"raw": f" caption {i} {j} "} for j in range(6)]
        rows.append({"filepath": "val2014", "filename": f"{i}.png", "split": split, "sentences": texts})
    (root / "dataset_coco.json").write_text(json.dumps({"images": rows}))
    return root / "dataset_coco.json"


def test_karpathy_takes_its_split_and_five_captions(tmp_path):
    found = Captioned.karpathy(write_karpathy(tmp_path), tmp_path)
    assert found.images == 2
    assert found.captions[:2] == ["caption 0 0", "caption 0 1"]
    assert found.image_of_text.tolist() == [0] * 5 + [1] * 5
    assert found.read(1).getpixel((0, 0)) == (2, 0, 0)
    assert Captioned.karpathy(tmp_path / "dataset_coco.json", tmp_path / "val2014").images == 2
    with pytest.raises(DataError, match="split 'train'"):
        Captioned.karpathy(tmp_path / "dataset_coco.json", tmp_path, "train")


def test_coco_takes_every_picture(tmp_path):
    root = write_coco(tmp_path)
    found = Captioned.coco(root / "annotations/captions_val2017.json", root / "val2017")
    assert (found.images, len(found.captions)) == (3, 15)
    assert found.read(2).getpixel((20, 20)) == (30, 30, 220)


def test_samples_of_one_key_are_one_picture():
    scenes = Scenes("test", 3)
    samples = [scenes[0], scenes[1], scenes[0].replace(caption="another", phrases=(), links=()), scenes[2]]
    found = Captioned.samples(samples)
    assert found.images == 3
    assert found.captions == [scenes[0].caption, "another", scenes[1].caption, scenes[2].caption]
    assert found.image_of_text.tolist() == [0, 0, 1, 2]


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "some.json"
    path.write_text("{}")
    with pytest.raises(DataError, match="expected COCO's captions"):
        Captioned.coco(path, tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        Captioned.karpathy(tmp_path / "none.json", tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"image_id": 99, "caption": "a cat"}, "99, but no image"),
        ({"image_id": "1", "caption": "a cat"}, "there is 1: write ids in one type"),
        ({"image_id": 1, "caption": None}, "caption None"),
    ],
)
def test_captions_that_cannot_be_used_are_named(tmp_path, row, message):
    root = write_coco(tmp_path)
    path = root / "annotations/captions_val2017.json"
    content = json.loads(path.read_text())
    content["annotations"].append(row)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        Captioned.coco(path, root / "val2017")


def test_samples_without_a_caption_take_no_part():
    scenes = Scenes("test", 2)
    silent = scenes[0].replace(caption=" ", phrases=(), links=(), key="silent", image_id="silent")
    again = scenes[1].replace(key="another file", image_id=scenes[1].image_id)
    found = Captioned.samples([silent, scenes[1], scenes[0], again])
    assert found.captions == [scenes[1].caption, scenes[1].caption, scenes[0].caption]
    assert found.image_of_text.tolist() == [0, 0, 1]
    with pytest.raises(DataError, match="none of 1 samples has a caption"):
        Captioned.samples([silent])
