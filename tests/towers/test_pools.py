"""Every way in which open_clip's own transformers and timm's pool their tokens."""

import pytest
import timm
import torch
import torch.nn.functional as F
from open_clip.model import CLIP, CustomTextCLIP

import harmoclip
from harmoclip import Grounding
from harmoclip.errors import InputError
from harmoclip.inspect import zoo
from tests.helpers import small
from tests.helpers.passes import captured_of

WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2)
POOLS = ("argmax", "first", "last", "eos")


def built(family=CLIP, vision=None, text=None, size=(32, 32)):
    """A small open_clip model with other settings, disturbed."""
    config = small._shrink(small._config("ViT-B-32"))
    config["vision_cfg"].update(vision or {})
    config["text_cfg"].update(text or {})
    try:
        model = family(**config)
    except TypeError as error:
        pytest.skip(f"the installed open_clip is too old: {error}")
    return given(model, size)


def given(model, size):
    small._disturb(model)
    frame = small.CLIP_FRAME
    return small.Small(model.eval(), torch.randn(2, 3, *size), small.captions(frame), frame)


def check(given, whole):
    """Both towers' global vectors from what was captured are the model's; the whole image's too, or not."""
    harmo = harmoclip.harmonize(given.model, dense="plain", tokenizer=small.tokenizer(given.frame))
    captured, (image, text) = captured_of(harmo, given)
    towers = harmo.towers
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    found = towers.image.global_vectors(captured.image), towers.text.global_vectors(captured.text)
    torch.testing.assert_close(F.normalize(found[0], dim=-1), image, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(F.normalize(found[1], dim=-1), text, atol=1e-5, rtol=1e-4)
    regions = harmo.encode_regions(given.images, WHOLE, torch.tensor([0, 1]))
    assert torch.allclose(regions, image, atol=1e-5, rtol=1e-4) == whole
    assert harmo(given.images, given.texts, zoo.two_regions())["loss"].isfinite()
    return harmo


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("pool", "attentional"), [("tok", False), ("avg", False), ("tok", True)])
def test_open_clip_image_pools(pool, attentional, after):
    vision = {"pool_type": pool, "attentional_pool": attentional, "final_ln_after_pool": after}
    check(built(vision=vision), whole=pool == "avg" or attentional)


@pytest.mark.parametrize(
    "vision", [{"layers": 1}, {"pos_embed_type": "sin_cos_2d", "no_ln_pre": True}, {"image_size": [32, 64]}]
)
def test_open_clip_images_of_other_builds(vision):
    height, width = vision.get("image_size", (32, 32))
    clip = built(vision=vision, size=(height, width))
    harmo = check(clip, whole=False)
    assert harmo.encode_dense(clip.images).shape == (2, height // 8, width // 8, 48)
    assert harmo.towers.image.kinds == ("plain", "value", "self", "clear")


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("family", ["CLIP", "CustomTextCLIP", "class token"])
@pytest.mark.parametrize("pool", POOLS)
def test_open_clip_text_pools(pool, family, causal):
    """Also a phrase alone, which may be a shorter row than the model's own."""
    text = {"pool_type": pool, "no_causal_mask": not causal, "embed_cls": family == "class token"}
    if pool == "eos":
        text["eos_id"] = 99
    clip = built(CLIP if family == "CLIP" else CustomTextCLIP, text=text)
    harmo = check(clip, whole=False)
    phrase = {
        "spans": torch.tensor([[2, 5]]),
        "text_index": torch.tensor([0]),
        "phrase_id": torch.tensor([3]),
    }
    alone = harmo.towers.text.encode_phrases(clip.texts, Grounding.empty().replace(**phrase))
    row = torch.tensor([small.row(clip.frame, clip.texts[0, 2:5].tolist())])
    torch.testing.assert_close(
        F.normalize(alone, dim=-1), clip.model.encode_text(row, normalize=True), atol=1e-5, rtol=1e-4
    )


def test_text_without_a_pool_has_spans_and_no_vectors():
    clip = built(CustomTextCLIP, text={"pool_type": "none"})
    grounding = zoo.two_regions()
    harmo = harmoclip.harmonize(clip.model, lexemes="spans")
    assert harmo.encode_phrases(clip.texts, grounding).shape == (2, 48)
    assert harmo.encode_regions(clip.images, WHOLE, torch.tensor([0, 1])).shape == (2, 48)
    with harmo.capture() as captured:
        clip.model(clip.images, clip.texts)
    with pytest.raises(InputError, match="pool_type is 'none'"):
        harmo.region_loss(captured, grounding)
    with pytest.raises(InputError, match="pool_type is 'none'"):
        harmoclip.harmonize(clip.model, lexemes="phrases").encode_phrases(clip.texts, grounding)


@pytest.mark.parametrize(
    ("architecture", "options", "whole"),
    [
        ("vit_base_patch16_224", {"global_pool": "token"}, False),
        ("vit_base_patch16_224", {"global_pool": "avg", "reg_tokens": 3}, True),
        ("vit_base_patch16_224", {"global_pool": "map", "reg_tokens": 3}, True),
        ("vit_base_patch16_siglip_gap_224", {}, True),
        ("eva02_base_patch16_clip_224", {"global_pool": "avg"}, True),
        ("convnext_tiny", {"depths": (1, 1, 1, 1), "dims": (16, 24, 32, 48)}, True),
        ("resnet18", {}, True),
    ],
)
def test_bare_timm_pools(architecture, options, whole):
    size = {**small.VIT, "img_size": 64} if "patch16" in architecture else {}
    model = small.BareTimm()
    model.visual = timm.create_model(architecture, num_classes=48, **size, **options)
    check(given(model, (64, 64)), whole)


@pytest.mark.parametrize("projection", ["linear", "mlp"])
@pytest.mark.parametrize(
    ("architecture", "pool", "whole"),
    [
        ("vit_base_patch16_224", "token", False),
        ("vit_base_patch16_224", "avg", True),
        ("convnext_base", "", True),
    ],
)
def test_wrapped_timm_pools_and_projections(architecture, pool, whole, projection):
    config = small._shrink(small._config("convnext_base"))
    config["vision_cfg"].update(timm_model_name=architecture, timm_pool=pool, timm_proj=projection)
    check(given(small._open_clip(config), (64, 64)), whole)
