import json

import pytest
import torch
from PIL import Image

from harmoclip.data.formats.visual_genome import VisualGenome
from harmoclip.errors import DataError, InputError


def region(phrase, x, y, width, height):
    return {
        "region_id": 1382, "image_id": 1, "phrase": phrase, "x": x, "y": y, "width": width, "height": height,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    regions = [
        region("the clock is green.", 20, 0, 40, 50),
        region(" Café sign ", 0, 10, 10, 40),
        region("  ", 0, 0, 5, 5),
        region("a man", -2, 5, 30, 46),  # the published boxes leave the picture now and then
    ]
    (tmp_path / "region_descriptions.json").write_text(
        json.dumps([{"id": 1, "regions": regions}, {"id": 2, "regions": []}])
    )
    (tmp_path / "image_data.json").write_text(
        json.dumps([{"image_id": 1, "width": 100, "height": 50, "url": "https://x/VG_100K_2/1.jpg"}])
    )
    (tmp_path / "VG_100K_2").mkdir()
    Image.new("RGB", (100, 50)).save(tmp_path / "VG_100K_2" / "1.jpg")
    return tmp_path


def test_descriptions_are_texts_of_their_own_linked_to_their_regions(folder):
    samples = VisualGenome(folder, descriptions=2)
    assert len(samples) == 2
    sample = samples[0]
    assert sample.caption == ""
    assert sample.phrases == ("the clock is green", "Café sign")
    assert sample.links == ((0, 0), (1, 1))
    torch.testing.assert_close(sample.boxes, torch.tensor([[0.2, 0.0, 0.6, 1.0], [0.0, 0.2, 0.1, 1.0]]))
    assert samples[1].phrases == ("a man",)
    torch.testing.assert_close(samples[1].boxes, torch.tensor([[0.0, 0.1, 0.28, 1.0]]))
    assert samples.image_ids == [samples[0].image_id] * 2


def test_what_is_missing_is_named(folder):
    (folder / "VG_100K_2" / "1.jpg").unlink()
    with pytest.raises(DataError, match=r"no VG_100K/1\.jpg or VG_100K_2/1\.jpg"):
        VisualGenome(folder)[0]
    (folder / "image_data.json").write_text("[]")
    with pytest.raises(DataError, match="no image 1"):
        VisualGenome(folder)[0]
    (folder / "image_data.json").write_text("{}")
    with pytest.raises(DataError, match=r"image_data\.json holds a dict, not a list"):
        VisualGenome(folder)
    (folder / "image_data.json").write_text('[{"image_id": 1}]')
    with pytest.raises(DataError, match=r"image_data\.json: entry 1 \(row 0\) has no width, height"):
        VisualGenome(folder)
    (folder / "image_data.json").write_text("[")
    with pytest.raises(DataError, match=r"image_data\.json is not JSON"):
        VisualGenome(folder)
    with pytest.raises(InputError, match="descriptions is 0"):
        VisualGenome(folder, descriptions=0)
