from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from conftest import small_config

from harmoclip.errors import InputError
from harmoclip.harmonized import harmonize
from harmoclip.train.config import OptimizerConfig
from harmoclip.train.optimizer import blocks_of, parameter_groups, place_of, rate, set_rates


def groups_by_name(model, **options):
    names = {id(p): name for name, p in model.named_parameters()}
    groups = parameter_groups(harmonize(model), replace(OptimizerConfig(), **options))
    return groups, {names[id(p)]: group for group in groups for p in group["params"]}


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
    text = blocks_of(clip, "text")
    assert factor[f"{text[0]}.ln_1.weight"] == 1 / 8
    assert next(v for k, v in factor.items() if "token_embedding" in k) == 1 / 16


def test_locked_blocks_do_not_learn_and_take_no_gradient(clip):
    _, by_name = groups_by_name(clip, image_blocks=1, text_blocks=0)
    assert not any(name.startswith(tuple(blocks_of(clip, "text"))) for name in by_name)
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


@pytest.mark.parametrize(("tower", "name"), [("image", "visual.transformer.resblocks.2"), ("text", None)])
def test_blocks_are_found(clip, tower, name):
    found = blocks_of(clip, tower)
    assert len(found) == 3
    assert name is None or found[-1] == name


def test_named_layers_of_a_block_are_no_blocks():
    from open_clip.model import CLIP

    shallow = small_config(layers=1)
    shallow["text_cfg"]["layers"] = 1
    model = CLIP(**shallow)  # each MLP has three layers, more than the tower has blocks
    assert blocks_of(model, "image") == [f"{BLOCK}0"]
    assert blocks_of(model, "text") == ["transformer.resblocks.0"]


def test_stages_are_one_row_of_blocks():
    from open_clip.model import CLIP

    model = CLIP(**small_config(layers=[1, 2, 1, 1], width=8))
    blocks = {tower: blocks_of(model, tower) for tower in ("image", "text")}
    assert blocks["image"] == [f"visual.layer{name}" for name in ("1.0", "2.0", "2.1", "3.0", "4.0")]
    depth = {name: place_of(name, blocks).depth for name, _ in model.named_parameters()}
    assert depth["visual.bn2.weight"] == 0
    assert depth["visual.layer2.1.conv1.weight"] == 3
    assert depth["visual.attnpool.q_proj.weight"] == 6


def test_what_joins_two_stages_goes_with_the_upper_one():
    blocks = {"image": ["visual.s.0.b.0", "visual.s.0.b.1", "visual.s.1.b.0"], "text": []}
    assert place_of("visual.s.1.down.weight", blocks).depth == 3
    assert place_of("visual.head.weight", blocks).depth == 4
    assert place_of("visual.stem.0.weight", blocks).depth == 0


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
