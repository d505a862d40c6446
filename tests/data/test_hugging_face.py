import pytest
import torch
from PIL import Image

from harmoclip.data import open_dataset
from harmoclip.data.formats.hugging_face import ObjectRows, ObjectStream, ReadObjects, open_rows
from harmoclip.data.formats.registry import read_options
from harmoclip.errors import DataError, InputError
from harmoclip.segment import Head, Phrase

datasets = pytest.importorskip("datasets")

IMAGE = Image.new("RGB", (100, 50), (5, 6, 7))
BOXES = [[10.0, 0.0, 20.0, 25.0], [50.0, 10.0, 50.0, 40.0]]
CAPTION = "A dog by a red car."
WANTED = torch.tensor([[0.1, 0.0, 0.3, 0.5], [0.5, 0.2, 1.0, 1.0]])


def segment(caption):
    """What the segmenter finds in CAPTION, without its pipeline."""
    words = [("A dog", "dog"), ("a red car", "car")]
    spans = [(caption.index(text), text, head) for text, head in words]
    return [
        Phrase(text, at, at + len(text), Head(head, at + text.index(head), at + len(text), head))
        for at, text, head in spans
    ]


def features(nest):
    objects = {
        "bbox": datasets.Sequence(datasets.Value("float32"), length=4),
        "category": datasets.ClassLabel(names=["car", "dog"]),
    }
    return datasets.Features(
        {"image": datasets.Image(), "text": datasets.Value("string"), "objects": nest(objects)}
    )


def rows(nest=datasets.Sequence, as_list=False):
    objects = {"bbox": BOXES, "category": [1, 0]}
    if as_list:
        objects = [{"bbox": box, "category": c} for box, c in zip(BOXES, [1, 0], strict=True)]
    content = {"image": [IMAGE], "text": [CAPTION], "objects": [objects]}
    return datasets.Dataset.from_dict(content, features=features(nest))


@pytest.mark.parametrize(("nest", "as_list"), [(datasets.Sequence, False), (lambda o: [o], True)])
def test_both_ways_to_nest_objects_give_the_same_sample(nest, as_list):
    samples = ObjectRows(rows(nest, as_list), caption="text", segment=segment)
    assert len(samples) == 1
    assert samples.class_names == ("car", "dog")
    (sample,) = samples
    torch.testing.assert_close(sample.boxes, WANTED)
    assert sample.links == ((0, 0), (1, 1))
    assert sample.labels.tolist() == [1, 0]
    assert sample.image.getpixel((3, 3)) == (5, 6, 7)


def test_a_stream_gives_what_the_rows_give():
    (sample,) = ObjectStream(rows().to_iterable_dataset(), caption="text", segment=segment)
    torch.testing.assert_close(sample.boxes, WANTED)
    assert sample.links == ((0, 0), (1, 1))


def test_rows_are_opened_from_a_folder_of_either_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    saved = rows().rename_column("text", "caption")
    saved.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=saved, val=saved).save_to_disk(tmp_path / "two")
    (tmp_path / "three").mkdir()
    saved.to_parquet(tmp_path / "three" / "train.parquet")
    for name, split in (("one", None), ("one", "train"), ("two", "val"), ("three", None)):
        samples = open_dataset(tmp_path / name, split=split, segment=segment)
        assert samples.class_names == ("car", "dog")
        torch.testing.assert_close(samples[0].boxes, WANTED)
        assert samples[0].links == ((0, 0), (1, 1))
    with pytest.raises(DataError, match=r"split is None.* has train, val: name one"):
        open_rows(tmp_path / "two")
    with pytest.raises(DataError, match=r"has no split 'test': expected one of train"):
        open_rows(tmp_path / "three", "test")


def test_columns_are_named_by_options_and_rows_need_no_caption(tmp_path):
    renamed = rows().rename_columns({"text": "said", "image": "photo", "objects": "things"})
    renamed.save_to_disk(tmp_path / "one")
    columns = {"image": "photo", "objects": "things"}
    for wrong in ("caption", "captions=said"):
        with pytest.raises(InputError, match="caption"):
            read_options("hugging_face", [wrong])
    given = read_options("hugging_face", ["caption=said", *(f"{k}={v}" for k, v in columns.items())])
    assert open_dataset(tmp_path / "one", segment=segment, **given)[0].caption == CAPTION
    for none in (read_options("hugging_face", ["caption="])["caption"], None):
        (sample,) = ObjectRows(renamed, caption=none, **columns)
        assert (sample.caption, sample.phrases, sample.links) == ("", ("dog", "car"), ((0, 0), (1, 1)))
    worded = row(objects={"bbox": BOXES, "category": ["traffic_light", "traffic_light"]})
    assert ReadObjects(caption=None)(worded, "0").phrases == ("traffic light",)
    with pytest.raises(DataError, match="row 3: a category is 1, which nothing names"):
        ReadObjects(caption=None)(row(objects={"bbox": BOXES, "category": [1, 0]}), "3")


def test_a_folder_without_rows_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"datasets cannot load .*none.* expected a folder of save_to_disk"):
        open_rows(tmp_path / "none")


def row(**changes):
    objects = {"bbox": BOXES, "category": ["dog", "auto"]}
    return {"image": IMAGE, "caption": CAPTION, "objects": objects, **changes}


def test_categories_may_be_words_and_names_have_synonyms():
    worded = ReadObjects(segment=segment)(row(), "0")
    assert worded.links == ((0, 0),)
    assert worded.labels is None
    numbered = {"bbox": BOXES, "category": [0, 1]}
    named = ReadObjects(["dog", ["auto", "car"]], segment=segment)(row(objects=numbered), "0")
    assert named.links == ((0, 0), (1, 1))
    assert ReadObjects(segment=segment)(row(objects=numbered), "0").links == ()


def test_captions_may_come_from_a_function_and_boxes_in_another_format():
    read = ReadObjects(caption=lambda r: r["captions"][-1], box_format="xyxy", segment=segment)
    boxes = {"bbox": [[10, 0, 30, 25]], "category": ["dog"]}
    sample = read({"image": IMAGE, "captions": ["no", CAPTION], "objects": boxes}, "0")
    torch.testing.assert_close(sample.boxes, WANTED[:1])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"caption": None}, "caption is None.*this row has image, caption, objects"),
        ({"image": "a.jpg"}, "image is a str"),
        ({"objects": None}, "objects is None"),
        ({"objects": {"bbox": BOXES}}, "expected {"),
        ({"objects": {"bbox": BOXES, "category": ["dog"]}}, "2 boxes and 1 categories"),
        ({"objects": {"bbox": [[1.0]], "category": ["dog"]}}, "expected 4 numbers"),
        ({"objects": {"bbox": BOXES, "category": [0, 7]}}, r"categories \[0, 7\] for 1 names"),
    ],
)
def test_impossible_rows_are_refused_by_number(changes, said):
    with pytest.raises(DataError, match=said) as caught:
        ReadObjects(["dog"], segment=segment)(row(**changes), "41")
    assert "41" in str(caught.value)


@pytest.mark.parametrize("kind", ["torch", "numpy", None])
@pytest.mark.parametrize("options", [{}, {"columns": ["objects"], "output_all_columns": True}])
@pytest.mark.parametrize(("nest", "as_list"), [(datasets.Sequence, False), (lambda o: [o], True)])
def test_formatted_rows_give_the_same_sample(kind, options, nest, as_list):
    formatted = rows(nest, as_list).with_format(kind, **options)
    sample = ObjectRows(formatted, caption="text", segment=segment)[0]
    torch.testing.assert_close(sample.boxes, WANTED)
    assert sample.links == ((0, 0), (1, 1))
    assert sample.labels.tolist() == [1, 0]
    assert sample.image.getpixel((3, 3)) == (5, 6, 7)


def test_boxes_may_be_fractions_and_have_to_be_what_is_said():
    boxes = {"bbox": [[0.1, 0.0, 0.2, 0.5]], "category": ["dog"]}
    sample = ReadObjects(unit="fraction", segment=segment)(row(objects=boxes), "0")
    torch.testing.assert_close(sample.boxes, WANTED[:1])
    with pytest.raises(DataError, match=r"row 0: .* are these fractions"):
        ReadObjects(segment=segment)(row(objects=boxes), "0")
    corners = {"bbox": [[60, 20, 90, 45]], "category": ["dog"]}
    with pytest.raises(DataError, match=r"row 0: .* are these xyxy"):
        ReadObjects(segment=segment)(row(objects=corners), "0")


def test_rows_of_one_image_say_so():
    objects = {"bbox": BOXES, "category": ["dog", "car"]}
    one, other = (ReadObjects(segment=segment)(row(objects=objects, image_id=7), key) for key in "01")
    assert one.image_id == other.image_id == 7
    assert (
        ReadObjects(segment=segment)(row(), "0").image_id != ReadObjects(segment=segment)(row(), "1").image_id
    )
    listed = [row(image_id=i // 2) for i in range(4)]
    assert ObjectRows(listed, segment=segment).image_ids == [0, 0, 1, 1]


@pytest.mark.parametrize("category", [None, 1.5, True])
def test_categories_that_are_neither_words_nor_numbers_are_refused(category):
    with pytest.raises(DataError, match=r"a category is (None|1\.5|True)"):
        ReadObjects(segment=segment)(row(objects={"bbox": BOXES, "category": [category, "dog"]}), "0")
