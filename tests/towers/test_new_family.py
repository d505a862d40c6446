"""The recipe for a new CLIP family, a registered image tower, and for a new dense kind, a line in `KINDS`."""

import pytest
import torch
from open_clip.transformer import ResidualAttentionBlock, TextTransformer
from torch import nn

import harmoclip
from harmoclip.capture import ImageTaps, TapPoint, first_input, spatial_shape
from harmoclip.inspect import zoo
from harmoclip.towers import Dense, register_image_tower, registry
from harmoclip.towers.attention import KINDS, Kind
from harmoclip.towers.base import parts, split_grid
from harmoclip.towers.transformer import TransformerTower


class Encoder(nn.Module):
    """A new library's image encoder: patches, a norm, blocks, the mean, a linear head."""

    def __init__(self, width=32):
        super().__init__()
        self.to_patches = nn.Conv2d(3, width, 8, 8)
        self.first_norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(ResidualAttentionBlock(width, 2) for _ in range(3))
        self.to_joint = nn.Linear(width, 24)

    def forward(self, images):
        tokens = self.first_norm(self.to_patches(images).flatten(2).transpose(1, 2))
        for layer in self.layers:
            tokens = layer(tokens)
        return self.to_joint(tokens.mean(1))


class NewClip(nn.Module):
    """A model with such an encoder."""

    def __init__(self):
        super().__init__()
        self.visual = Encoder()
        self.text = TextTransformer(16, 100, 32, 2, 2, output_dim=24)
        self.logit_scale = nn.Parameter(torch.tensor(2.0))

    def encode_image(self, images):
        return self.visual(images)

    def encode_text(self, ids):
        return self.text(ids)


class NewTower(TransformerTower):
    """Tokens of the new encoder."""

    def __init__(self, visual):
        super().__init__(visual.layers, visual.first_norm)
        self.visual, self.encoder = visual, (visual,)
        self.stem = (visual.to_patches, visual.first_norm)

    @classmethod
    def matches(cls, module):
        """Whether the module has the parts that this tower reads."""
        return parts(module, "to_patches", "first_norm", "layers", "to_joint")

    def taps(self, kind):
        """The modules to read."""
        return ImageTaps(
            images=TapPoint(self.visual.to_patches, first_input),
            grid=TapPoint(self.visual.to_patches, spatial_shape),
            last=TapPoint(self.last_block),
            penultimate=self.penultimate(kind),
            vectors=TapPoint(self.visual.to_joint),
        )

    def dense(self, taken, kind):
        """The last block's tokens."""
        tokens = self.last_tokens(taken, kind)
        return Dense(tokens, taken.grid, split_grid(tokens, taken.grid))

    def project(self, pooled):
        """The head."""
        return self.visual.to_joint(pooled)


@pytest.fixture
def registered():
    register_image_tower(NewTower)
    yield
    registry.IMAGE_TOWERS.remove(NewTower)


@pytest.mark.usefixtures("registered")
def test_a_new_image_tower_is_found_and_trains():
    model = NewClip()
    images, texts = torch.randn(2, 3, 32, 32), torch.randint(1, 90, (2, 16))
    harmo = harmoclip.harmonize(model)
    assert harmo.towers.image.kinds == ("plain", "value", "self", "clear")
    assert max(harmo.towers.image.depths().values()) == 4
    harmo(images, texts, zoo.two_regions())["loss"].backward()
    assert model.visual.to_patches.weight.grad.abs().sum() > 0
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    with harmoclip.harmonize(model, dense="plain") as plain:
        found = plain.encode_regions(images, [whole, whole])
    torch.testing.assert_close(found, nn.functional.normalize(model.encode_image(images), dim=-1))


@pytest.mark.usefixtures("registered")
def test_a_new_dense_kind(monkeypatch):
    """Every token is given the mean of all values."""

    def attend_to_all(attention, x):
        return attention.out(attention.values(x).mean(1, keepdim=True).expand_as(x), x)

    monkeypatch.setitem(KINDS, "mean", Kind(attend_to_all, tokens_mix=True))
    harmo = harmoclip.harmonize(NewClip().eval(), dense="mean")
    assert harmo.towers.image.kinds == ("plain", "value", "self", "clear", "mean")
    assert harmo.encode_dense(torch.randn(2, 3, 32, 32)).shape == (2, 4, 4, 24)
