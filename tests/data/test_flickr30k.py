import pytest
import torch
from PIL import Image

from harmoclip.data.formats.flickr30k import Flickr30kEntities, parse_sentence
from harmoclip.errors import DataError

SENTENCES = """\
[/EN#1/people Two young guys] with [/EN#2/bodyparts shaggy hair] look at [/EN#2/bodyparts/other it] in \
[/EN#3/scene the yard] .
[/EN#0/notvisual It] is a café , and [/EN#4/other nothing] happens near [/EN#1/people two men] .

"""
OBJECTS = """\
<annotation><filename>36979.jpg</filename>
<size><width>100</width><height>50</height><depth>3</depth></size>
<object><name>1</name><bndbox><xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>50</ymax></bndbox></object>
<object><name>1</name><name>2</name>
  <bndbox><xmin>51</xmin><ymin>1</ymin><xmax>100</xmax><ymax>25</ymax></bndbox></object>
<object><name>3</name><scene>1</scene><nobndbox>1</nobndbox></object>
<object><name>4</name><scene>0</scene><nobndbox>1</nobndbox></object>
</annotation>"""


@pytest.fixture
def folder(tmp_path):
    for name in ("annotations/Annotations", "annotations/Sentences", "flickr30k-images"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "annotations/Annotations/36979.xml").write_text(OBJECTS)
    (tmp_path / "annotations/Sentences/36979.txt").write_text(SENTENCES, encoding="utf-8")
    (tmp_path / "val.txt").write_text("36979\n")
    Image.new("RGB", (100, 50), (10, 200, 30)).save(tmp_path / "flickr30k-images/36979.jpg")
    return tmp_path


def test_a_sentence_has_its_phrases_boxes_and_links(folder):
    samples = Flickr30kEntities(folder, "val")
    assert len(samples) == 2
    first = samples[0]
    assert first.caption == "Two young guys with shaggy hair look at it in the yard ."
    assert first.phrase_texts == ("Two young guys", "shaggy hair", "it", "the yard")
    torch.testing.assert_close(first.boxes, torch.tensor([[0.1, 0.1, 0.3, 1.0], [0.5, 0.0, 1.0, 0.5]]))
    assert first.links == ((0, 0), (1, 0), (1, 1), (1, 2))
    assert first.key == "36979"
    assert first.image.size == (100, 50)


def test_what_is_not_visual_is_no_phrase_and_what_has_no_box_no_link(folder):
    second = Flickr30kEntities(folder, "val")[1]
    assert second.caption == "It is a café , and nothing happens near two men ."
    assert second.phrase_texts == ("nothing", "two men")
    assert second.links == ((0, 1), (1, 1))


def test_unrelated_captions_are_left_out(folder):
    (folder / "UNRELATED_CAPTIONS").write_text("36979 0\n")
    samples = Flickr30kEntities(folder, "val")
    assert [s.phrase_texts[0] for s in samples] == ["nothing"]


def test_a_mark_without_words_is_no_phrase():
    assert parse_sentence("[/EN#7/other ] a [b] c").phrases == ()


def test_missing_and_broken_files_are_named(folder, tmp_path_factory):
    with pytest.raises(DataError, match=r"no Annotations .* expected the layout of Flickr30k"):
        Flickr30kEntities(tmp_path_factory.mktemp("empty"))
    with pytest.raises(DataError, match=r"has no split 'train': expected one of val"):
        Flickr30kEntities(folder, "train")
    samples = Flickr30kEntities(folder, "val")
    (folder / "annotations/Annotations/36979.xml").write_text("<annotation>")
    with pytest.raises(DataError, match=r"36979\.xml cannot be read"):
        samples[0]
    (folder / "annotations/Annotations/36979.xml").write_text(OBJECTS)
    (folder / "flickr30k-images/36979.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"36979\.jpg cannot be read"):
        samples[0]
    (folder / "flickr30k-images/36979.jpg").unlink()
    with pytest.raises(DataError, match=r"36979\.jpg does not exist"):
        samples[0]
    (folder / "annotations/Sentences/36979.txt").unlink()
    with pytest.raises(DataError, match=r"36979\.txt does not exist"):
        Flickr30kEntities(folder, "val")
