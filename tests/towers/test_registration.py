"""A CLIP of one's own, and the error for a model that nobody knows."""

import copy
import io
import runpy
from pathlib import Path

import pytest
import torch
from torch import nn

import harmoclip
from harmoclip import towers
from harmoclip.capture import ImageActivations
from harmoclip.errors import UnsupportedModelError
from harmoclip.inspect import zoo
from harmoclip.towers import CustomImageTower, find_towers, registry
from harmoclip.towers.custom import EXAMPLE

SCRIPT = Path(__file__).parents[2] / "examples" / "own_clip.py"
TEXTS = torch.tensor([[98, 5, 6, 7, 8, 9, 99] + [0] * 9, [98, 4, 5, 6, 7, 99] + [0] * 10])


@pytest.fixture
def families():
    """The library's own families, which the test may add to; what another test registered is left out."""
    own = [match for match in registry.FAMILIES if match.__module__.startswith("harmoclip.")]
    known = registry.FAMILIES.copy()
    registry.FAMILIES[:] = own
    yield
    registry.FAMILIES[:] = known


@pytest.fixture
def own(families):
    return runpy.run_path(str(SCRIPT))["MyClip"]().eval()


def test_the_example_is_the_script_and_short():
    script = SCRIPT.read_text(encoding="utf-8")
    body = EXAMPLE.partition("@register")[2]
    assert body in script
    assert len(EXAMPLE.splitlines()) <= 30


def test_the_example_alone_teaches_the_model(own):
    registry.FAMILIES.pop(0)
    with pytest.raises(UnsupportedModelError):
        find_towers(own)
    exec(EXAMPLE, {})
    assert isinstance(find_towers(own).image, CustomImageTower)


def test_a_registered_model_trains(own):
    harmo = harmoclip.harmonize(own)
    images = torch.randn(2, 3, 32, 32)
    harmo(images, TEXTS, zoo.two_regions())["loss"].backward()
    assert own.patches.weight.grad.abs().sum() > 0
    with harmo.capture() as captured:
        vectors = own.encode_image(images), own.encode_text(TEXTS)
    torch.testing.assert_close(harmo.towers.image.global_vectors(captured.image), vectors[0])
    torch.testing.assert_close(harmo.towers.text.global_vectors(captured.text), vectors[1])
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    found = harmo.encode_regions(images, [whole, whole])
    torch.testing.assert_close(found, nn.functional.normalize(vectors[0], dim=-1))


def test_a_known_block_gives_the_value_path():
    from open_clip.transformer import ResidualAttentionBlock

    first, last = ResidualAttentionBlock(32, 2), ResidualAttentionBlock(32, 2)
    tower = CustomImageTower(
        patches=nn.Conv2d(3, 32, 8, 8), blocks=[first, last], project=nn.Linear(32, 8), pool=torch.sum
    )
    assert tower.kinds == ("plain", "value", "self", "clear")
    assert tower.default_kind == "value"
    tokens = torch.randn(2, 5, 32)
    taken = ImageActivations(images=None, last=last(tokens), grid=(2, 2), penultimate=tokens)
    dense = tower.dense(taken, "value")
    assert dense.prefix == 1
    torch.testing.assert_close(dense.tokens, last(tokens.reshape(10, 1, 32)).reshape(2, 5, 32))


def test_the_newest_registration_is_asked_first(own):
    asked = []

    @towers.register
    def greedy(model):
        asked.append(model)

    find_towers(own)
    assert asked == [own]


def test_copies_and_pickles_of_every_kind_of_tower():
    from tests.helpers import small

    for name in ("coca_ViT-B-32", "ViT-B-16-SigLIP", "CLIPModel", "RN50", "convnext_base"):
        given = small.small(name)
        harmo = harmoclip.harmonize(given.model.eval())
        expected = harmo.encode_dense(given.images)
        file = io.BytesIO()
        torch.save(harmo, file)
        file.seek(0)
        for twin in (copy.deepcopy(harmo), torch.load(file, weights_only=False)):
            torch.testing.assert_close(twin.encode_dense(given.images), expected)


def test_the_error_for_an_unknown_model_says_what_to_do():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.visual = nn.Linear(2, 2)

        def encode_image(self, images):
            return images

        encode_text = encode_image

    with pytest.raises(UnsupportedModelError) as caught:
        harmoclip.harmonize(Odd())
    message = str(caught.value)
    for words in ("Odd", "open_clip, hugging_face", "Linear", "OpenClipViT", "TimmMap", "register", EXAMPLE):
        assert words in message
    with pytest.raises(UnsupportedModelError, match="open_clip needs visual, encode_image, encode_text"):
        harmoclip.harmonize(nn.Linear(2, 2))
