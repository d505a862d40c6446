import torch

from harmoclip.harmonized import harmonize
from harmoclip.train.model import ready_for_shards


def test_no_scalar_is_left_and_nothing_else_changes(clip, batch):
    harmo = harmonize(clip)
    before = {name: parameter for name, parameter in harmo.named_parameters() if parameter.ndim}
    loss = harmo(*batch)["loss"]
    clip.logit_scale.requires_grad_(False)
    ready_for_shards(harmo)
    after = dict(harmo.named_parameters())
    assert all(parameter.ndim for parameter in after.values())
    assert all(after[name] is parameter for name, parameter in before.items())
    assert not clip.logit_scale.requires_grad
    torch.testing.assert_close(harmo(*batch)["loss"], loss)


def test_the_blocks_of_both_towers_are_named(clip):
    harmo = harmonize(clip)
    ready_for_shards(harmo)
    assert harmo._no_split_modules == ["ResidualAttentionBlock"]
