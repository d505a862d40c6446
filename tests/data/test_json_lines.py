import json

import pytest
import torch
from PIL import Image

from harmoclip.data import Sample
from harmoclip.data.formats.json_lines import JsonLines
from harmoclip.data.formats.rows import from_row, to_row
from harmoclip.data.tools.check import check_dataset
from harmoclip.errors import DataError

IMAGE = Image.new("RGB", (80, 40), (200, 10, 10))


def write(folder, *rows):
    path = folder / "mine.jsonl"
    path.write_text("\n\n".join(r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in rows))
    return path


def test_rows_in_pixels_and_phrases_by_words(tmp_path):
    (tmp_path / "bilder").mkdir()
    IMAGE.save(tmp_path / "bilder" / "größe 犬.png")
    row = {
        "image": "bilder/größe 犬.png",
        "caption": "Ein Café und a dog.",
        "boxes": [[8, 10, 16, 20], [0, 0, 80, 40]],
        "phrases": ["a dog", [4, 8]],
        "links": [[0, 0], [1, 1], [1, 0]],
        "labels": [3, 1],
    }
    path = write(tmp_path, row, row)
    samples = JsonLines(path, unit="pixel", box_format="xywh")
    assert len(samples) == 2
    sample = samples[1]
    assert sample.phrase_texts == ("a dog", "Café")
    torch.testing.assert_close(sample.boxes, torch.tensor([[0.1, 0.25, 0.3, 0.75], [0.0, 0.0, 1.0, 1.0]]))
    assert sample.links == ((0, 0), (1, 1), (1, 0))
    assert sample.labels.tolist() == [3, 1]
    assert sample.image.getpixel((5, 5)) == (200, 10, 10)


def test_boxes_from_centre_and_size():
    sample = from_row({"caption": "x", "boxes": [[0.5, 0.4, 0.2, 0.6]]}, IMAGE, box_format="cxcywh")
    torch.testing.assert_close(sample.boxes, torch.tensor([[0.4, 0.1, 0.6, 0.7]]))


def test_only_a_caption_is_needed_and_phrases_are_found_where_none_are_given():
    assert from_row({"caption": "x"}, IMAGE).boxes.shape == (0, 4)
    spans = from_row({"caption": "a dog"}, IMAGE, segment=lambda caption: ((2, len(caption)),))
    assert spans.phrase_texts == ("dog",)
    kept = from_row({"caption": "a dog", "phrases": []}, IMAGE, segment=lambda caption: ((0, 1),))
    assert kept.phrases == ()


def test_a_row_reads_back_to_the_same_sample():
    boxes = torch.cat([torch.rand(3, 2) / 2, 0.5 + torch.rand(3, 2) / 2], 1)
    sample = Sample(
        IMAGE, "a dog’s bed", boxes, ((0, 5), "a bed", (8, 11)), ((2, 0), (0, 1)), torch.arange(3), "k"
    )
    sample = sample.replace(negatives=((1, 1),), more_captions=("A long one.",))
    again = from_row(json.loads(json.dumps(to_row(sample))), IMAGE)
    assert (again.negatives, again.more_captions) == (sample.negatives, sample.more_captions)
    assert torch.equal(again.boxes, sample.boxes)
    assert torch.equal(again.labels, sample.labels)
    assert (again.caption, again.phrases, again.links, again.key) == (
        sample.caption, sample.phrases, sample.links, sample.key,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, "caption is None"),
        ({"caption": " "}, "caption is ' '"),
        ({"caption": "a", "boxes": [[1, 2, 3]]}, "expected 4 numbers each"),
        ({"caption": "a", "boxes": [[0, 0, 120, 80]]}, r'unit="pixel"'),
        ({"caption": "a", "boxes": [["0", 0, 1, 1]]}, "expected 4 numbers each"),
        ({"caption": "a dog a dog", "phrases": ["a dog"]}, "2 times in the caption"),
        ({"caption": "a dog", "phrases": ["cat"]}, "0 times in the caption"),
        ({"caption": "a dog", "phrases": [[0, 9]]}, r"phrase \(0, 9\)"),
        ({"caption": "a dog", "phrases": [[0, 1.5]]}, "two whole numbers"),
        ({"caption": "a dog", "phrases": None}, "phrases is None: expected a list"),
        ({"caption": "a dog", "phrases": [], "links": 5}, "links is 5: expected a list"),
        ({"caption": "a dog", "labels": ["dog"]}, r"labels are \['dog'\]: expected a whole number"),
        ({"caption": "a dog", "boxes": 5}, "boxes are 5: expected 4 numbers each"),
        ({"caption": None, "boxes": [[0, 0, 1, 1]]}, 'caption is None: expected text, or "" for none'),
        ({"caption": "", "phrases": [{"text": " "}]}, r"expected {\"text\": ...} with some words"),
        ({"caption": "", "more_captions": ["x", " "]}, r"more_captions are \['x', ' '\]: expected texts"),
        (
            {"boxes": [[0, 0, 1, 1]], "phrases": [], "negatives": [[0, 3]]},
            r"negative \(0, 3\) points to nothing",
        ),
        ({"caption": "a dog", "links": [[0, 0]]}, "links without phrases"),
        ({"caption": "a dog", "negatives": [[0, 0]]}, "negatives without phrases"),
        ({"caption": "a dog", "phrases": [], "links": [[0, 0]]}, "points to nothing"),
    ],
)
def test_impossible_rows_are_refused_by_name(row, said):
    with pytest.raises(DataError, match=said) as caught:
        from_row(row, IMAGE, name="line-7")
    assert "line-7" in str(caught.value)


def test_broken_lines_and_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl does not exist"):
        JsonLines(tmp_path / "none.jsonl")
    samples = JsonLines(write(tmp_path, "{", "[]", {"caption": "x"}, {"image": "no.jpg", "caption": "x"}))
    for index, said in enumerate(
        [
            "line 1 is not JSON",
            "line 3 is \\[\\]",
            "line 5 has no 'image', only \\['caption'\\]",
            r"no\.jpg does not exist",
        ]
    ):
        with pytest.raises(DataError, match=said):
            samples[index]


def test_rows_without_a_caption_read_back(tmp_path):
    boxes = torch.tensor([[0.0, 0.0, 0.5, 1.0]])
    for sample in (Sample(IMAGE, ""), Sample(IMAGE, "", boxes, ("a red hat", "a hat"), ((0, 0), (0, 1)))):
        again = from_row(json.loads(json.dumps(to_row(sample))), IMAGE)
        assert (again.caption, again.phrases, again.links) == ("", sample.phrases, sample.links)
    left_out = from_row({"boxes": [[0, 0, 1, 1]], "phrases": [{"text": "a hat"}]}, IMAGE)
    assert (left_out.caption, left_out.phrases) == ("", ("a hat",))


def test_classes_may_be_named_in_the_rows(tmp_path):
    IMAGE.save(tmp_path / "a.png")
    row = {"image": "a.png", "boxes": [[0, 0, 1, 1], [0, 0, 0.5, 1]], "labels": ["dog", "cat"]}
    path = write(tmp_path, row, {**row, "labels": ["cow", "dog"]})
    samples = JsonLines(path)
    assert samples.class_names == ("cat", "cow", "dog")
    assert samples.is_thing == (True, True, True)
    assert [s.labels.tolist() for s in (samples[0], samples[1])] == [[2, 0], [1, 2]]
    assert JsonLines(path, class_names=["dog", "cat", "cow"])[0].labels.tolist() == [0, 1]


def test_a_file_beside_the_rows_names_their_classes(tmp_path):
    IMAGE.save(tmp_path / "a.png")
    (tmp_path / "class_names.txt").write_text("dog\ntraffic light\n")
    row = {"image": "a.png", "boxes": [[0, 0, 1, 1]]}
    samples = JsonLines(write(tmp_path, *({**row, "labels": [x]} for x in (1, "dog", "dgo", 2))))
    assert samples.class_names == ("dog", "traffic light")
    assert [samples[i].labels.tolist() for i in (0, 1)] == [[1], [0]]
    with pytest.raises(
        DataError, match=r"line 5.*labels are \['dgo'\]: a class is 'dgo': did you mean 'dog'"
    ):
        samples[2]
    with pytest.raises(DataError, match=r"line 7.*labels are \[2\]: expected numbers from 0 to 1"):
        samples[3]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("label", "labels"),
        ("Boxes", "boxes"),
        ("bbox", "boxes"),
        ("link", "links"),
        ("hard_negatives", "negatives"),
        ("text", "caption"),
        ("imageid", "image_id"),
        ("more_caption", "more_captions"),
    ],
)
def test_a_misspelt_key_is_refused(tmp_path, given, meant):
    IMAGE.save(tmp_path / "a.png")
    row = {"image": "a.png", "boxes": [[0, 0, 1, 1]], "phrases": [{"text": "a dog"}], "links": [[0, 0]]}
    row = {name: value for name, value in row.items() if name != meant}
    with pytest.raises(DataError, match=rf"line 1'? has '{given}'.*did you mean '{meant}'"):
        JsonLines(write(tmp_path, {**row, given: []}))[0]


def test_keys_that_are_not_read_are_counted(tmp_path):
    IMAGE.save(tmp_path / "a.png")
    row = {"image": "a.png", "caption": "A dog.", "url": "x", "width": 80, "text": "beside a caption"}
    samples = JsonLines(write(tmp_path, row, {**row, "license": 4}, "no JSON"))
    assert samples[0].caption == "A dog."
    assert samples.unread == {"url": 2, "width": 2, "text": 2, "license": 1}
    assert check_dataset(samples).as_dict()["unread_keys"] == samples.unread
