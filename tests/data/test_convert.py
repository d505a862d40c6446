import json
import subprocess
import sys
import time

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from harmoclip.cli import app
from harmoclip.data.formats.json_lines import JsonLines
from harmoclip.data.formats.shards import Shards
from harmoclip.data.scenes import Scenes
from harmoclip.data.tools.convert import mixed_order, write_shards
from harmoclip.data.tools.prepare import Prepared, write_lines
from harmoclip.errors import DataError, InputError

pytest.importorskip("webdataset")


def same(one, other):
    assert torch.equal(one.boxes, other.boxes)
    assert (one.caption, one.phrases, one.links, one.key, one.image_id) == (
        other.caption, other.phrases, other.links, other.key, other.image_id,
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
    for number, other in zip(mixed_order(scenes), again, strict=True):
        one = scenes[number]
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
    again = sorted(Shards([str(tmp_path / "out/00000.tar")]), key=lambda sample: sample.caption)
    assert [s.caption for s in again] == ["a dog 0", "a dog 2", "a dog 3"]
    for index, sample in zip([0, 2, 3], again, strict=True):
        same(mine[index], sample)
    original = (tmp_path / "in" / "größe 2.jpg").read_bytes()
    assert original in (tmp_path / "out/00000.tar").read_bytes()


def test_a_stopped_conversion_goes_on_with_the_missing_shards(tmp_path):
    scenes = Scenes("train", 6)

    class Stops:
        def __len__(self):
            return 6

        def __getitem__(self, index):
            if index == mixed_order(scenes)[3]:
                raise KeyboardInterrupt
            return scenes[index]

    with pytest.raises(KeyboardInterrupt):
        write_shards(Stops(), tmp_path, samples_per_shard=2)
    assert [path.name for path in tmp_path.glob("*.tar")] == ["00000.tar"]
    first = (tmp_path / "00000.tar").stat().st_mtime_ns
    write_shards(scenes, tmp_path, samples_per_shard=2)
    assert (tmp_path / "00000.tar").stat().st_mtime_ns == first
    assert not list(tmp_path.glob("*.tmp"))
    again = [s.caption for s in Shards(str(tmp_path / "{00000..00002}.tar"))]
    assert again == [scenes[row].caption for row in mixed_order(scenes)]


def test_the_command_counts(tmp_path):
    Image.effect_noise((8, 8), 80).convert("RGB").save(tmp_path / "dog.png")
    rows = [{"image": name, "caption": "a dog"} for name in ("dog.png", "gone.png")]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run = CliRunner().invoke(
        app, ["data", "convert", str(tmp_path / "mine.jsonl"), str(tmp_path / "out"), "--json"]
    )
    assert run.exit_code == 1
    counted = json.loads(run.stdout)
    assert counted["samples"] == 1
    assert "gone.png" in counted["left_out"][0]


@pytest.mark.slow
def test_a_killed_conversion_ends_in_the_same_shards(tmp_path):
    (tmp_path / "in").mkdir()
    for n in range(400):
        Image.effect_noise((64, 64), 80).convert("RGB").save(tmp_path / f"in/{n}.png")
    rows = [{"image": f"{n}.png", "caption": f"a dog {n}"} for n in range(400)]
    (tmp_path / "in/mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    command = [sys.executable, "-m", "harmoclip", "data", "convert", str(tmp_path / "in/mine.jsonl")]
    options = ["--samples-per-shard", "8"]
    process = subprocess.Popen([*command, str(tmp_path / "killed"), *options])
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed/00003.tar").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.kill()
    process.wait()
    left = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "killed").glob("*.tar")}
    assert 4 <= len(left) < 50
    for folder in ("killed", "whole"):
        subprocess.run([*command, str(tmp_path / folder), *options], check=True)
    again = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "killed").glob("*.tar")}
    assert left.items() <= again.items()
    whole, killed = ({p.name: p.read_bytes() for p in (tmp_path / f).iterdir()} for f in ("whole", "killed"))
    assert len(whole) == 51
    assert killed == whole


def test_an_interrupt_leaves_nothing_half_written(tmp_path):
    def stop(done):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(Scenes("test", 5, seed=0), tmp_path, samples_per_shard=2, progress=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "00000.tar", "class_names.txt", "shards.json",
    ]  # fmt: skip


def test_a_stream_is_refused(tmp_path):
    with pytest.raises(InputError, match="Shards is a stream: expected a data set with a length"):
        write_shards(Shards(["a.tar"]), tmp_path)


def test_shards_of_something_else_are_not_mixed_in(tmp_path):
    write_shards(Scenes("train", 2), tmp_path)
    with pytest.raises(DataError, match=r"holds shards of .*'samples': 2.*'samples': 3"):
        write_shards(Scenes("train", 3), tmp_path)
    with pytest.raises(InputError, match="samples_per_shard is 0"):
        write_shards(Scenes("train", 2), tmp_path / "x", samples_per_shard=0)


def same_image_pairs(images, batch_size=64):
    """Pairs of one image in a batch, on average."""
    batches = [images[i : i + batch_size] for i in range(0, len(images) - batch_size + 1, batch_size)]
    pairs = [len(batch) * (len(batch) - 1) // 2 for batch in batches]
    return sum(sum(b[:i].count(image) for i, image in enumerate(b)) for b in batches) / max(len(pairs), 1)


def test_captions_of_an_image_lie_far_apart_in_shards():
    class Data:
        image_ids = tuple(image for image in range(2000) for _ in range(5))

        def __len__(self):
            return len(self.image_ids)

        def __getitem__(self, row):
            return row

    order = mixed_order(Data())
    assert sorted(order) == list(range(10_000))
    assert order == mixed_order(Data())
    assert order[:2000] != sorted(order[:2000])
    assert same_image_pairs(Data.image_ids) > 100
    assert same_image_pairs([row // 5 for row in order]) < 0.2


def test_a_tensor_is_no_image_to_write(tmp_path):
    with pytest.raises(InputError, match="has a tensor as its image"):
        write_shards(Scenes("train", 3).render(), tmp_path)


def test_names_of_classes_and_images_without_a_caption_go_along(tmp_path):
    scenes = Scenes("train", 3)
    write_shards(Wordless(scenes), tmp_path / "shards")
    shards = Shards(tmp_path / "shards")
    assert shards.class_names == tuple(scenes.class_names)
    assert [sample.caption for sample in shards] == [""] * 3
    write_lines(Wordless(scenes), tmp_path / "lines" / "mine.jsonl")
    lines = JsonLines(tmp_path / "lines" / "mine.jsonl")
    assert lines.class_names == tuple(scenes.class_names)
    assert [s.phrases for s in lines] == [("a thing",)] * 3
    (tmp_path / "lines" / "class_names.txt").write_text("another\n")
    with pytest.raises(DataError, match="names 1 classes, such as 'another', and these rows have"):
        write_lines(Wordless(scenes), tmp_path / "lines" / "more.jsonl")


class Wordless(Prepared):
    """Scenes without captions, with a text of its own for each."""

    def __init__(self, scenes):
        super().__init__(scenes, lambda s: s.replace(caption="", phrases=("a thing",), links=((0, 0),)))
