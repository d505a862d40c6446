"""Classes of transformers with one tower: they give what the whole model's tower gives."""

import pytest
import torch

import harmoclip
from harmoclip.errors import CaptureError
from harmoclip.inspect import zoo
from harmoclip.towers import find_towers
from tests.helpers import small

pytest_plugins = ["tests.helpers.every_family"]

IMAGE = tuple(name for name in small.PARTS if "Vision" in name)
TEXT = tuple(name for name in small.PARTS if "Text" in name)


@pytest.fixture
def part(name, given):
    """The class of one tower, with the weights of `given`, the whole model."""
    return small.part(name, given.model.eval()).eval()


@pytest.mark.parametrize("name", IMAGE)
def test_image_part(given, part):
    towers = find_towers(given.model)
    expected = towers.encode_image(given.images)
    torch.testing.assert_close(find_towers(part).encode_image(given.images), expected)
    grounding = zoo.two_regions()
    boxes = given.images, grounding.boxes, grounding.image_index
    for kind in towers.image.kinds:
        harmo, whole = (harmoclip.harmonize(model, dense=kind) for model in (part, given.model))
        torch.testing.assert_close(harmo.encode_regions(*boxes), whole.encode_regions(*boxes))
        torch.testing.assert_close(harmo.encode_dense(given.images), whole.encode_dense(given.images))


@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize("lexemes", ["spans", "phrases"])
def test_text_part(given, part, lexemes):
    expected = find_towers(given.model).encode_text(given.texts)
    torch.testing.assert_close(find_towers(part).encode_text(given.texts), expected)
    harmo, whole = (harmoclip.harmonize(model, lexemes=lexemes) for model in (part, given.model))
    phrases = given.texts, zoo.two_regions()
    torch.testing.assert_close(harmo.encode_phrases(*phrases), whole.encode_phrases(*phrases))


@pytest.mark.parametrize("name", small.PARTS)
def test_outputs_and_gradients_of_a_part_stay_bit_identical(given, part, name):
    def run():
        towers = find_towers(part)
        vectors = towers.encode_image(given.images) if name in IMAGE else towers.encode_text(given.texts)
        vectors.square().sum().backward()
        grads = [p.grad for p in part.parameters() if p.grad is not None]
        part.zero_grad()
        return vectors, *grads

    before = run()
    with harmoclip.harmonize(part) as harmo:
        asleep = run()
        with harmo.capture():
            awake = run()
    for other in (asleep, awake, run()):
        assert len(other) == len(before)
        assert all(torch.equal(a, b) for a, b in zip(before, other, strict=True))


@pytest.mark.parametrize("name", ["CLIPVisionModelWithProjection"])
def test_the_tower_that_a_part_lacks(given, part):
    with pytest.raises(CaptureError, match="one tower"):
        harmoclip.harmonize(part).encode_phrases(given.texts, zoo.two_regions())
