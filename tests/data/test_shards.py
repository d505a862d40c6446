import pytest
import torch

from harmoclip.data.formats.grit import from_grit
from harmoclip.data.formats.shards import Shards, StreamPlace
from harmoclip.errors import DataError, InputError

pytest.importorskip("webdataset")
from tests.helpers.shard_files import numbers, picture, row, write_shard


def take(stream, count):
    return [next(stream) for _ in range(count)]


def test_samples_come_with_their_boxes_in_the_order_of_the_shards(shards):
    samples = list(Shards(shards))
    assert numbers(samples) == list(range(20))
    third = samples[3]
    assert third.key == "größe03"
    assert third.image.getpixel((0, 0)) == (3, 0, 0)
    assert third.links == ((0, 0),)


def test_shuffling_is_by_seed_and_loses_nothing(shards):
    first, again = list(Shards(shards, shuffle=8, seed=1)), list(Shards(shards, shuffle=8, seed=1))
    assert numbers(first) == numbers(again) != list(range(20))
    assert sorted(numbers(first)) == list(range(20))
    assert numbers(Shards(shards, shuffle=8, seed=2)) != numbers(first)


def test_parts_share_a_pass_without_overlap_and_passes_differ(shards):
    dataset = Shards(shards, shuffle=4)
    seen = [numbers(s for _, s in take(dataset.stream(StreamPlace(), part, 4), 5)) for part in range(4)]
    assert sorted(n for part in seen for n in part) == list(range(20))
    stream = dataset.stream(StreamPlace(), 0, 1)
    assert numbers(s for _, s in take(stream, 20)) != numbers(s for _, s in take(stream, 20))


@pytest.mark.parametrize("stop", [1, 7, 19, 20, 33])
def test_a_stream_goes_on_where_it_was(shards, stop):
    dataset = Shards(shards, shuffle=4)
    whole = take(dataset.stream(StreamPlace(), 0, 1), 45)
    rest = take(dataset.stream(whole[stop - 1][0], 0, 1), 45 - stop)
    assert numbers(s for _, s in rest) == numbers(s for _, s in whole)[stop:]


def test_too_few_shards_for_the_readers_is_an_error(shards):
    with pytest.raises(DataError, match="4 shards for 5 readers"):
        next(Shards(shards).stream(StreamPlace(), 0, 5))
    with pytest.raises(InputError, match="urls is empty"):
        Shards([])


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"png": picture()}, "has png: expected a .json or a caption in a .txt"),
        ({"json": row(0)}, "has json: expected .* and an image"),
        ({"png": b"x", "json": row(0)}, "cannot be read"),
        ({"png": picture(), "json": b"{"}, "is not JSON"),
        ({"png": picture(), "json": [1]}, r"is \[1\]"),
        ({"png": picture(), "json": {"caption": 7}}, "caption is 7"),
    ],
)
def test_broken_samples_stop_or_are_left_out_with_a_word(tmp_path, files, said):
    url = write_shard(tmp_path / "a.tar", {"bad": files, "good": {"png": picture(), "json": row(1)}})
    with pytest.raises(DataError, match=said):
        list(Shards([url]))
    told = []
    assert numbers(Shards([url], on_broken=told.append)) == [1]
    assert [type(error) for error in told] == [DataError]


def test_shards_that_are_missing_or_cut_are_named_and_may_be_left_out(shards, tmp_path):
    whole = (tmp_path / "part-1.tar").read_bytes()
    (tmp_path / "part-1.tar").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "part-2.tar").unlink()
    (tmp_path / "part-3.tar").write_bytes(b"no tar at all" * 999)
    with pytest.raises(DataError, match=r"shard .*part-1\.tar cannot be read"):
        list(Shards(shards))
    told = []
    found = numbers(Shards(shards, on_broken=told.append))
    assert found[:5] == [0, 1, 2, 3, 4]
    assert set(found) < set(range(10))
    for number, error in enumerate(told, 1):
        assert f"part-{number}.tar cannot be read" in str(error)
    assert len(told) == 3


def test_a_stream_without_a_readable_sample_ends_with_an_error(tmp_path):
    url = write_shard(tmp_path / "a.tar", {"bad": {"png": picture()}})
    stream = Shards([url], on_broken=print).stream(StreamPlace(), 0, 1)
    with pytest.raises(DataError, match="no sample can be read"):
        next(stream)


def test_grit_joins_equal_spans_and_equal_boxes(tmp_path):
    content = {
        "clip_similarity_vitb32": 0.29, "key": "000373938", "width": 20, "height": 10,
        "caption": "a wire hanger with a paper cover",
        "noun_chunks": [
            [19.0, 32.0, 0.0, 0.1, 0.5, 0.9, 0.98],
            [0.0, 13.0, 0.0, 0.1, 0.5, 0.9, 0.97],
            [0.0, 13.0, 0.25, 0.0, 1.0, 1.0, 0.7],
        ],
        "ref_exps": [[0.0, 32.0, 0.0, 0.1, 0.5, 0.9, 0.97]],
    }  # fmt: skip
    files = {"jpg": picture(kind="JPEG"), "json": content, "txt": b"a wire hanger with a paper cover"}
    (sample,) = Shards([write_shard(tmp_path / "a.tar", {"000373938": files})], read=from_grit)
    assert sample.phrase_texts == ("a paper cover", "a wire hanger")
    torch.testing.assert_close(sample.boxes, torch.tensor([[0.0, 0.1, 0.5, 0.9], [0.25, 0.0, 1.0, 1.0]]))
    assert sample.links == ((0, 0), (0, 1), (1, 1))
    assert sample.key == "000373938"
    with pytest.raises(DataError, match="noun_chunks is None"):
        from_grit({"caption": "x"}, sample.image)


def test_dots_in_names_are_named_and_can_be_told(tmp_path):
    samples = {f"img 22.0{n}": {"png": picture(n), "json": row(n)} for n in (5, 6)}
    url = write_shard(tmp_path / "dots.tar", samples)
    with pytest.raises(DataError, match="The first dot ends a name: where names have dots, say how they end"):
        list(Shards([url]))
    assert numbers(Shards([url], suffixes=("png", ".json"))) == [5, 6]
    long = write_shard(tmp_path / "long.tar", {"s0.a": {"input.png": picture(), "input.json": row(3)}})
    assert numbers(Shards([long], suffixes=("input.png", "input.json"))) == [3]
    one = write_shard(tmp_path / "one.tar", {"s0": {"input.png": picture(), "meta.json": row(4)}})
    assert numbers(Shards([one])) == [4]


def test_images_with_a_text_are_samples_without_boxes(tmp_path):
    pair = {"jpg": picture(kind="JPEG"), "txt": "a café\n".encode()}
    metadata = {"caption": "a dog", "url": "http://x", "width": 20, "height": 10, "status": "success"}
    url = write_shard(tmp_path / "a.tar", {"0": pair, "1": {**pair, "json": metadata}})
    first, second = Shards([url])
    assert (first.caption, second.caption) == ("a café", "a dog")
    assert first.boxes.shape == (0, 4)
    assert first.image_id != second.image_id


def test_shards_are_found_by_folder_pattern_and_list(shards, tmp_path):
    found = [str(tmp_path / f"part-{n}.tar") for n in range(len(Shards(shards).urls))]
    for urls in (tmp_path, str(tmp_path), tmp_path / "part-*.tar", found):
        assert Shards(urls).urls == found
    (tmp_path / "empty").mkdir()
    for urls in (tmp_path / "empty", tmp_path / "none-*.tar"):
        with pytest.raises(DataError, match="has no shard"):
            Shards(urls)
