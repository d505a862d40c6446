"""What is wrong in files, rows and boxes is named or counted, in every format."""

import json
import pickle
import shutil

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from harmoclip.cli import app
from harmoclip.data import (
    CocoCaptions,
    CocoPanoptic,
    Flickr30kEntities,
    JsonLines,
    Lvis,
    RefCoco,
    Sample,
    VisualGenome,
    check_dataset,
    open_dataset,
)
from harmoclip.errors import DataError, InputError

IMAGES = [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 50} for i in (1, 2)]
CAPTIONS = [{"id": i, "image_id": i, "caption": f"A dog {i} runs."} for i in (1, 2)]
BOXES = [{"id": 10 * i, "image_id": i, "category_id": 18, "bbox": [10, 5, 40, 30]} for i in (1, 2)]
CATEGORIES = [{"id": 18, "name": "dog", "isthing": 1}, {"id": 1, "name": "person", "isthing": 1}]


def dump(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def save_images(folder, names=("1.jpg", "2.jpg")):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (100, 50)).save(folder / name)


def coco(root, images=IMAGES, captions=CAPTIONS, boxes=BOXES, **more):
    dump(root / "annotations/captions_val.json", {"images": images, "annotations": captions})
    content = {"annotations": boxes, "categories": CATEGORIES, **more}
    dump(root / "annotations/instances_val.json", content)
    save_images(root / "val")
    return CocoCaptions(root)


def panoptic(root, images=IMAGES, captions=CAPTIONS, boxes=BOXES):
    dump(root / "annotations/captions_val.json", {"images": images, "annotations": captions})
    segments = [{"image_id": b["image_id"], "file_name": "x.png", "segments_info": [b]} for b in boxes]
    content = {"annotations": segments, "categories": CATEGORIES}
    dump(root / "annotations/panoptic_val.json", content)
    save_images(root / "val")
    return CocoPanoptic(root)


def lvis(root, images=IMAGES, captions=CAPTIONS, boxes=BOXES):
    listed = [
        {**i, "coco_url": f"http://x/val2017/{i['file_name']}", "not_exhaustive_category_ids": []}
        for i in images
    ]
    dump(root / "annotations/captions_val2017.json", {"images": [], "annotations": captions})
    content = {"images": listed, "annotations": boxes, "categories": CATEGORIES}
    dump(root / "annotations/lvis_v1_val.json", content)
    save_images(root / "val2017")
    return Lvis(root, "val")


READERS = [coco, panoptic, lvis]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("boxes", {"image_id": "1"}, "image_id '1'.*there is 1: write ids in one type"),
        ("boxes", {"image_id": 99}, "image_id 99, but no image with this id is listed"),
        ("boxes", {"category_id": "18"}, "category_id '18'.*there is 18: write ids in one type"),
        ("boxes", {"category_id": 99}, "category_id 99, but no category"),
        ("boxes", {"bbox": None}, "bbox None: expected four numbers"),
        ("boxes", {"bbox": [1, 2, "3", 4]}, r"bbox \[1, 2, '3', 4\]: expected four numbers"),
        ("captions", {"image_id": "1"}, "image_id '1'.*there is 1"),
        ("captions", {"caption": None}, "caption None: expected text"),
        ("captions", {"caption": 7}, "caption 7: expected text"),
        ("captions", {"caption": " "}, "caption ' ': expected text"),
        ("captions", {"id": 2}, "caption 2 .row 1. has the id of an earlier caption"),
        ("images", {"id": 2}, "image 2 .row 1. has the id of an earlier image"),
        ("images", {"width": 0}, "width 0: expected a number over 0"),
        ("images", {"width": "100"}, "width '100': expected a number over 0"),
    ],
)
def test_entries_that_refer_to_nothing_are_named(read, part, change, said, tmp_path):
    given = {"boxes": BOXES, "captions": CAPTIONS, "images": IMAGES}[part]
    with pytest.raises(DataError, match=said) as caught:
        read(tmp_path, **{part: [{**given[0], **change}, given[1]]})
    assert "_val" in str(caught.value)
    assert ".json: " in str(caught.value)


@pytest.mark.parametrize("read", READERS)
def test_two_readers_of_coco_count_classes_alike(read, tmp_path):
    samples = read(tmp_path)
    assert samples.class_names == ("person", "dog")
    assert samples.is_thing == (True, True)
    assert samples[0].labels.tolist() == [1]
    assert samples[0].image_id == samples.image_ids[0] != samples.image_ids[1]


def test_all_faults_are_told_at_once_and_may_be_left_out(tmp_path):
    wrong = [{**BOXES[0], "id": i, "image_id": "x"} for i in range(100, 150)]
    with pytest.raises(DataError, match="50 entries cannot be used") as caught:
        coco(tmp_path, boxes=[*BOXES, *wrong])
    assert str(caught.value).count("image_id 'x'") == 10
    assert "and 40 more" in str(caught.value)
    told = []
    samples = CocoCaptions(tmp_path, on_broken=told.append)
    assert len(told) == 50
    assert [len(sample.boxes) for sample in samples] == [1, 1]


def test_boxes_of_images_without_a_caption_are_passed_over(tmp_path):
    other = {"id": 3, "image_id": 3, "category_id": 18, "bbox": [1, 1, 9, 9]}
    more = [*IMAGES, {**IMAGES[0], "id": 3}]
    content = {"annotations": [*BOXES, other], "categories": CATEGORIES, "images": more}
    coco(tmp_path)
    dump(tmp_path / "annotations/instances_val.json", content)
    assert len(CocoCaptions(tmp_path)) == 2
    content = {"annotations": [other], "categories": CATEGORIES, "images": more}
    dump(tmp_path / "annotations/instances_val.json", content)
    with pytest.raises(DataError, match="none of the images of its 1 boxes has a caption"):
        CocoCaptions(tmp_path)


def refcoco(root, **changes):
    refs = [{"ref_id": 1, "image_id": 1, "ann_id": 10, "split": "val", "sentences": [{"sent": "a dog"}]}]
    dump(root / "instances.json", {"images": IMAGES, "annotations": BOXES, "categories": CATEGORIES})
    (root / "refs(unc).p").write_bytes(pickle.dumps([{**refs[0], **changes}]))
    save_images(root / "images")
    return RefCoco(root, "val", images=root / "images")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image_id": 5}, "reference 1 .* has the image_id 5, but no image"),
        ({"image_id": "1"}, "image_id '1'.*there is 1"),
        ({"ann_id": "10"}, "ann_id '10'.*there is 10"),
        ({"sentences": [{"sent": None}]}, "sent None: expected text"),
        ({"sentences": None}, "sentences None: expected a list"),
    ],
)
def test_references_to_nothing_are_named(change, said, tmp_path):
    assert len(refcoco(tmp_path)) == 1
    with pytest.raises(DataError, match=said):
        refcoco(tmp_path, **change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": 9}, "has the id 9, but no image"),
        ({"id": "1"}, "has the id '1'.*there is 1"),
        ({"regions": [{"phrase": None, "x": 0, "y": 0, "width": 5, "height": 5}]}, "phrase None"),
        ({"regions": [{"phrase": "a", "x": None, "y": 0, "width": 5, "height": 5}]}, "x None"),
    ],
)
def test_descriptions_of_nothing_are_named(change, said, tmp_path):
    region = {"phrase": "a dog", "x": 0, "y": 0, "width": 50, "height": 25}
    dump(tmp_path / "image_data.json", [{"image_id": 1, "width": 100, "height": 50}])
    dump(tmp_path / "region_descriptions.json", [{"id": 1, "regions": [region], **change}])
    with pytest.raises(DataError, match=said):
        VisualGenome(tmp_path)


def test_an_image_without_sentences_or_listed_twice_is_named(tmp_path):
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Sentences").mkdir()
    (tmp_path / "Sentences/7.txt").write_text("A dog .")
    (tmp_path / "val.txt").write_text("7\n8\n7\n")
    save_images(tmp_path / "flickr30k-images", ["7.jpg"])
    with pytest.raises(DataError, match="image '7' 2 times") as caught:
        Flickr30kEntities(tmp_path, "val")
    assert "8.txt does not exist" in str(caught.value)


def run(*arguments):
    found = CliRunner().invoke(app, ["data", *map(str, arguments), "--json"])
    return found, json.loads(found.stdout.splitlines()[-1]) if found.exit_code in (0, 1) else None


def test_the_check_goes_on_after_every_kind_of_fault(tmp_path):
    coco(tmp_path)
    wrong = [{**BOXES[0], "image_id": "1"}, {**BOXES[1], "id": 21, "category_id": 5}, *BOXES[1:]]
    said = [{**CAPTIONS[0], "caption": None}, CAPTIONS[1]]
    dump(tmp_path / "annotations/captions_val.json", {"images": IMAGES, "annotations": said})
    content = {"annotations": wrong, "categories": CATEGORIES}
    dump(tmp_path / "annotations/instances_val.json", content)
    found, report = run("check", tmp_path)
    assert found.exit_code == 1
    assert (report["samples"], report["boxes"], report["broken"], report["fine"]) == (1, 1, 3, False)


def test_a_data_set_without_boxes_or_links_is_not_fine(tmp_path):
    coco(tmp_path, boxes=[])
    found, report = run("check", tmp_path)
    assert found.exit_code == 1
    assert report["remarks"] == ["no sample has a box"]
    save_images(tmp_path, ["a.jpg"])
    (tmp_path / "a.jsonl").write_text(json.dumps({"image": "a.jpg", "caption": "x", "boxes": [[0, 0, 1, 1]]}))
    assert run("check", tmp_path / "a.jsonl")[1]["remarks"] == [
        "no box is linked to a phrase: there is nothing to align"
    ]


def test_missing_images_are_listed_once(tmp_path):
    coco(tmp_path, captions=[{**CAPTIONS[0], "id": i} for i in range(5)])
    (tmp_path / "val/1.jpg").unlink()
    (tmp_path / "val/2.jpg").unlink()
    assert run("check", tmp_path)[1]["broken"] == 1


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("bbox", "left", "reason"),
    [
        ([600, 10, 50, 50], 0, "outside the image"),
        ([10, 10, 0, 20], 0, "no area"),
        ([60, 10, 40.01, 40], 1, None),
        ([-5, 10, 50, 20], 1, "cut"),
    ],
)
def test_boxes_at_and_over_the_edge_have_one_rule(read, bbox, left, reason, tmp_path):
    samples = read(tmp_path, boxes=[{**BOXES[0], "bbox": bbox}, BOXES[1]])
    sample = samples[0]
    assert len(sample.boxes) == left
    assert ((sample.boxes >= 0) & (sample.boxes <= 1)).all()
    messages = [*sample.left_out, *sample.cut]
    assert len(messages) == (reason is not None)
    if left == 0:
        assert sample.dropped == {reason: 1}
    if messages:
        assert "1.jpg" in messages[0]
        assert "annotation 10" in messages[0]


def turned(path, size=(100, 40)):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", size)
    image.paste((255, 0, 0), (0, 0, 20, 20))  # upright: at the right top
    path.parent.mkdir(exist_ok=True, parents=True)
    image.save(path, exif=exif, quality=95)


@pytest.mark.parametrize("read", READERS)
def test_images_are_read_upright_where_that_is_what_is_stated(read, tmp_path):
    image = {**IMAGES[0], "width": 40, "height": 100}
    box = {**BOXES[0], "bbox": [20, 0, 20, 20]}
    read(tmp_path, images=[image, IMAGES[1]], boxes=[box])
    folder = tmp_path / ("val2017" if read is lvis else "val")
    turned(folder / "1.jpg")
    kind = {coco: CocoCaptions, panoptic: CocoPanoptic, lvis: Lvis}[read]
    sample = kind(tmp_path, "val")[0]
    assert sample.size == (40, 100)
    x1, y1, x2, y2 = (sample.boxes[0] * torch.tensor([40, 100, 40, 100])).int().tolist()
    red = sample.image.crop((x1 + 3, y1 + 3, x2 - 3, y2 - 3)).getpixel((5, 5))
    assert red[0] > 200
    with pytest.raises(DataError, match=r"100 x 40 pixels, its annotations state 40 x 100.*upright=True"):
        kind(tmp_path, "val", upright=False)[0]


def test_a_stored_shape_that_is_the_stated_one_stays(tmp_path):
    samples = coco(tmp_path, images=[{**IMAGES[0], "height": 40}, IMAGES[1]])
    turned(tmp_path / "val/1.jpg")
    assert samples[0].size == (100, 40)
    assert samples[0].image.filename == ""  # reading the file again would turn it


@pytest.mark.parametrize(
    ("stated", "fine"),
    [((100, 50), True), ((400, 200), True), ((201, 99), True), ((50, 100), False), ((100, 80), False)],
)
def test_a_stated_size_of_another_shape_is_an_error(stated, fine, tmp_path):
    image = {**IMAGES[0], "width": stated[0], "height": stated[1]}
    samples = coco(tmp_path, images=[image, IMAGES[1]])
    if fine:
        assert samples[0].size == (100, 50)
        return
    with pytest.raises(DataError, match="another shape"):
        samples[0]


def test_squashed_images_keep_their_boxes(tmp_path):
    samples = coco(tmp_path)
    Image.new("RGB", (64, 64)).save(tmp_path / "val/1.jpg")
    torch.testing.assert_close(samples[0].boxes, torch.tensor([[0.1, 0.1, 0.5, 0.7]]))


def test_upright_lines_are_copied_as_they_show(tmp_path):
    turned(tmp_path / "a.jpg")
    line = {"image": "a.jpg", "caption": "a red square", "boxes": [[20, 0, 40, 20]]}
    (tmp_path / "a.jsonl").write_text(json.dumps({**line, "phrases": ["a red square"], "links": [[0, 0]]}))
    upright = JsonLines(tmp_path / "a.jsonl", unit="pixel")
    assert upright[0].size == (40, 100)
    assert JsonLines(tmp_path / "a.jsonl", unit="pixel", upright=False)[0].size == (100, 40)
    report = check_dataset(upright)
    assert report.fine
    assert report.turned == 1


def lines(path, *boxes, size=(200, 100), **changes):
    Image.new("RGB", size).save(path.parent / "a.jpg")
    row = {"image": "a.jpg", "caption": "a dog", "phrases": ["a dog"], "boxes": list(boxes), **changes}
    path.write_text("\n\n" + json.dumps(row))
    return path


@pytest.mark.parametrize(
    ("boxes", "options", "said"),
    [
        ([[0.1, 0.2, 0.5, 0.9]], {"unit": "pixel"}, 'are these fractions .*unit="fraction"'),
        ([[10, 20, 50, 90]], {}, 'are these pixels\\? Give unit="pixel"'),
        ([[50, 40, 20, 30]], {"unit": "pixel"}, 'are these xywh\\? Give box_format="xywh"'),
        ([[0.5, 0.4, 0.2, 0.3]], {}, "are these xywh"),
        ([[120, 60, 180, 90]], {"unit": "pixel", "box_format": "xywh"}, "are these xyxy"),
        ([[0.6, 0.6, 0.9, 0.9]], {"box_format": "xywh"}, "are these xyxy"),
    ],
)
def test_numbers_that_contradict_what_is_said_of_them_are_refused(boxes, options, said, tmp_path):
    path = lines(tmp_path / "a.jsonl", *boxes)
    with pytest.raises(DataError, match=said) as caught:
        JsonLines(path, **options)[0]
    assert "a.jsonl line 3" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unit": "pixels"}, "unit is 'pixels': did you mean 'pixel'"),
        ({"box_format": "coco"}, "box_format is 'coco': expected one of xyxy, xywh, cxcywh"),
    ],
)
@pytest.mark.parametrize("format", ["json_lines", "shards", "hugging_face"])
def test_unknown_choices_are_refused(options, said, format, tmp_path):
    path = lines(tmp_path / "a.jsonl", [0, 0, 1, 1])
    if format == "hugging_face":
        datasets = pytest.importorskip("datasets")
        path = tmp_path / "rows"
        datasets.Dataset.from_dict({"caption": ["x"]}).save_to_disk(path)
    with pytest.raises(InputError, match=said):
        open_dataset(path, format, **options)


def test_the_nearest_option_format_and_split_are_suggested(tmp_path):
    coco(tmp_path)
    with pytest.raises(InputError, match="coco has no option 'splits': did you mean 'split'"):
        open_dataset(tmp_path, splits="val")
    with pytest.raises(InputError, match="format is 'cocos': did you mean 'coco'"):
        open_dataset(tmp_path, "cocos")
    with pytest.raises(DataError, match="has no split 'vall': did you mean 'val'"):
        open_dataset(tmp_path, split="vall")


def test_fractions_that_touch_the_edge_stay_inside(tmp_path):
    box = [0.689844, 0.719792, 0.620312, 0.560417]
    path = lines(tmp_path / "a.jsonl", box, [0.2, 0.2, 0.1, 0.1])
    sample = JsonLines(path, box_format="cxcywh")[0]
    assert len(sample.boxes) == 2
    assert sample.boxes.max() == 1
    assert sample.left_out == sample.cut == ()


def test_the_command_reads_what_training_reads(tmp_path):
    path = lines(tmp_path / "a.jsonl", [120, 60, 80, 40], links=[[0, 0]])
    assert run("check", path, "--unit", "pixel")[0].exit_code == 1
    found, report = run("check", path, "--unit", "pixel", "--box-format", "xywh")
    assert found.exit_code == 0
    assert report["fine"]
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    options = ("--unit", "pixel", "--box-format", "xywh")
    assert run("convert", path, tmp_path / "out", *options)[1]["samples"] == 1
    assert open_dataset(tmp_path / "out").urls == [str(tmp_path / "out/00000.tar")]


def test_samples_take_lists_and_texts():
    sample = Sample(Image.new("RGB", (4, 4)), "x", [[0, 0, 1, 1]], ("a small dog",), ((0, 0),))
    assert sample.boxes.dtype == torch.float32
    assert sample.phrase_texts == ("a small dog",)
    with pytest.raises(DataError, match="boxes are 'a box'"):
        Sample(Image.new("RGB", (4, 4)), "x", "a box")
    with pytest.raises(DataError, match="phrase ' ' has no words"):
        Sample(Image.new("RGB", (4, 4)), "x", phrases=(" ",))
