"""Images of one photograph, images without a caption, further captions."""

import pytest
import torch

from harmoclip.errors import InputError
from harmoclip.losses import GlobalContrastiveLoss, GlobalRegionLoss, LexemeRegionLoss, Positives
from harmoclip.losses.contrastive import separate_softmax_losses, softmax_losses
from tests.helpers import reference
from tests.helpers.tiny_clips import random_boxes

BIAS = torch.tensor(-1.5, dtype=torch.float64)
SCALE = torch.tensor(1.2, dtype=torch.float64, requires_grad=True)
PHOTOGRAPH = torch.tensor([7, -3, 7, 7, 5, -3])


def vectors(*shape):
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def assert_same(loss, expected, inputs):
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)
    found, wanted = (torch.autograd.grad(x, inputs, retain_graph=True) for x in (loss, expected))
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("bias", [None, BIAS])
def test_captions_of_one_photograph_are_positives(bias):
    image, text = vectors(6, 8), vectors(6, 8)
    loss = GlobalContrastiveLoss()(image, text, SCALE, bias, image_id=PHOTOGRAPH)
    expected = reference.contrast_of_photographs(image, text, PHOTOGRAPH.tolist(), SCALE, bias)
    assert_same(loss, expected, (image, text, SCALE))


@pytest.mark.parametrize("bias", [None, BIAS])
@pytest.mark.parametrize("local_loss", [True, False])
@pytest.mark.parametrize("missing", [[], [(0, 1), (2, 0), (3, 0), (3, 1), (3, 2)]])
def test_several_captions_meet_in_one_contrast(bias, local_loss, missing):
    """Image 3 may have no caption at all."""
    image, text = vectors(6, 8), vectors(6, 3, 8)
    there = torch.ones(6, 3, dtype=torch.bool)
    for place in missing:
        there[place] = False
    loss = GlobalContrastiveLoss(local_loss=local_loss)
    found = loss(image, text, SCALE, bias, image_id=PHOTOGRAPH, captioned=there if missing else None)
    expected = reference.contrast_of_captions(image, text, PHOTOGRAPH.tolist(), there.tolist(), SCALE, bias)
    assert_same(found, expected, (image, text, SCALE))


@pytest.mark.parametrize("bias", [None, BIAS])
@pytest.mark.parametrize("captioned", [None, torch.tensor([True, False, True, True, False, True])])
def test_a_group_of_one_caption_is_one_caption(bias, captioned):
    image, text, loss = vectors(6, 8), vectors(6, 8), GlobalContrastiveLoss()
    assert_same(
        loss(image, text[:, None], SCALE, bias, captioned=None if captioned is None else captioned[:, None]),
        loss(image, text, SCALE, bias, captioned=captioned),
        (image, text, SCALE),
    )


def test_no_caption_at_all_costs_nothing_and_stays_connected():
    image, text = vectors(3, 8), vectors(3, 2, 8)
    loss = GlobalContrastiveLoss()(image, text, SCALE, captioned=torch.zeros(3, 2, dtype=torch.bool))
    assert loss == 0
    assert all(g.eq(0).all() for g in torch.autograd.grad(loss, (image, text, SCALE)))


@pytest.mark.parametrize("shape", [(6,), (5, 8), (6, 7), (5, 2, 8), (6, 2, 7), (6, 1, 2, 8)])
def test_texts_that_do_not_belong_to_images_are_an_error(shape):
    with pytest.raises(InputError, match="expected one text for each image, or "):
        GlobalContrastiveLoss()(torch.randn(6, 8), torch.randn(shape), torch.tensor(1.0))


def test_perfect_captions_of_one_photograph_cost_nothing():
    image = torch.eye(3)[[0, 0, 1]]
    loss = GlobalContrastiveLoss()
    assert loss(image, image, torch.tensor(4.6)) > 0.4  # as strangers, they push each other away
    torch.testing.assert_close(
        loss(image, image, torch.tensor(4.6), image_id=torch.tensor([5, 5, 9])), torch.tensor(0.0)
    )


@pytest.mark.parametrize("bias", [None, BIAS])
def test_photographs_of_their_own_change_nothing(bias):
    image, text, ids = vectors(5, 8), vectors(5, 8), torch.tensor([9, 4, 0, -2, 7])
    assert_same(
        GlobalContrastiveLoss()(image, text, SCALE, bias, image_id=ids),
        GlobalContrastiveLoss()(image, text, SCALE, bias),
        (image, text, SCALE),
    )


@pytest.mark.parametrize("bias", [None, BIAS])
def test_one_photograph_alone_has_no_negative(bias):
    image, text = vectors(3, 8), vectors(3, 8)
    loss = GlobalContrastiveLoss()(image, text, SCALE, bias, image_id=torch.tensor([4, 4, 4]))
    grads = torch.autograd.grad(loss, (image, text, SCALE))
    assert all(grad.isfinite().all() for grad in grads)
    assert bias is not None or loss == 0


def test_positives_do_not_compete():
    logits, weight = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    expected = (torch.tensor([3.0, 0]).logsumexp(0) - 3 + torch.tensor([1.0, 0]).logsumexp(0) - 1) / 2
    torch.testing.assert_close(separate_softmax_losses(logits, weight), expected[None])
    single = torch.tensor([[1.0, 0.0, 0.0]])
    torch.testing.assert_close(separate_softmax_losses(logits, single), softmax_losses(logits, single))


@pytest.mark.parametrize("bias", [None, BIAS])
@pytest.mark.parametrize("image_id", [None, PHOTOGRAPH])
def test_images_without_a_caption_are_left_out(bias, image_id):
    image, text = vectors(6, 8), vectors(6, 8)
    captioned = torch.tensor([True, True, False, True, True, False])
    loss = GlobalContrastiveLoss()(image, text, SCALE, bias, image_id=image_id, captioned=captioned)
    kept = None if image_id is None else image_id[captioned]
    expected = GlobalContrastiveLoss()(image[captioned], text[captioned], SCALE, bias, image_id=kept)
    assert_same(loss, expected, (image, text, SCALE))
    nothing = GlobalContrastiveLoss()(image, text, SCALE, bias, captioned=captioned & False)
    assert nothing == 0
    assert all(g.eq(0).all() for g in torch.autograd.grad(nothing, (image, text, SCALE)))


@pytest.mark.parametrize("bias", [None, BIAS])
def test_regions_of_one_photograph_are_positives_of_its_captions(bias):
    regions, target, index = vectors(7, 8), vectors(4, 8), torch.tensor([0, 0, 1, 2, 2, 3, 1])
    ids = torch.tensor([5, 6, 5, 7])
    loss = GlobalRegionLoss()(regions, index, target, SCALE, bias, image_id=ids)
    means = [torch.nn.functional.normalize(regions[index == i], dim=1).mean(0) for i in range(4)]
    expected = reference.contrast_of_photographs(means, target, ids.tolist(), SCALE, bias)
    assert_same(loss, expected, (regions, target, SCALE))
    present = torch.tensor([True, False, True, True])
    loss = GlobalRegionLoss()(regions, index, target, SCALE, bias, present=present)
    kept = [i for i in range(4) if present[i]]
    expected = reference.contrast([means[i] for i in kept], target[kept], torch.eye(3).tolist(), SCALE, bias)
    assert_same(loss, expected, (regions, target, SCALE))


def test_boxes_of_one_photograph_lie_in_one_image():
    boxes = random_boxes(4)
    boxes[2] = boxes[0]  # the same place, seen with another caption
    links, phrases = torch.tensor([[0, 0], [1, 1], [2, 2], [3, 3]]), torch.tensor([1, 2, 3, 4])
    regions, lexemes = vectors(4, 8), vectors(4, 8)
    loss = LexemeRegionLoss(Positives(same_image=0.5))
    twice = loss(
        regions, lexemes, links, phrases, torch.tensor([0, 0, 1, 2]), SCALE, boxes=boxes,
        image_id=torch.tensor([8, 8, 3]),
    )  # fmt: skip
    once = loss(regions, lexemes, links, phrases, torch.tensor([0, 0, 0, 1]), SCALE, boxes=boxes)
    assert_same(twice, once, (regions, lexemes, SCALE))
