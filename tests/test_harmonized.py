import copy
import io

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

import harmoclip
from harmoclip import Grounding
from harmoclip.errors import CaptureError, GroundingError, InputError, UnsupportedModelError
from tests.helpers.tiny_clips import needs_parts_of_forward, random_boxes, random_texts, small_config

NAMES = {"loss", "global_contrastive_loss", "lexeme_region_loss", "global_region_loss"}


def hooks(model):
    return [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]


def outputs(model, images, texts):
    values = [model.encode_image(images), model.encode_text(texts), *model(images, texts)[:3]]
    values[0].square().sum().add(values[1].square().sum()).backward()
    grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    return [v.detach() for v in values] + grads


def same_bits(a, b):
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_attaching_changes_nothing(clip, batch):
    images, texts, grounding = batch
    keys, hooks_before = list(clip.state_dict()), hooks(clip)
    before = outputs(clip, images, texts)
    harmo = harmoclip.harmonize(clip)
    assert harmo.model is clip
    assert same_bits(before, outputs(clip, images, texts))
    with harmo.capture():
        assert same_bits(before, outputs(clip, images, texts))
    harmo(images, texts, grounding)["loss"].backward()
    clip.zero_grad()
    assert list(clip.state_dict()) == keys
    harmo.remove()
    harmo.remove()
    assert hooks(clip) == hooks_before
    assert same_bits(before, outputs(clip, images, texts))


@pytest.mark.parametrize("lexemes", ["spans", "phrases", "both"])
@pytest.mark.parametrize("dense", ["plain", "value"])
@pytest.mark.parametrize("global_region", ["caption", "image", "crops"])
def test_objective_reaches_both_towers(clip, batch, lexemes, dense, global_region):
    harmo = harmoclip.harmonize(clip, dense=dense, lexemes=lexemes, global_region=global_region)
    losses = harmo(*batch)
    assert set(losses) == NAMES
    weighted = sum(losses[f"{name}_loss"] * w for name, w in harmo.weights.items())
    torch.testing.assert_close(losses["loss"], weighted)
    (losses["lexeme_region_loss"] + losses["global_region_loss"]).backward()
    for tower in (clip.visual.transformer, getattr(clip, "text", clip).transformer):
        assert tower.resblocks[0].mlp.c_fc.weight.grad.abs().sum() > 0


def test_one_pass_of_each_tower(clip, batch):
    calls = []
    harmo = harmoclip.harmonize(clip, lexemes="spans")
    for module in (clip.visual.conv1, getattr(clip, "text", clip).token_embedding):
        module.register_forward_hook(lambda m, a, o: calls.append(type(m).__name__))
    harmo(*batch)
    assert calls == ["Conv2d", "Embedding"]


def test_own_loop_gives_the_same_region_loss(clip, batch):
    images, texts, grounding = batch
    harmo = harmoclip.harmonize(clip)
    with harmo.capture() as captured:
        clip(images, texts)
    losses = harmo(images, texts, grounding)
    expected = losses["loss"] - losses["global_contrastive_loss"]
    torch.testing.assert_close(harmo.region_loss(captured, grounding), expected)


@needs_parts_of_forward
def test_forward_intermediates_is_captured(clip, batch):
    images, texts, grounding = batch
    harmo = harmoclip.harmonize(clip)
    with harmo.capture() as captured:
        clip.forward_intermediates(images, texts)
    losses = harmo(images, texts, grounding)
    expected = losses["loss"] - losses["global_contrastive_loss"]
    torch.testing.assert_close(harmo.region_loss(captured, grounding), expected)


def test_global_vectors_are_the_models_own(clip, batch):
    images, texts, _ = batch
    harmo = harmoclip.harmonize(clip)
    with harmo.capture() as captured:
        vectors = clip.encode_image(images), clip.encode_text(texts)
    torch.testing.assert_close(harmo.towers.image.global_vectors(captured.image), vectors[0])
    torch.testing.assert_close(harmo.towers.text.global_vectors(captured.text), vectors[1])


@needs_parts_of_forward
def test_value_path_equals_attention_to_oneself(clip, batch):
    """The last block run with a mask that lets every token see itself alone."""
    images = batch[0]
    harmo = harmoclip.harmonize(clip, dense="value")
    visual = clip.visual
    x = visual._embeds(images)
    for block in visual.transformer.resblocks[:-1]:
        x = block(x)
    alone = torch.full((x.shape[1], x.shape[1]), float("-inf")).fill_diagonal_(0)
    x = visual.ln_post(visual.transformer.resblocks[-1](x, attn_mask=alone))[:, 1:] @ visual.proj
    torch.testing.assert_close(harmo.encode_dense(images), F.normalize(x, dim=-1).unflatten(1, (4, 4)))


@needs_parts_of_forward
def test_regions_pool_before_they_project(clip, batch):
    images = batch[0]
    harmo = harmoclip.harmonize(clip, dense="plain")
    cells = torch.tensor([[0.25, 0.5, 0.5, 0.75], [0.0, 0.0, 1.0, 1.0]])
    regions = harmo.encode_regions(images, [cells] + [torch.empty(0, 4)] * 3)
    _, tokens = clip.visual._pool(clip.visual.transformer(clip.visual._embeds(images)))
    grid = (tokens @ clip.visual.proj).unflatten(1, (4, 4))
    torch.testing.assert_close(regions[1], F.normalize(grid[0].mean((0, 1)), dim=-1))
    assert regions.shape == (2, 24)
    torch.testing.assert_close(regions.norm(dim=1), torch.ones(2))


def test_phrases_encoded_alone_equal_the_models_text(clip):
    texts = random_texts(2)
    grounding = Grounding.empty().replace(
        spans=torch.tensor([[2, 5], [1, 4]]), text_index=torch.tensor([0, 1]), phrase_id=torch.tensor([1, 2])
    )
    harmo = harmoclip.harmonize(clip, lexemes="phrases")
    alone = torch.zeros(2, 16, dtype=torch.int64)
    for row, (text, (start, end)) in enumerate(zip(texts, grounding.spans.tolist(), strict=True)):
        alone[row, : end - start + 2] = torch.cat([texts[0, :1], text[start:end], texts[0, 10:11]])
    expected = F.normalize(clip.encode_text(alone), dim=-1)
    torch.testing.assert_close(harmo.encode_phrases(texts, grounding), expected)


def test_equal_phrases_are_encoded_once(clip, batch):
    harmo = harmoclip.harmonize(clip, lexemes="phrases")
    _, texts, grounding = batch
    vectors = harmo.encode_phrases(texts, grounding)
    torch.testing.assert_close(vectors[1], vectors[3], rtol=0, atol=0)


def test_spans_are_read_in_context(clip, batch):
    _, texts, grounding = batch
    harmo = harmoclip.harmonize(clip, lexemes="spans")
    holder = getattr(clip, "text", clip)
    with harmo.capture() as captured:
        clip.encode_text(texts)
    tokens = holder.ln_final(captured.text.last)
    expected = tokens[1, 2:6].mean(0) @ holder.text_projection
    torch.testing.assert_close(harmo.encode_phrases(texts, grounding)[1], F.normalize(expected, dim=-1))


def test_empty_grounding_is_a_connected_zero(clip, batch):
    images, texts, _ = batch
    losses = harmoclip.harmonize(clip)(images, texts, Grounding.empty())
    assert losses["lexeme_region_loss"] == 0
    assert losses["global_region_loss"] == 0
    assert losses["lexeme_region_loss"].requires_grad
    losses["loss"].backward()


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing(clip, batch, reentrant, monkeypatch):
    harmo = harmoclip.harmonize(clip)
    harmo(*batch)["loss"].backward()
    expected = [p.grad.clone() for p in clip.parameters()]
    clip.zero_grad()
    clip.set_grad_checkpointing(True)
    monkeypatch.setattr(
        "open_clip.transformer.checkpoint",
        lambda f, *args, use_reentrant=None: checkpoint(f, *args, use_reentrant=reentrant),
    )
    harmo(*batch)["loss"].backward()
    for parameter, grad in zip(clip.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, grad)


def test_copies_and_pickles_work_on_their_own(clip, batch):
    harmo = harmoclip.harmonize(clip)
    expected = harmo(*batch)["loss"]
    twin = copy.deepcopy(harmo)
    file = io.BytesIO()
    torch.save(harmo, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    with torch.no_grad():
        clip.visual.proj.zero_()
    for copied in (twin, loaded):
        torch.testing.assert_close(copied(*batch)["loss"], expected)
        copied.remove()
        assert sum(hooks(copied.model)) == 0
    assert sum(hooks(clip)) > 0


def test_sigmoid_model_takes_the_sigmoid_loss(batch):
    from open_clip.model import CLIP

    model = CLIP(**small_config(), init_logit_bias=-10, init_logit_scale=2.0)
    images, texts, grounding = batch
    losses = harmoclip.harmonize(model)(images, texts, grounding)
    image, text = model.encode_image(images, normalize=True), model.encode_text(texts, normalize=True)
    sign = 2 * torch.eye(4) - 1
    expected = -F.logsigmoid(sign * (model.logit_scale.exp() * image @ text.T + model.logit_bias)).sum() / 4
    torch.testing.assert_close(losses["global_contrastive_loss"], expected)


def test_weight_zero_is_not_computed(clip, batch):
    losses = harmoclip.harmonize(clip, weights={"lexeme_region": 2, "global_region": 0})(*batch)
    assert "global_region_loss" not in losses
    torch.testing.assert_close(
        losses["loss"], losses["global_contrastive_loss"] + 2 * losses["lexeme_region_loss"]
    )


def test_repr_names_the_taps(clip):
    harmo = harmoclip.harmonize(clip)
    assert "visual.transformer.resblocks.2" in repr(harmo)
    assert "attached=True" in repr(harmo)
    harmo.remove()
    assert "attached=False" in repr(harmo)


# -------------------------------------------------------------------- mistakes


def test_wrong_model():
    with pytest.raises(UnsupportedModelError, match="Linear"):
        harmoclip.harmonize(torch.nn.Linear(2, 2))
    with pytest.raises(InputError, match="returns the model first"):
        harmoclip.harmonize((torch.nn.Linear(2, 2), None, None))


@pytest.mark.parametrize(
    "options",
    [{"dense": "vlaue"}, {"lexemes": "words"}, {"global_region": "x"}, {"weights": {"lexeme": 1.0}},
     {"weights": {"lexeme_region": float("nan")}}, {"weights": {"lexeme_region": -1.0}},
     {"weights": [1.0, 1.0]}, {"balance": "yes"}, {"positives": {"overlap": None}}, {"positives": 0.5}],
)  # fmt: skip
def test_unknown_options(clip, options):
    with pytest.raises(InputError, match="expected"):
        harmoclip.harmonize(clip, **options)
    assert sum(hooks(clip)) == 0


def test_wrong_batches(clip, batch):
    images, texts, grounding = batch
    harmo = harmoclip.harmonize(clip)
    with pytest.raises(InputError, match="4 images and 3 captions"):
        harmo(images, texts[:3], grounding)
    with pytest.raises(GroundingError, match="image_index reaches 3"):
        harmo(images[:3], texts[:3], grounding)
    with pytest.raises(GroundingError, match="spans reaches 9"):
        harmo(images, texts[:, :8], grounding)
    with pytest.raises(InputError, match="Tokenize"):
        harmo(images, ["a dog"] * 4, grounding)
    with pytest.raises(InputError, match=r"harmoclip\.Grounding"):
        harmo(images, texts, {"boxes": grounding.boxes})


def test_wrong_boxes(clip, batch):
    harmo = harmoclip.harmonize(clip)
    with pytest.raises(InputError, match="4 images and 1 box"):
        harmo.encode_regions(batch[0], [random_boxes(2)])
    with pytest.raises(InputError, match="image_index"):
        harmo.encode_regions(batch[0], random_boxes(2))
    with pytest.raises(GroundingError, match=r"boxes\[1\]"):
        harmo.encode_regions(
            batch[0], torch.tensor([[0.1, 0.1, 0.2, 0.2], [0.5, 0.1, 0.2, 0.2]]), torch.zeros(2).long()
        )


def test_captures_that_cannot_be_used(clip, batch):
    images, texts, grounding = batch
    harmo = harmoclip.harmonize(clip)
    with harmo.capture() as captured:
        clip.encode_image(images)
    with pytest.raises(CaptureError, match="text tower did not run"):
        harmo.region_loss(captured, grounding)
    with harmo.capture() as captured:
        clip(images, texts)
        clip(images, texts)
    with pytest.raises(CaptureError, match="more than once"):
        harmo.region_loss(captured, grounding)
    harmo.remove()
    with pytest.raises(CaptureError, match="no longer harmonized"), harmo.capture():
        pass
