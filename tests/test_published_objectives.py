"""Published objectives as options of `harmonize`, against loops written from their formulas."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import roi_align

import harmoclip
from harmoclip import Grounding, Options
from harmoclip.losses import Positives
from tests.helpers.tiny_clips import needs_parts_of_forward, random_boxes, random_texts, small_config

pytestmark = needs_parts_of_forward

PLAIN = Positives(same_box=0.0, same_image=0.0, overlap=None)  # only the linked phrase is right
CLIPSELF = Options(
    dense="value", normalize_dense=True, global_region="crops", teacher=True,
    weights={"global_contrastive": 0, "lexeme_region": 0, "global_region": 1, "teacher": 0},
)  # fmt: skip
FINECLIP = Options(
    dense="value", normalize_dense=True, global_region="live_crops", positives=PLAIN,
    weights={"global_contrastive": 1, "lexeme_region": 1, "global_region": 1},
)  # fmt: skip
FG_CLIP = Options(
    dense="value", positives=PLAIN, row_negatives=False, temperatures="separate",
    several_captions="separate",
    weights={"global_contrastive": 1, "lexeme_region": 0.1, "global_region": 0, "hard_negative": 0.5},
)  # fmt: skip


@pytest.fixture
def world():
    """Three images; each of five boxes has a description of its own and two that are wrong."""
    from open_clip.model import CLIP

    torch.manual_seed(5)
    model = CLIP(**small_config()).double()
    with torch.no_grad():
        model.logit_scale.fill_(1.4)
    count, own = 5, torch.arange(15)
    texts = random_texts(3 + 15 + 3)  # captions; right and wrong descriptions; short captions
    grounding = Grounding(
        boxes=random_boxes(count), image_index=torch.tensor([0, 0, 1, 2, 2]),
        spans=torch.tensor([[1, 10]]).repeat(15, 1), text_index=3 + own,
        links=torch.stack([own[:5], own[:5]], 1), phrase_id=own,
        negatives=torch.stack([own[:10] % 5, 5 + own[:10]], 1),
        more_captions=torch.tensor([[18], [19], [20]]),
    )  # fmt: skip
    return model, torch.randn(3, 3, 32, 32).double(), texts, grounding


def patches(model, images):
    """Every patch in the joint space: the last block without attention, norm, projection."""
    visual = model.visual
    x = visual._embeds(images)
    for block in visual.transformer.resblocks[:-1]:
        x = block(x)
    alone = torch.full((x.shape[1],) * 2, float("-inf"), dtype=x.dtype).fill_diagonal_(0)
    x = visual.ln_post(visual.transformer.resblocks[-1](x, attn_mask=alone))[:, 1:] @ visual.proj
    return x.unflatten(1, (4, 4)).permute(0, 3, 1, 2)


def rois(grounding, side):
    return torch.cat([grounding.image_index[:, None], grounding.boxes * side], 1).double()


def pooled(dense, grounding):
    return roi_align(dense, rois(grounding, 4), 1, aligned=True)[:, :, 0, 0]


def crops(images, grounding):
    return roi_align(images, rois(grounding, 32), 32, aligned=True)


def distance(one, other):
    return torch.stack([1 - F.cosine_similarity(a, b, dim=0) for a, b in zip(one, other, strict=True)]).mean()


def contrast(rows, columns, scale):
    """InfoNCE both ways, row by row."""
    total = 0
    for i in range(len(rows)):
        forth = torch.stack([scale * F.cosine_similarity(rows[i], c, dim=0) for c in columns])
        back = torch.stack([scale * F.cosine_similarity(r, columns[i], dim=0) for r in rows])
        total = total + forth.logsumexp(0) + back.logsumexp(0) - forth[i] - back[i]
    return total / (2 * len(rows))


def assert_same(harmo, inputs, expected):
    model = harmo.model
    parameters = [p for p in model.parameters() if p.requires_grad]
    loss = harmo(*inputs)["loss"]
    torch.testing.assert_close(loss, expected, rtol=1e-8, atol=1e-8)
    found, wanted = (torch.autograd.grad(x, parameters, allow_unused=True) for x in (loss, expected))
    zeros = [torch.zeros_like(p) for p in parameters]
    found, wanted = (
        [z if g is None else g for g, z in zip(grads, zeros, strict=True)] for grads in (found, wanted)
    )
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8)


def test_clipself(world):
    """Mean of 1 - cos(region, the frozen start's vector of the crop), patches normalized before pooling."""
    model, images, texts, grounding = world
    teacher = copy.deepcopy(model)
    harmo = harmoclip.harmonize(model, CLIPSELF)
    with torch.no_grad():
        model.visual.proj.add_(0.1 * torch.randn_like(model.visual.proj))
        crop = teacher.encode_image(crops(images, grounding))
    regions = pooled(F.normalize(patches(model, images), dim=1), grounding)
    assert_same(harmo, (images, texts, grounding), distance(regions, crop))


def test_fineclip(world):
    """Captions + descriptions of boxes + crops of the live model with gradient, in a plain sum."""
    model, images, texts, grounding = world
    grounding = grounding.replace(more_captions=None, negatives=None)
    texts = texts[:18]
    harmo = harmoclip.harmonize(model, FINECLIP)
    scale = model.logit_scale.exp()
    regions = pooled(F.normalize(patches(model, images), dim=1), grounding)
    expected = (
        contrast(model.encode_image(images), model.encode_text(texts[:3]), scale)
        + contrast(regions, model.encode_text(texts[3:8]), scale)
        + distance(regions, model.encode_image(crops(images, grounding)))
    )
    assert_same(harmo, (images, texts, grounding), expected)


def test_fg_clip(world):
    """Long captions + short ones + 0.1 descriptions + 0.5 each against its own wrong ones (v1, stage 2)."""
    model, images, texts, grounding = world
    harmo = harmoclip.harmonize(model, FG_CLIP)
    scale, image = model.logit_scale.exp(), model.encode_image(images)
    regions, described = pooled(patches(model, images), grounding), model.encode_text(texts[3:18])
    of_regions, hard = (
        harmo.objective.logit_scales[name].exp() for name in ("lexeme_region", "hard_negative")
    )
    wrong = 0
    for r in range(5):
        candidates = described[[r, 5 + r, 10 + r]]
        logits = torch.stack([hard[0] * F.cosine_similarity(regions[r], c, dim=0) for c in candidates])
        wrong = wrong + logits.logsumexp(0) - logits[0]
    expected = (
        contrast(image, model.encode_text(texts[:3]), scale)
        + contrast(image, model.encode_text(texts[18:]), scale)
        + 0.1 * contrast(regions, described[:5], of_regions[0])
        + 0.5 * wrong / 5
    )
    assert_same(harmo, (images, texts, grounding), expected)
