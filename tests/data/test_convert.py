import json

import pytest
import torch
from PIL import Image

from harmoclip.data.convert import write_shards
from harmoclip.data.json_lines import JsonLines
from harmoclip.data.scenes import Scenes
from harmoclip.data.shards import Shards
from harmoclip.errors import DataError, InputError

pytest.importorskip("webdataset")


def same(one, other):
    assert torch.equal(one.boxes, other.boxes)
    assert (one.caption, one.phrases, one.links, one.key) == (
        other.caption, other.phrases, other.links, other.key,
    )  # fmt: skip
    assert one.image.tobytes() == other.image.tobytes()


@pytest.mark.parametrize("workers", [0, 2])
def test_shards_read_back_to_the_same_samples(tmp_path, workers):
    scenes = Scenes("train", 7)
    done = []
    assert write_shards(scenes, tmp_path, samples_per_shard=3, workers=workers, progress=done.append) == []
    assert sorted(path.name for path in tmp_path.glob("*.tar")) == ["00000.tar", "00001.tar", "00002.tar"]
    assert done == sorted(done)
    assert done[-1] == 7
    again = list(Shards(str(tmp_path / "{00000..00002}.tar")))
    assert len(again) == 7
    for one, other in zip(scenes, again, strict=True):
        spans = one.replace(phrases=one.spans)
        same(spans, other)
        assert torch.equal(one.labels, other.labels)


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "in").mkdir()
    rows = []
    for n in range(4):
        name = f"größe {n}.jpg"
        rows.append({"image": name, "caption": f"a dog {n}", "boxes": [[0, 0, 0.5, 1]], "phrases": [[0, 5]]})
        if n != 1:
            Image.effect_noise((30, 20), 80).convert("RGB").save(tmp_path / "in" / name, quality=70)
    path = tmp_path / "in" / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return JsonLines(path)


def test_pictures_are_copied_and_broken_samples_are_listed(mine, tmp_path):
    broken = write_shards(mine, tmp_path / "out", samples_per_shard=4)
    assert len(broken) == 1
    assert "größe 1.jpg does not exist" in broken[0]
    again = list(Shards([str(tmp_path / "out/00000.tar")]))
    assert [s.caption for s in again] == ["a dog 0", "a dog 2", "a dog 3"]
    for index, sample in zip([0, 2, 3], again, strict=True):
        same(mine[index].replace(key=sample.key), sample)
    original = (tmp_path / "in" / "größe 2.jpg").read_bytes()
    assert original in (tmp_path / "out/00000.tar").read_bytes()


def test_a_stopped_conversion_goes_on_with_the_missing_shards(tmp_path):
    scenes = Scenes("train", 6)

    class Stops:
        def __len__(self):
            return 6

        def __getitem__(self, index):
            if index == 3:
                raise KeyboardInterrupt
            return scenes[index]

    with pytest.raises(KeyboardInterrupt):
        write_shards(Stops(), tmp_path, samples_per_shard=2)
    assert [path.name for path in tmp_path.glob("*.tar")] == ["00000.tar"]
    first = (tmp_path / "00000.tar").stat().st_mtime_ns
    write_shards(scenes, tmp_path, samples_per_shard=2)
    assert (tmp_path / "00000.tar").stat().st_mtime_ns == first
    assert not list(tmp_path.glob("*.tmp"))
    assert [s.caption for s in Shards(str(tmp_path / "{00000..00002}.tar"))] == [s.caption for s in scenes]


def test_shards_of_something_else_are_not_mixed_in(tmp_path):
    write_shards(Scenes("train", 2), tmp_path)
    with pytest.raises(DataError, match=r"holds shards of .*'samples': 2.*'samples': 3"):
        write_shards(Scenes("train", 3), tmp_path)
    with pytest.raises(InputError, match="samples_per_shard is 0"):
        write_shards(Scenes("train", 2), tmp_path / "x", samples_per_shard=0)
