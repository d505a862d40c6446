import pytest
import torch
from PIL import Image

from harmoclip.data import Sample
from harmoclip.evaluate.cache import VectorCache
from harmoclip.evaluate.samples import crop_boxes
from harmoclip.prompts import sentences
from tests.helpers.small_world import preprocess, small_encoder, tokenizer


def test_vectors_are_the_models_own():
    encoder = small_encoder()
    pictures = [Image.new("RGB", (40, 30), (i * 40, 0, 0)) for i in range(5)]
    with torch.no_grad():
        expected = encoder.harmo.model.encode_image(torch.stack([preprocess(p) for p in pictures]))
        texts = encoder.harmo.model.encode_text(tokenizer(["a dog", "two cats", "a"]))
    torch.testing.assert_close(encoder.image_vectors(pictures.__getitem__, 5), expected)
    torch.testing.assert_close(encoder.text_vectors(["a dog", "two cats", "a"]), texts)


@pytest.mark.parametrize(("prompts", "count"), [("name", 1), ("photo", 1), ("vild", 63), ("imagenet", 80)])
def test_a_class_is_the_mean_of_its_sentences(prompts, count):
    encoder = small_encoder()
    texts = sentences("fire_hydrant", prompts)
    assert len(set(texts)) == count
    assert all("fire hydrant" in text for text in texts)
    with torch.no_grad():
        vectors = torch.nn.functional.normalize(encoder.harmo.model.encode_text(tokenizer(texts)))
    expected = torch.nn.functional.normalize(vectors.mean(0), dim=0)
    torch.testing.assert_close(encoder.class_vectors(["dog", "fire_hydrant"], prompts)[1], expected)


def test_vild_sentences_open_as_published():
    texts = sentences("apple", "vild")
    assert "This is a photo of an apple." in texts
    assert "itap of an apple." in texts
    assert "This is the toy apple." in texts
    assert "There is the apple in the scene." in texts


def test_a_crop_is_the_box():
    picture = Image.new("RGB", (40, 20), (0, 0, 0))
    picture.paste((255, 0, 0), (10, 5, 20, 15))
    sample = Sample(picture, "x", torch.tensor([[0.25, 0.25, 0.5, 0.75], [0.99, 0.0, 1.0, 0.01]]))
    inside, corner = crop_boxes(sample)
    assert inside.size == (10, 10)
    assert inside.getcolors() == [(100, (255, 0, 0))]
    assert corner.size == (1, 1)


def test_samples_without_a_box_take_part():
    encoder = small_encoder()
    samples = [
        Sample(Image.new("RGB", (9, 9)), "x"),
        Sample(Image.new("RGB", (9, 9)), "x", torch.rand(2, 4).sort(1)[0]),
    ]
    found = encoder.region_vectors(samples)
    assert found.vectors.shape == (2, 24)
    assert found.counts == [0, 2]


def test_an_image_of_several_samples_is_looked_at_once(monkeypatch):
    encoder, seen = small_encoder(), []
    encoder.batch_size, encoder.cache = 3, VectorCache()
    dense = encoder.harmo.encode_dense
    monkeypatch.setattr(
        encoder.harmo, "encode_dense", lambda images: seen.append(len(images)) or dense(images)
    )
    hashed = []
    monkeypatch.setattr(
        "harmoclip.evaluate.encoder.weights_digest", lambda model: hashed.append(1) or b"weights"
    )
    one, other = (Image.effect_noise((32, 32), 90).convert("RGB") for _ in range(2))
    samples = [Sample(image, f"caption {i}") for i, image in enumerate([one, other, one, one])]
    found = []
    for batch, patches in encoder.dense_vectors(samples):
        encoder.text_vectors([sample.caption for sample in batch])
        found += list(patches)
    assert seen == [2, 1]
    assert hashed == [1]  # of both batches, and of the texts between them
    torch.testing.assert_close(found[0], found[2])
    torch.testing.assert_close(found[0], found[3], atol=1e-6, rtol=1e-5)
    assert (found[0] - found[1]).abs().max() > 1e-3
    encoder.text_vectors(["another"])
    assert hashed == [1, 1]
