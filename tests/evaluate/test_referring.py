import pytest
import torch
from PIL import Image
from small_world import small_subject

from harmoclip.data import Sample
from harmoclip.errors import DataError
from harmoclip.evaluate import pointing, referring
from harmoclip.evaluate.referring import _peak

BOXES = torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]])


def sample(links, caption="left right"):
    return Sample(Image.effect_noise((32, 32), 90).convert("RGB"), caption, BOXES, ((0, 4), (5, 10)), links)


def test_the_best_box_of_the_picture_counts():
    subject = small_subject()
    asked = sample(((0, 0), (1, 1)))
    ((_, vectors),) = subject.region_vectors([asked])
    with torch.no_grad():
        texts = subject.harmo.model.encode_text(subject.tokenizer(["left", "right"]))
    texts, vectors = (torch.nn.functional.normalize(v) for v in (texts, vectors))
    best = (texts @ vectors.T).argmax(1)
    expected = sum(best[i].item() == i for i in range(2)) / 2
    assert referring(subject, [asked]) == {"referring": expected, "referring_phrases": 2}
    turned = sample(((1, 0), (0, 1)))
    turned = turned.replace(image=asked.image)
    assert referring(subject, [turned])["referring"] == pytest.approx(1 - expected)


def test_phrases_of_every_box_ask_nothing():
    with pytest.raises(DataError, match="referring"):
        referring(small_subject(), [sample(((0, 0), (1, 0)))])


def test_the_peak_is_the_centre_of_a_patch():
    patches = torch.zeros(2, 3, 4)
    patches[1, 2, 0] = patches[0, 1, 1] = 1
    point = _peak(torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0]]), patches)
    torch.testing.assert_close(point, torch.tensor([[5 / 6, 0.75], [0.5, 0.25]]))


def test_pointing_asks_whether_the_peak_is_in_a_linked_box():
    subject = small_subject()
    whole = sample(((0, 0), (1, 0), (0, 1), (1, 1)))
    assert pointing(subject, [whole]) == {"pointing": 1.0, "pointing_phrases": 2}
    ((_, dense),) = subject.dense_vectors([whole])
    with torch.no_grad():
        text = torch.nn.functional.normalize(subject.harmo.model.encode_text(subject.tokenizer(["left"])))
    x = (dense[0] @ text[0]).flatten().argmax() % dense.shape[2]
    left = sample(((0, 0),)).replace(image=whole.image)
    assert pointing(subject, [left])["pointing"] == float(x < dense.shape[2] / 2)
