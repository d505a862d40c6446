"""SugarCrepe, ARO, Winoground and long captions: samples in the published layouts, scored by hand."""

import json

import pytest
from PIL import Image

from harmoclip.errors import DataError
from harmoclip.evaluate.registry import tasks_of
from harmoclip.evaluate.task import Request
from tests.helpers.known import ColorEncoder

COLORS = {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}


def write_images(folder, ending=".jpg", size=(20, 20)):
    folder.mkdir(parents=True, exist_ok=True)
    for name, color in COLORS.items():
        Image.new("RGB", size, color).save(folder / f"{name}{ending}", quality=95)


def scores(name, *request):
    return [task.run(ColorEncoder()) for task in tasks_of(name, Request(*map(str, request)))]


def test_sugarcrepe(tmp_path):
    write_images(tmp_path / "val2017")
    rows = {
        "0": {"filename": "red.jpg", "caption": "a red cat", "negative_caption": "a green cat"},
        "1": {"filename": "green.jpg", "caption": "a red cat", "negative_caption": "a green cat"},
        "7": {"filename": "blue.jpg", "caption": "a blue cat", "negative_caption": "the blue cat"},  # a tie
    }
    (tmp_path / "replace_att.json").write_text(json.dumps(rows))
    (found,) = scores("sugarcrepe", tmp_path)
    assert found == {"sugarcrepe_top1": pytest.approx(1 / 3), "sugarcrepe_count": 3}
    assert found.metric("sugarcrepe_top1").chance == 0.5


def test_sugarcrepe_plus_plus_wants_both_captions(tmp_path):
    write_images(tmp_path / "images")
    row = {"id": 1, "filename": "red.jpg", "caption": "a red cat", "negative_caption": "a red and green cat"}
    rows = [{**row, "caption2": "a cat that is red"}, {**row, "caption2": "a green cat"}]
    (tmp_path / "swap_att.json").write_text(json.dumps(rows))
    (found,) = scores("sugarcrepe", tmp_path, "swap_att")
    assert found == {"sugarcrepe_both": 0.5, "sugarcrepe_top1": 1, "sugarcrepe_count": 2}


def test_aro_is_of_the_part_and_a_mean_over_relations(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    picture = Image.new("RGB", (40, 20), COLORS["red"])
    picture.paste(COLORS["green"], (20, 0, 40, 20))
    picture.save(folder / "1.png")
    left = {"bbox_x": 0, "bbox_y": 0, "bbox_w": 20, "bbox_h": 20}
    row = {"image_path": "1.png", **left, "true_caption": "a red on it", "false_caption": "a green on it"}
    wrong = {**row, "bbox_x": 20}
    rows = [{**row, "relation_name": "on"}] * 3 + [{**wrong, "relation_name": "above"}]
    (tmp_path / "visual_genome_relation.json").write_text(json.dumps(rows))
    (tmp_path / "visual_genome_attribution.json").write_text(
        json.dumps([{**row, "attributes": ["red", "big"]}])
    )
    relation, attribution = scores("aro", tmp_path)
    assert relation == {"aro_macro": 0.5, "aro_top1": 0.75, "aro_count": 4}
    assert attribution["aro_macro"] == 1


def test_winoground(tmp_path):
    write_images(tmp_path / "images", ".png")
    right = {"id": 0, "image_0": "red", "image_1": "green", "caption_0": "red", "caption_1": "green"}
    swapped = {**right, "caption_0": "green", "caption_1": "red"}
    half = {**right, "caption_1": "red"}  # both captions are equal
    one = {**right, "image_1": "red", "caption_1": "a thing"}  # both images are equal
    (tmp_path / "examples.jsonl").write_text("\n".join(map(json.dumps, (right, swapped, half, one))) + "\n")
    (found,) = scores("winoground", tmp_path)
    assert found == {
        "winoground_text": 1 / 4, "winoground_image": 1 / 4, "winoground_group": 1 / 4, "winoground_count": 4,
    }  # fmt: skip


def test_valse_counts_what_annotators_confirmed(tmp_path):
    write_images(tmp_path / "images" / "coco")
    row = {"dataset": "coco", "image_file": "red.jpg", "caption": "a red cat", "foil": "a green cat"}
    sure, unsure = {"mturk": {"foil": 0, "caption": 2, "other": 1}}, {"mturk": {"foil": 2, "caption": 1}}
    rows = {"a": {**row, **sure}, "b": {**row, **sure, "image_file": "green.jpg"}, "c": {**row, **unsure}}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "existence.json").write_text(json.dumps(rows))
    (tmp_path / "data" / "plurals.json").write_text(json.dumps({"a": rows["a"]}))
    (found,) = scores("valse", tmp_path, "existence")
    assert found == {"valse_top1": 0.5, "valse_count": 2, "valse_invalid": 1}
    assert found.metric("valse_top1").chance == 0.5
    assert len(scores("valse", tmp_path)) == 2
    (tmp_path / "data" / "plurals.json").write_text(json.dumps({"a": {**rows["a"], "image_file": "x.jpg"}}))
    with pytest.raises(DataError, match=r"such as 'x\.jpg'"):
        scores("valse", tmp_path, "plurals")


@pytest.mark.parametrize("votes", [None, {"foil": 1}, {"caption": "3"}])
def test_valse_names_the_sample_without_votes(tmp_path, votes):
    row = {"image_file": "red.jpg", "caption": "a red cat", "foil": "a green cat", "mturk": votes}
    (tmp_path / "existence.json").write_text(json.dumps({"a": row}))
    with pytest.raises(DataError, match=r"red\.jpg"):
        tasks_of("valse", Request(str(tmp_path)))


def test_long_captions_as_dci_iiw_and_sharegpt4v_have_them(tmp_path):
    dci, iiw, share = tmp_path / "dci", tmp_path / "iiw", tmp_path / "share"
    for folder in (dci / "photos", iiw / "images", share / "coco"):
        write_images(folder)
    (dci / "complete").mkdir()
    lines, talks = [], []
    for name in COLORS:
        entry = {"image": f"{name}.jpg", "short_caption": f"{name}.", "extra_caption": None, "mask_data": {}}
        (dci / "complete" / f"{name}.json").write_text(json.dumps(entry))
        lines.append({"image/key": name, "IIW": f"Everything is {name}.", "image/url": ""})
        said = [{"from": "human", "value": "Describe."}, {"from": "gpt", "value": f"All\n{name}."}]
        talks.append({"id": name, "image": f"coco/{name}.jpg", "conversations": said})
    (iiw / "data.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (share / "share-captioner_coco_lcs_sam_1246k_1107.json").write_text(json.dumps(talks * 400))
    for folder, count in ((dci, 3), (iiw, 3), (share, 1000)):
        (found,) = scores("long-captions", folder)
        assert found["captions"] == count
        assert count == 1000 or (found["i2t_r1"], found["t2i_r1"]) == (1, 1)


def test_long_captions_in_three_layouts(tmp_path):
    urban, docci, own = tmp_path / "Urban1k", tmp_path / "docci", tmp_path / "own"
    write_images(urban / "image")
    (urban / "caption").mkdir()
    write_images(docci / "images")
    write_images(own)
    rows = []
    for name in COLORS:
        (urban / "caption" / f"{name}.txt").write_text(f"Everything is {name}.\n")
        rows.append({"image_file": f"{name}.jpg", "description": f"All {name}.", "split": "test"})
    rows.append({**rows[0], "split": "train"})
    (docci / "docci_descriptions.jsonlines").write_text("\n".join(map(json.dumps, rows)))
    lines = [{"image": "red.jpg", "caption": "green"}, {"image": "green.jpg", "caption": "red"}]
    (own / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for folder, r1, count in ((urban, 1, 3), (docci, 1, 3), (own, 0, 2)):
        (found,) = scores("long-captions", folder)
        assert (found["i2t_r1"], found["t2i_r1"], found["captions"]) == (r1, r1, count)


@pytest.mark.parametrize("name", ["sugarcrepe", "aro", "winoground", "long-captions", "valse"])
def test_an_empty_folder_is_told_what_is_expected(tmp_path, name):
    with pytest.raises(DataError, match="expected"):
        tasks_of(name, Request(str(tmp_path)))


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("sugarcrepe", "add_obj.json", '{"0": {"filename": "red.jpg", "caption": "a"}}'),
        ("sugarcrepe", "add_obj.json", "[]"),
        ("aro", "visual_genome_relation.json", '[{"image_path": "red.jpg"}]'),
        ("winoground", "examples.jsonl", '{"image_0": "red"}\n'),
        ("winoground", "examples.jsonl", "no json\n"),
        ("long-captions", "captions.jsonl", '{"image": "red.jpg"}\n'),
        ("long-captions", "captions.jsonl", '{"image": "none.jpg", "caption": "red"}\n'),
    ],
)
def test_entries_that_lack_something_are_named(tmp_path, name, file, content):
    write_images(tmp_path / "images")
    (tmp_path / file).write_text(content)
    with pytest.raises(DataError, match=rf"{file}|none\.jpg"):
        tasks_of(name, Request(str(tmp_path)))
