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
