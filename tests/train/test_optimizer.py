from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from harmoclip.errors import InputError
from harmoclip.harmonized import harmonize
from harmoclip.train.config import OptimizerConfig
from harmoclip.train.optimizer import parameter_groups, rate, set_rates
from tests.helpers.tiny_clips import small_config


def groups_by_name(model, **options):
    names = {id(p): name for name, p in model.named_parameters()}
    groups = parameter_groups(harmonize(model), replace(OptimizerConfig(), **options))
    return groups, {names[id(p)]: group for group in groups for p in group["params"]}


def text_blocks(model):
    names = {module: name for name, module in model.named_modules()}
    return [f"{names[block]}." for block in harmonize(model).towers.text.blocks]


BLOCK = "visual.transformer.resblocks."


def test_every_parameter_once_and_matrices_alone_decay(clip):
    groups, by_name = groups_by_name(clip)
    assert sum(len(g["params"]) for g in groups) == len(list(clip.parameters())) == len(by_name)
    assert all((g["weight_decay"] > 0) == (p.ndim >= 2) for g in groups for p in g["params"])


def test_layer_decay_counts_blocks_from_the_top(clip):
    _, by_name = groups_by_name(clip, layer_decay=0.5)
    factor = {name: group["factor"] for name, group in by_name.items()}
    assert [factor[f"{BLOCK}{i}.ln_1.weight"] for i in range(3)] == [1 / 8, 1 / 4, 1 / 2]
    assert factor["visual.conv1.weight"] == factor["visual.positional_embedding"] == 1 / 16
    assert factor["visual.ln_post.weight"] == factor["visual.proj"] == factor["logit_scale"] == 1
    lowest = text_blocks(clip)[0]
    assert {factor[name] for name in factor if name.startswith(lowest)} == {1 / 8}
    assert next(v for k, v in factor.items() if "token_embedding" in k) == 1 / 16


def test_locked_blocks_do_not_learn_and_take_no_gradient(clip):
    _, by_name = groups_by_name(clip, image_blocks=1, text_blocks=0)
    assert not any(name.startswith(tuple(text_blocks(clip))) for name in by_name)
    trained = {name for name, p in clip.named_parameters() if p.requires_grad}
    assert trained == set(by_name)
    assert f"{BLOCK}2.ln_1.weight" in trained
    assert f"{BLOCK}1.ln_1.weight" not in trained
    assert {"visual.proj", "logit_scale"} <= trained
    assert "visual.conv1.weight" not in trained


def test_all_blocks_means_the_whole_tower(clip):
    _, by_name = groups_by_name(clip, image_blocks=3)
    assert "visual.conv1.weight" in by_name


def test_locked_blocks_join_in_at_their_step(clip):
    groups, by_name = groups_by_name(clip, image_blocks=1, unlock_at=10)
    optimizer = torch.optim.AdamW(groups, lr=1.0)
    early = clip.get_parameter("visual.conv1.weight")
    late = clip.get_parameter("visual.proj")
    for step, moves in ((9, False), (10, True)):
        before, top = early.detach().clone(), late.detach().clone()
        set_rates(optimizer.param_groups, 0.1, step)
        for parameter in clip.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        assert torch.equal(before, early) != moves
        assert not torch.equal(top, late)
    assert len(by_name) == len(list(clip.parameters()))


def test_impossible_locks_are_refused(clip):
    with pytest.raises(InputError, match=r"image_blocks is 7: the image tower has 3 blocks"):
        groups_by_name(clip, image_blocks=7)


def test_stages_are_one_row_of_blocks():
    from open_clip.model import CLIP

    _, by_name = groups_by_name(CLIP(**small_config(layers=[1, 2, 1, 1], width=8)), layer_decay=0.5)
    factor = {name: group["factor"] for name, group in by_name.items()}
    assert factor["visual.bn2.weight"] == 1 / 64
    assert factor["visual.layer1.0.conv1.weight"] == 1 / 32
    assert factor["visual.layer2.1.conv1.weight"] == 1 / 8
    assert factor["visual.attnpool.q_proj.weight"] == 1


def test_a_temperature_of_its_own_learns_at_the_full_rate_without_decay(clip):
    harmo = harmonize(clip, temperatures="separate")
    (group,) = [
        group
        for group in parameter_groups(harmo, replace(OptimizerConfig(), layer_decay=0.5, image_blocks=0))
        if any(p is harmo.objective.logit_scales["lexeme_region"] for p in group["params"])
    ]
    assert (group["factor"], group["start"], group["weight_decay"]) == (1, 0, 0)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_rises_linearly_then_never_again(schedule):
    rates = [rate(step, steps=50, warmup=10, schedule=schedule) for step in range(50)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert all(a >= b for a, b in pairwise(rates[9:]))
    assert rates[-1] > 0


def test_cosine_is_half_in_the_middle_and_linear_falls_evenly():
    assert rate(30, steps=50, warmup=10, schedule="cosine") == pytest.approx(0.5)
    assert rate(20, steps=50, warmup=10, schedule="linear") == pytest.approx(0.75)
    assert rate(49, steps=50, warmup=0, schedule="constant") == 1
