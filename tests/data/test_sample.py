import pytest
import torch
from PIL import Image

from harmoclip.data import Sample
from harmoclip.errors import DataError

IMAGE = Image.new("RGB", (40, 20))
BOXES = torch.tensor([[0.1, 0.1, 0.5, 0.9], [0.2, 0.0, 0.4, 0.5], [0.5, 0.5, 1.0, 1.0]])


class Phrase:
    start, end = 3, 8


def test_a_sample_knows_its_phrases_and_size():
    sample = Sample(IMAGE, "my white dog", BOXES, ((0, 2), Phrase()), ((1, 0), (2, 1)))
    assert sample.spans == ((0, 2), (3, 8))
    assert sample.phrase_texts == ("my", "white")
    assert sample.size == (40, 20)
    assert sample.replace(image=torch.rand(3, 4, 9)).size == (9, 4)


def test_links_and_labels_follow_the_kept_boxes():
    sample = Sample(
        IMAGE,
        "a dog",
        BOXES,
        ((0, 5),),
        ((0, 0), (2, 0)),
        labels=torch.tensor([4, 5, 6]),
        dropped={"no area": 1},
    )
    kept = sample.drop_boxes({0: "too small"})
    torch.testing.assert_close(kept.boxes, BOXES[[1, 2]])
    assert kept.links == ((1, 0),)
    assert kept.labels.tolist() == [5, 6]
    assert kept.dropped == {"no area": 1, "too small": 1}
    assert sample.drop_boxes({}) is sample


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"boxes": torch.zeros(2, 5)}, r"\[2, 5\]"),
        ({"boxes": BOXES.double()}, "float64"),
        ({"phrases": ((2, 9),)}, r"phrase \(2, 9\)"),
        ({"phrases": ((2, 2),)}, r"phrase \(2, 2\)"),
        ({"phrases": ((0, 2),), "links": ((3, 0),)}, r"link \(3, 0\)"),
        ({"links": ((0, 0),)}, "0 phrases"),
        ({"labels": torch.tensor([1])}, "1 labels for 3 boxes"),
    ],
)
def test_impossible_samples_are_refused(change, said):
    with pytest.raises(DataError, match=said):
        Sample(**{"image": IMAGE, "caption": "a dog", "boxes": BOXES, "key": "k"} | change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"phrases": ("a dog", " ")}, "phrase ' ' has no words"),
        ({"more_captions": ("Long.", "")}, r"more_captions\[1\] is '': expected some words"),
        ({"phrases": ("a dog",), "negatives": ((0, 1),)}, r"negative \(0, 1\) points to nothing"),
        (
            {"phrases": ("a dog",), "links": ((0, 0),), "negatives": ((1, 0), (0, 0))},
            r"negatives\[1\] is \(0, 0\), but box 0 is linked to 'a dog'",
        ),
        (
            {"phrases": ((0, 5), "A  Dog"), "links": ((0, 0),), "negatives": ((0, 1),)},
            r"negatives\[0\] is \(0, 1\), but box 0 is linked to 'A  Dog'",
        ),
    ],
)
def test_bad_texts_of_their_own_are_named_with_sample_and_row(change, said):
    with pytest.raises(DataError, match=said) as caught:
        Sample(**{"image": IMAGE, "caption": "a dog", "boxes": BOXES, "key": "k.jpg"} | change)
    assert "sample 'k.jpg'" in str(caught.value)


def test_a_wrong_phrase_of_one_box_may_be_right_for_another():
    sample = Sample(IMAGE, "", BOXES, ("a dog",), ((0, 0),), negatives=((1, 0),))
    assert sample.drop_boxes({0: "too small"}).negatives == ((0, 0),)
