"""Every family: the model's outputs stay, and the towers' vectors are what their definitions say."""

import inspect

import pytest
import torch
import torch.nn.functional as F

import harmoclip
from harmoclip.inspect import zoo
from harmoclip.ops import region_weights
from harmoclip.towers import find_towers
from tests.helpers import small
from tests.helpers.passes import captured_of, encode

pytest_plugins = ["tests.helpers.every_family"]

WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2)
BOTH = torch.tensor([0, 1])


def gradients(model):
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    return grads


def same(one, other):
    return all(torch.equal(a, b) if a is not None else b is None for a, b in zip(one, other, strict=True))


def first_layer(given):
    """The parameters that see the image first."""
    model = given.model
    visual = getattr(model, "visual", getattr(model, "vision_model", None))
    return next(m for m in visual.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)).weight


def test_outputs_and_gradients_stay_bit_identical(given):
    def run():
        torch.manual_seed(1)
        vectors = encode(given)
        sum((v * v).sum() for v in vectors).backward()
        return [v.detach() for v in vectors], gradients(given.model)

    keys, buffers = list(given.model.state_dict()), [b.clone() for b in given.model.buffers()]

    def restored():
        for buffer, old in zip(given.model.buffers(), buffers, strict=True):
            buffer.copy_(old)  # batch norms count their batches
        return run()

    before = restored()
    harmo = harmoclip.harmonize(given.model)
    asleep = restored()
    with harmo.capture():
        awake = restored()
    harmo.remove()
    assert list(given.model.state_dict()) == keys
    for other in (asleep, awake, restored()):
        assert same(before[0], other[0])
        assert same(before[1], other[1])


def test_every_kind_is_finite_and_reaches_the_image_tower(given):
    for kind in find_towers(given.model).image.kinds:
        with harmoclip.harmonize(given.model, dense=kind) as harmo:
            captured, (vectors, _) = captured_of(harmo, given)
            regions = zoo.regions_of(harmo, captured, zoo.two_regions())
            dense = harmo.encode_dense(given.images)
            assert regions.shape == vectors.shape
            assert dense.shape[0] == 2
            assert dense.shape[-1] == vectors.shape[-1]
            assert regions.isfinite().all()
            assert dense.isfinite().all()
            (regions * torch.randn_like(regions)).sum().backward()
            assert first_layer(given).grad.abs().sum() > 0
            given.model.zero_grad()


def test_global_vectors_are_the_models_own(given):
    harmo = harmoclip.harmonize(given.model.eval())
    captured, (image, text) = captured_of(harmo, given)
    mine = harmo.towers.image.global_vectors(captured.image), harmo.towers.text.global_vectors(captured.text)
    normal = [F.normalize(v, dim=-1) for v in mine]  # CoCa normalises what it gives
    torch.testing.assert_close(normal[0], F.normalize(image, dim=-1))
    torch.testing.assert_close(normal[1], F.normalize(text, dim=-1))


CLASS_TOKEN = (
    "ViT-B-32", "ViT-B-16-quickgelu", "ViT-M-16-alt", "ViT-H-14-worldwide", "ViT-L-14-worldwide", "coca_base",
    "coca_roberta-ViT-B-32", "vit_relpos_medium_patch16_cls_224", "EVA01-g-14", "EVA02-B-16", "EVA02-E-14",
    "MobileCLIP-B", "roberta-ViT-B-32", "mt5-base-ViT-B-32", "xlm-roberta-base-ViT-B-32", "CLIPModel",
    "AltCLIPModel", "ChineseCLIPModel", "MetaClip2Model", "openai-ViT", "custom-blocks",
)  # fmt: skip
POOLED = tuple(name for name in small.ALL if name not in CLASS_TOKEN)


@pytest.mark.parametrize("name", CLASS_TOKEN)
def test_the_class_token_gives_the_global_vector(given):
    """The other families: one token before the cells is projected as a region is."""
    harmo = harmoclip.harmonize(given.model.eval(), dense="plain")
    captured, (image, _) = captured_of(harmo, given)
    dense = harmo.towers.image.dense(captured.image, "plain")
    assert dense.prefix == 1
    found = harmo.towers.image.project(dense.tokens[:, 0])
    torch.testing.assert_close(F.normalize(found, dim=-1), F.normalize(image, dim=-1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", POOLED)
def test_whole_image_gives_the_global_vector(given):
    """Wherever the global vector is a pool over the cells."""
    harmo = harmoclip.harmonize(given.model.eval(), dense="plain")
    captured, (image, _) = captured_of(harmo, given)
    tower = harmo.towers.image
    regions = tower.regions(tower.dense(captured.image, "plain"), "plain", WHOLE, BOTH)
    torch.testing.assert_close(F.normalize(regions, dim=-1), F.normalize(image, dim=-1), atol=1e-5, rtol=1e-4)
    half = torch.tensor([[0.0, 0.0, 0.5, 1.0]] * 2)
    other = tower.regions(tower.dense(captured.image, "plain"), "plain", half, BOTH)
    assert (F.normalize(other, dim=-1) - F.normalize(image, dim=-1)).abs().max() > 1e-3


@pytest.mark.parametrize(
    "name", [n for n in POOLED if "SigLIP" in n or "Siglip" in n or "PE" in n or "coca" in n]
)
def test_region_weights_are_an_attention_bias(given):
    """The head's own attention with log weights added, written out for one region."""
    harmo = harmoclip.harmonize(given.model.eval(), dense="plain")
    captured, _ = captured_of(harmo, given)
    tower, box = harmo.towers.image, torch.tensor([[0.1, 0.2, 0.8, 0.7]])
    dense = tower.dense(captured.image, "plain")
    tokens = (tower.normed_tokens if hasattr(tower, "normed_tokens") else tower.last_tokens)(
        captured.image, "plain"
    )[1:]
    key, value = tower.pool.keys_values(tokens)  # [1, N, heads, d]
    query = tower.pool.query()
    weights = region_weights(box, dense.grid).flatten()
    share = torch.cat([torch.ones(dense.prefix), weights * len(weights)])
    logits = (key[0] * query).sum(-1) / query.shape[-1] ** 0.5 + share.log()[:, None]
    mixed = (logits.softmax(0)[..., None] * value[0]).sum(0).flatten()
    x = tower.pool.out(mixed[None])
    expected = _after_pool(tower, x)
    torch.testing.assert_close(
        tower.regions(dense, "plain", box, torch.tensor([1])), expected, atol=1e-5, rtol=1e-4
    )


def _after_pool(tower, x):
    if hasattr(tower, "trunk"):
        return tower.timm.finish(tower.trunk.head(tower.trunk.fc_norm(x)))
    return x @ tower.visual.proj if hasattr(tower, "visual") else x


def test_value_path_is_the_block_on_each_token_alone(given, monkeypatch):
    """A sequence of one token attends to itself alone: the definition, at the cost of B * N sequences."""
    tower = find_towers(given.model.eval()).image
    if "value" not in tower.kinds:
        pytest.skip("the tower has no transformer block")
    block = tower.block.module
    x = torch.randn(2, 5, width(tower.block))
    if getattr(getattr(block, "attn", None), "rel_pos", None) is not None:
        monkeypatch.setattr(block.attn.rel_pos, "get_bias", lambda: torch.zeros(1, 1, 1, 1))
    alone = x.reshape(1, 10, -1) if tower.sequence_first else x.reshape(10, 1, -1)
    out = block(alone, **without_masks(block))
    out = out[0] if isinstance(out, tuple) else out
    torch.testing.assert_close(tower.block.run(x, "value"), out.reshape(x.shape), atol=1e-5, rtol=1e-4)


def test_self_attention_adds_what_queries_and_keys_give(given):
    """`softmax(q q') v + softmax(k k') v`, written out over the heads."""
    tower = find_towers(given.model.eval()).image
    if "self" not in tower.kinds:
        pytest.skip("the tower does not give `self`")
    block, x = tower.block, torch.randn(2, 5, width(tower.block))
    normed = getattr(block.module, block.norms[0])(x)
    value = block.attention.heads(block.attention.values(normed))
    mixed = torch.zeros_like(value)
    for side in block.attention.queries_and_keys(normed):
        for head in range(side.shape[1]):
            logits = side[:, head] @ side[:, head].mT * side.shape[-1] ** -0.5
            mixed[:, head] += logits.softmax(-1) @ value[:, head]
    out = block.attention.out(mixed.transpose(1, 2).flatten(2), normed)
    torch.testing.assert_close(_attention_branch(block, x, "self"), out, atol=1e-5, rtol=1e-4)
    assert block.run(x, "self").sub(block.run(x, "value")).abs().max() > 1e-3


def test_clear_is_the_attention_of_queries_alone(given):
    """`softmax(q q') v` through the output projection; no residual connection, no MLP."""
    tower = find_towers(given.model.eval()).image
    if "clear" not in tower.kinds:
        pytest.skip("the tower does not give `clear`")
    block, x = tower.block, torch.randn(2, 5, width(tower.block))
    inside = x if block._norms_after else getattr(block.module, block.norms[0])(x)
    value = block.attention.heads(block.attention.values(inside)).double()
    query = block.attention.queries_and_keys(inside)[0].double()
    mixed = (query @ query.mT * query.shape[-1] ** -0.5).softmax(-1) @ value
    out = block.attention.out(mixed.transpose(1, 2).flatten(2).float(), inside)
    expected = getattr(block.module, block.norms[0])(out) if block._norms_after else block._scale(1, out)
    torch.testing.assert_close(block.run(x, "clear"), expected, atol=1e-5, rtol=1e-4)


def without_masks(block):
    """Nothing for the masks that Hugging Face layers ask for."""
    names = inspect.signature(block.forward).parameters
    return {name: None for name in ("attention_mask", "causal_attention_mask") if name in names}


def width(block):
    return getattr(block.module, block.norms[0]).weight.numel()


def _attention_branch(block, x, kind):
    """What the block's attention gives, read on its way to the scale that follows it."""
    with pytest.MonkeyPatch.context() as patch:
        seen = []
        patch.setattr(block, "_scale", lambda branch, y: seen.append(y) or y)
        block.run(x, kind)
    return seen[0]
