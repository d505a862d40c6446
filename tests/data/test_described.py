"""Data sets of texts for images and boxes, each in a small sample of its published layout."""

import json
import warnings

import pytest
import torch
from packaging.version import Version
from PIL import Image

from harmoclip.data import open_dataset
from harmoclip.data.formats.registry import recognize
from harmoclip.data.formats.texts import linked_texts
from harmoclip.errors import DataError

WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]])


def image(path, size=(40, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 10, 10)).save(path)


def dump(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def lines(path, *rows):
    path.write_text("\n".join(map(json.dumps, rows)))


def test_texts_of_boxes_are_linked():
    right, wrong = [["a", "b"], [], ["a"]], [[], [], ["b", "c"]]
    assert linked_texts(right, wrong) == (("a", "b", "c"), ((0, 0), (0, 1), (2, 0)), ((2, 1), (2, 2)))
    each = linked_texts(right, wrong, once=False)
    assert each == (("a", "b", "a", "b", "c"), ((0, 0), (0, 1), (2, 2)), ((2, 3), (2, 4)))


# ---------------------------------------------------------------------- FineHARD


def region(**changes):
    return {
        "bbox": [0.25, 0.0, 0.75, 0.5, 0.91],
        "short_expr": "a red hat",
        "long_expr": "a red hat on a wooden table",
        "flag_short_neg": 1,
        "short_expr_negs": {"0": "a blue hat", "1": "a red shoe"},
        **changes,
    }


def fine_hard(root, *regions):
    item = {
        "f_path": "grit-20m/data-12m/coyo_image_4/00088/000881111.jpg",
        "caption": "A long story about a hat on a table.",
        "short_caption": "a hat",
        "bbox_info": list(regions),
    }
    dump(root / "jsonfiles" / "2024-12-06_results.json", [item])
    image(root / "coyo_image_4/00088/000881111.jpg")
    return root


def test_fine_hard_has_two_captions_two_descriptions_a_box_and_its_negatives(tmp_path):
    plain = region(bbox=[0, 0, 1, 1, 0.5], short_expr="a table", flag_short_neg=0)
    samples = open_dataset(fine_hard(tmp_path, region(), plain))
    (sample,) = samples
    assert recognize(tmp_path) == "fine_hard"
    assert (sample.caption, sample.more_captions) == ("A long story about a hat on a table.", ("a hat",))
    assert sample.phrases[:3] == ("a red hat", "a red hat on a wooden table", "a table")
    assert sample.links == ((0, 0), (0, 1), (1, 2), (1, 1))
    assert [(box, sample.phrases[p]) for box, p in sample.negatives] == [(0, "a blue hat"), (0, "a red shoe")]
    torch.testing.assert_close(sample.boxes, torch.tensor([[0.25, 0.0, 0.75, 0.5], [0.0, 0.0, 1.0, 1.0]]))


def test_a_negative_that_is_right_is_named_and_left_out(tmp_path):
    root = fine_hard(tmp_path, region(short_expr_negs={"0": "A  red hat", "1": "a red shoe"}))
    with pytest.raises(DataError, match=r"item 0: box 0 has the short_expr_negs 0 'A  red hat'"):
        open_dataset(root)
    told = []
    (sample,) = open_dataset(root, on_broken=told.append)
    assert len(told) == 1
    assert [sample.phrases[p] for _, p in sample.negatives] == ["a red shoe"]
    with pytest.raises(DataError, match="has the long_expr None: expected text"):
        open_dataset(fine_hard(tmp_path, region(long_expr=None)))


# ---------------------------------------------------------------------- long captions


def test_docci(tmp_path):
    row = {"example_id": "train_00000", "split": "train", "image_file": "a.jpg", "description": " A long. "}
    lines(tmp_path / "docci_descriptions.jsonlines", row, {**row, "example_id": "test_0", "split": "test"})
    image(tmp_path / "images/a.jpg")
    (sample,) = open_dataset(tmp_path)
    assert (sample.caption, sample.key, len(sample.boxes)) == ("A long.", "a.jpg", 0)
    with pytest.raises(DataError, match=r"no split 'tran': did you mean 'train'"):
        open_dataset(tmp_path, split="tran")
    lines(tmp_path / "docci_descriptions.jsonlines", row, row)
    with pytest.raises(DataError, match=r"row 'train_00000' .row 1. has the example_id of an earlier row"):
        open_dataset(tmp_path)


def test_localized_narratives_of_coco_and_of_others(tmp_path):
    row = {"dataset_id": "mscoco_val2017", "image_id": "139", "annotator_id": 3, "caption": "In this image."}
    lines(tmp_path / "coco_val_captions.jsonl", row, {**row, "annotator_id": 4})
    image(tmp_path / "val2017/000000000139.jpg")
    samples = open_dataset(tmp_path, images=tmp_path / "val2017")
    assert recognize(tmp_path) == "localized_narratives"
    assert [sample.caption for sample in samples] == ["In this image."] * 2
    assert len(set(samples.image_ids)) == 1
    traced = {**row, "image_id": "ADE_val_1", "timed_caption": [], "traces": []}
    lines(tmp_path / "ade20k_validation_localized_narratives.jsonl", traced)
    image(tmp_path / "ade/ADE_val_1.jpg")
    with pytest.raises(DataError, match="several splits, ade20k_validation, coco_val: name one"):
        open_dataset(tmp_path, images=tmp_path)
    (sample,) = open_dataset(tmp_path, split="ade20k_validation", images=tmp_path / "ade")
    assert sample.key == "ADE_val_1"


def test_sharegpt4v(tmp_path):
    talk = [
        {"from": "human", "value": "What is it?\n<image>"},
        {"from": "gpt", "value": "A bus.\nIt is red. Big."},
    ]
    file = tmp_path / "share-captioner_coco_lcs_sam_1246k_1107.json"
    dump(file, [{"id": "0", "image": "coco/a.jpg", "conversations": talk}])
    image(tmp_path / "coco/a.jpg")
    (sample,) = open_dataset(tmp_path)
    assert (sample.caption, sample.more_captions) == ("A bus. It is red. Big.", ())
    (sample,) = open_dataset(file, "sharegpt4v", first_sentence=True)
    assert sample.more_captions == ("A bus",)
    dump(file, [{"image": "a.jpg", "conversations": talk[:1]}])
    with pytest.raises(DataError, match="item 0 has no answer of gpt"):
        open_dataset(tmp_path)


def mask(quality, **changes):
    corners = {"topLeft": {"x": 10, "y": 0}, "bottomRight": {"x": 30, "y": 10}}
    return {
        "idx": 1, "label": "hat", "caption": "A red hat.", "mask_quality": quality, "bounds": corners,
        "area": 9, "outer_mask": "", "requirements": [], "parent": -1, **changes,
    }  # fmt: skip


def test_dci(tmp_path):
    entry = {"image": "sa_1.jpg", "short_caption": "A hat.", "extra_caption": "It is old.", "mask_keys": []}
    masks = {"0": mask(0), "1": mask(1, label="table"), "2": mask(2)}
    dump(tmp_path / "complete/sa_1.json", {**entry, "mask_data": masks})
    image(tmp_path / "photos/sa_1.jpg")
    samples = open_dataset(tmp_path)
    (sample,) = samples
    assert (sample.caption, sample.more_captions) == ("A hat. It is old.", ("A hat.",))
    assert (sample.phrases, sample.links) == (("hat", "A red hat.", "table"), ((0, 0), (0, 1), (1, 2)))
    torch.testing.assert_close(sample.boxes, torch.tensor([[0.25, 0.0, 0.75, 0.5]] * 2))
    assert samples.image_ids == [sample.image_id]
    dump(tmp_path / "complete/sa_1.json", {**entry, "mask_data": {"7": mask(0, label=None)}})
    with pytest.raises(DataError, match=r"sa_1\.json: mask '7' has the label None: expected text"):
        samples[0]


# ---------------------------------------------------------------------- class names


def instances(root, **changes):
    content = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 40, "height": 20}],
        "categories": [{"id": 3, "name": "traffic_light"}, {"id": 1, "name": "bow_(ribbons)"}],
        "annotations": [{"id": i, "image_id": 7, "category_id": 3, "bbox": [0, 0, 20, 10]} for i in (1, 2)],
        **changes,
    }
    dump(root / "boxes.json", content)
    image(root / "a.jpg")
    return root / "boxes.json"


def test_names_of_classes_are_the_texts_of_boxes_in_cocos_json(tmp_path):
    samples = open_dataset(instances(tmp_path), "detection")
    (sample,) = samples
    assert samples.class_names == ("bow", "traffic light")
    assert (sample.caption, sample.phrases, sample.links) == ("", ("traffic light",), ((0, 0), (1, 0)))
    assert sample.labels.tolist() == [1, 1]
    torch.testing.assert_close(sample.boxes, torch.tensor([[0.0, 0.0, 0.5, 0.5]] * 2))
    without_file = [{"id": 7, "coco_url": "http://x/val2017/a.jpg", "width": 40, "height": 20}]
    image(tmp_path / "val2017/a.jpg")
    (lvis,) = open_dataset(instances(tmp_path, images=without_file), "detection")
    assert lvis.key == "val2017/a.jpg"
    lost = [{"id": 1, "image_id": 8, "category_id": 3, "bbox": [0, 0, 1, 1]}]
    with pytest.raises(DataError, match=r"boxes\.json: annotation 1 .row 0. has the image_id 8"):
        open_dataset(instances(tmp_path, annotations=lost), "detection")


def test_cocos_folder_without_captions(tmp_path):
    (tmp_path / "annotations").mkdir()
    boxes = instances(tmp_path / "val2017")
    with pytest.raises(DataError, match=r"has no data\.yaml or Annotations: expected COCO's JSON"):
        open_dataset(tmp_path, "detection")
    boxes.rename(tmp_path / "annotations/instances_val2017.json")
    with pytest.raises(DataError, match=r"captions_\*\.json does not exist.*are the format detection"):
        open_dataset(tmp_path)
    (sample,) = open_dataset(tmp_path, "detection")
    assert sample.phrases == ("traffic light",)
    with pytest.raises(DataError, match="no split 'val2014': did you mean 'val2017'"):
        open_dataset(tmp_path, "detection", split="val2014")
    (tmp_path / "annotations/instances_train2017.json").write_text("{}")
    with pytest.raises(DataError, match="has instances of train2017, val2017: give one of them as split"):
        open_dataset(tmp_path, "detection")


@pytest.fixture
def supervision():
    package = pytest.importorskip("supervision")
    if Version(package.__version__) < Version("0.30"):  # leaves the images open that it takes the size of
        warnings.filterwarnings("ignore", r"unclosed file.*images/train/a\.jpg", ResourceWarning)
    return package


def test_yolo(tmp_path, supervision):
    (tmp_path / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [dog, traffic_light]\n")
    image(tmp_path / "images/train/a.jpg")
    (tmp_path / "labels/train").mkdir(parents=True)
    (tmp_path / "labels/train/a.txt").write_text("1 0.5 0.5 0.5 1.0\n")
    samples = open_dataset(tmp_path)
    (sample,) = samples
    assert recognize(tmp_path) == "detection"
    assert samples.class_names == ("dog", "traffic light")
    assert (sample.phrases, sample.labels.tolist()) == (("traffic light",), [1])
    torch.testing.assert_close(sample.boxes, torch.tensor([[0.25, 0.0, 0.75, 1.0]]))
    with pytest.raises(DataError, match="no split 'test'"):
        open_dataset(tmp_path, split="test")
    (tmp_path / "labels/train/a.txt").write_text("9 0.5 0.5 0.5 1.0\n")
    with pytest.raises(DataError, match=r"supervision cannot read|has the class 9"):
        open_dataset(tmp_path)


def test_voc(tmp_path, supervision):
    for name in "ab":
        box = "<xmin>1</xmin><ymin>1</ymin><xmax>20</xmax><ymax>20</ymax>"
        xml = f"<annotation><object><name>dog</name><bndbox>{box}</bndbox></object></annotation>"
        (tmp_path / "Annotations").mkdir(exist_ok=True)
        (tmp_path / f"Annotations/{name}.xml").write_text(xml)
        image(tmp_path / f"JPEGImages/{name}.jpg")
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/val.txt").write_text("b\n")
    assert len(open_dataset(tmp_path)) == 2
    (sample,) = open_dataset(tmp_path, split="val")
    assert sample.key.endswith("b.jpg")
    assert (sample.phrases, sample.links) == (("dog",), ((0, 0),))
