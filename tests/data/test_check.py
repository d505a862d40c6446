import json

import pytest
from PIL import Image
from typer.testing import CliRunner

import harmoclip.data
from harmoclip.cli import app
from harmoclip.data import JsonLines, Shards, check_dataset, open_dataset
from harmoclip.data.formats.registry import read_options
from harmoclip.errors import DataError, InputError
from tests.helpers.shard_files import picture, row, write_shard


def line(**changes):
    return {
        "image": "a.png", "caption": "a dog by a dog", "boxes": [[0, 0, 0.5, 1], [0.5, 0, 1, 1]],
        "phrases": [[0, 5], [9, 14]], "links": [[0, 0], [0, 1]], "key": "a", **changes,
    }  # fmt: skip


def write(folder, *lines):
    Image.new("RGB", (40, 20), (9, 99, 9)).save(folder / "a.png")
    path = folder / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_a_report_counts_pictures_boxes_and_links_once(tmp_path):
    path = write(tmp_path, line(), line(caption="a cat", phrases=[], links=[]), line(links=[[1, 1]]))
    report = check_dataset(JsonLines(path))
    assert report.fine
    assert report.as_dict() == {
        "samples": 3, "images": 1, "boxes": 2, "phrases": 4, "texts_of_their_own": 0, "links": 3,
        "negatives": 0, "more_captions": 0, "linked_boxes": 1.0, "linked_phrases": 0.75,
        "without_caption": 0, "without_phrases": 1, "turned": 0, "broken": 0, "impossible_boxes": 0,
        "dropped_boxes": {}, "unread_keys": {}, "remarks": [], "fine": True,
    }  # fmt: skip
    assert report.frequent.most_common(1) == [("dog", 4)]


def test_texts_of_their_own_negatives_and_missing_captions_are_counted(tmp_path):
    phrases = [{"text": "a red hat"}, {"text": "a blue hat"}, [0, 5]]
    described = line(phrases=phrases, links=[[0, 0]], negatives=[[0, 1]])
    alone = {**line(phrases=[{"text": "a hat"}], links=[]), "caption": ""}
    several = line(more_captions=["two dogs", "dogs on grass"])
    report = check_dataset(JsonLines(write(tmp_path, described, alone, several)))
    assert (report.own_texts, report.negatives, report.more_captions, report.without_caption) == (3, 1, 2, 1)


@pytest.mark.parametrize("workers", [0, 1])
def test_broken_rows_and_impossible_boxes_are_named(tmp_path, workers):
    no_area, outside, at_the_edge = [0.2, 0.2, 0.2, 0.4], [0.5, 0.5, 1.2, 0.9], [0.5, 0.5, 1.02, 0.9]
    path = write(
        tmp_path,
        line(boxes=[no_area, outside, at_the_edge], links=[]),
        line(image="gone.png"),
        line(boxes=[[0, 0, float("nan"), 1]], links=[], key="b"),
    )
    report = check_dataset(JsonLines(path), workers=workers)
    assert not report.fine
    assert report.impossible == [
        "sample 'a' (mine.jsonl line 1): box 0 [0.2, 0.2, 0.2, 0.4] is left out: no area.",
        "sample 'a' (mine.jsonl line 1): box 1 [0.5, 0.5, 1.2, 0.9] leaves the image: it is cut at the edge.",
        "sample 'b' (mine.jsonl line 3): box 0 [0, 0, nan, 1] is left out: not finite.",
    ]
    assert report.dropped == {"no area": 1, "not finite": 1}
    assert len(report.broken) == 1
    assert "gone.png does not exist" in report.broken[0]


def test_a_turned_camera_is_told(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = write(tmp_path, line(image="b.jpg"), line())
    Image.new("RGB", (40, 20)).save(tmp_path / "b.jpg", exif=exif)
    assert check_dataset(JsonLines(path)).turned == 1


def test_shards_are_checked_with_their_broken_samples(tmp_path):
    files = {"good": {"png": picture(), "json": row(1)}, "bad": {"png": b"x", "json": row(2)}}
    shards = Shards([write_shard(tmp_path / "a.tar", files)])
    report = check_dataset(shards)
    assert (report.samples, len(report.broken)) == (1, 1)
    assert shards.on_broken is None
    missing = check_dataset(Shards([str(tmp_path / "none.tar")]))
    assert "none.tar cannot be read" in missing.broken[0]
    assert not missing.fine


def run(*arguments):
    return CliRunner().invoke(app, ["data", *map(str, arguments)])


def test_the_command_draws_counts_and_exits_with_what_it_found(tmp_path):
    path, sheet = write(tmp_path, line(), line(image="gone.png")), tmp_path / "sheet.png"
    found = run("check", path, "--sheet", sheet, "--json")
    assert found.exit_code == 1
    assert json.loads(found.stdout.splitlines()[-1])["broken"] == 1
    with Image.open(sheet) as image:
        assert image.width > 400
    path = write(tmp_path, line())
    assert run("check", path, "--shown", 0).exit_code == 0
    assert run("convert", path, tmp_path / "out").exit_code == 0
    assert [s.caption for s in Shards([str(tmp_path / "out/00000.tar")])] == ["a dog by a dog"]


def test_a_format_is_told_by_its_files(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/instances_val2017.json").write_text("{}")
    for split in ("val2017", None):
        with pytest.raises(DataError, match=r"captions_.* does not exist: .* are the format detection"):
            open_dataset(tmp_path, split=split)
    (tmp_path / "annotations/instances_val2017.json").unlink()
    with pytest.raises(DataError, match="Looked for coco: annotations/instances"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="none does not exist"):
        open_dataset(tmp_path / "none")
    with pytest.raises(InputError, match="refcoco needs images"):
        open_dataset(tmp_path, "refcoco")
    with pytest.raises(InputError, match="format is 'voc': expected one of coco"):
        open_dataset(tmp_path, "voc")
    with pytest.raises(
        InputError, match="visual_genome has no option 'split': expected one of descriptions, upright"
    ):
        open_dataset(tmp_path, "visual_genome", split="val")


def test_every_public_name_is_there():
    for name in harmoclip.data.__all__:
        assert getattr(harmoclip.data, name).__module__.startswith("harmoclip.data.")
    assert set(harmoclip.data.__all__) <= set(dir(harmoclip.data))


@pytest.mark.slow
def test_real_photographs(data_root, tmp_path):
    found = run("check", data_root / "coco-mini", "--sheet", tmp_path / "sheet.png", "--json")
    assert found.exit_code == 0
    report = json.loads(found.stdout.splitlines()[-1])
    assert (report["samples"], report["images"], report["boxes"]) == (400, 80, 739)
    assert report["linked_boxes"] > 0.4


def test_every_option_of_a_format_can_be_given(tmp_path):
    regions = [
        {"region_id": i, "phrase": f"a dog {i}", "x": i, "y": 0, "width": 9, "height": 9} for i in range(4)
    ]
    (tmp_path / "region_descriptions.json").write_text(json.dumps([{"id": 1, "regions": regions}]))
    (tmp_path / "image_data.json").write_text('[{"image_id": 1, "width": 20, "height": 10}]')
    (tmp_path / "images").mkdir()
    Image.new("RGB", (20, 10)).save(tmp_path / "images" / "1.jpg")
    result = run("check", tmp_path, "-o", "descriptions=3", "--option", "upright=false", "--json")
    assert json.loads(result.stdout.splitlines()[-1])["samples"] == 2
    for given, said in {
        "descriptions=x": "option 'descriptions=x': expected int",
        "upright=yes": "option 'upright=yes': expected true or false",
        "description=3": "visual_genome has no option 'description': did you mean 'descriptions'",
        "descriptions": "expected descriptions=VALUE, of the type int",
    }.items():
        with pytest.raises(InputError, match=said):
            read_options("visual_genome", [given])
    with pytest.raises(InputError, match="segment is no text: give it from Python"):
        read_options("coco", ["segment=x"])
    assert read_options("shards", ["suffixes=jpg, json"]) == {"suffixes": ("jpg", "json")}
