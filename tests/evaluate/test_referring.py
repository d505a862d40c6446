import pytest
import torch
from PIL import Image

from harmoclip.data import Sample
from harmoclip.errors import DataError
from harmoclip.evaluate import pointing, referring
from tests.helpers.small_world import small_encoder

BOXES = torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]])


def sample(links, caption="left right"):
    return Sample(Image.effect_noise((32, 32), 90).convert("RGB"), caption, BOXES, ((0, 4), (5, 10)), links)


def test_the_best_box_of_the_picture_counts():
    encoder = small_encoder()
    asked = sample(((0, 0), (1, 1)))
    vectors = encoder.region_vectors([asked]).vectors
    with torch.no_grad():
        texts = encoder.harmo.model.encode_text(encoder.tokenizer(["left", "right"]))
    texts, vectors = (torch.nn.functional.normalize(v) for v in (texts, vectors))
    best = (texts @ vectors.T).argmax(1)
    expected = sum(best[i].item() == i for i in range(2)) / 2
    assert referring(encoder, [asked]) == {"referring": expected, "referring_phrases": 2}
    turned = sample(((1, 0), (0, 1)))
    turned = turned.replace(image=asked.image)
    assert referring(encoder, [turned])["referring"] == pytest.approx(1 - expected)


def test_phrases_of_every_box_ask_nothing():
    with pytest.raises(DataError, match="referring"):
        referring(small_encoder(), [sample(((0, 0), (1, 0)))])


class KnownVectors:
    """An encoder whose patches are these, and whose texts are unit vectors in the order asked."""

    def __init__(self, patches):
        self.patches = patches

    def dense_vectors(self, samples):
        yield list(samples), self.patches[None]

    def text_vectors(self, texts):
        return torch.eye(4)[: len(texts)]


def test_the_peak_is_the_center_of_a_patch():
    patches = torch.full((2, 3, 4), 0.01)
    patches[1, 2, 0] = patches[0, 1, 1] = 1
    # the first text's patch has its center at (5/6, 3/4), the second's at (1/2, 1/4)
    boxes = torch.tensor([[0.8, 0.7, 0.9, 0.8], [0.4, 0.2, 0.6, 0.3]])
    asked = sample(((0, 0), (1, 1))).replace(boxes=boxes)
    found = pointing(KnownVectors(patches), [asked])
    assert found == {"pointing": 1, "pointing_phrases": 2}
    assert found.metric("pointing").chance == pytest.approx(1 / 6)
    turned = sample(((1, 0), (0, 1))).replace(boxes=boxes)
    assert pointing(KnownVectors(patches), [turned])["pointing"] == 0


def test_pointing_asks_whether_the_peak_is_in_a_linked_box():
    encoder = small_encoder()
    whole = sample(((0, 0), (1, 0), (0, 1), (1, 1)))
    assert pointing(encoder, [whole]) == {"pointing": 1.0, "pointing_phrases": 2}
    ((_, dense),) = encoder.dense_vectors([whole])
    with torch.no_grad():
        text = torch.nn.functional.normalize(encoder.harmo.model.encode_text(encoder.tokenizer(["left"])))
    x = (dense[0] @ text[0]).flatten().argmax() % dense.shape[2]
    left = sample(((0, 0),)).replace(image=whole.image)
    assert pointing(encoder, [left])["pointing"] == float(x < dense.shape[2] / 2)
