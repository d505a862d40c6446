"""Phrases that are wrong for a region: in its row of the lexeme-region loss, and in a loss of their own."""

import pytest
import torch

from harmoclip.losses import HardNegativeLoss, LexemeRegionLoss, Positives, contrastive
from tests.helpers import reference

BIAS = torch.tensor(-1.5, dtype=torch.float64)
LINKS = torch.tensor([[0, 0], [1, 1], [1, 2], [2, 0], [3, 3]])
PHRASE = torch.tensor([10, 11, 12, 13, 20, 21, 22])
NEGATIVES = torch.tensor([[0, 4], [1, 5], [1, 6], [0, 5], [3, 1]])
IMAGE = torch.tensor([0, 0, 1, 2])


def world():
    torch.manual_seed(3)
    regions, phrases, scale = torch.randn(4, 8), torch.randn(7, 8), torch.tensor(1.3)
    return [x.double().requires_grad_() for x in (regions, phrases, scale)]


def lexeme_region(regions, phrases, scale, bias=None, negatives=NEGATIVES, **options):
    loss = LexemeRegionLoss(Positives(same_box=0.0, overlap=None), **options)
    return loss(regions, phrases, LINKS, PHRASE, IMAGE, scale, bias, negatives=negatives)


@pytest.mark.parametrize("bias", [None, BIAS])
@pytest.mark.parametrize("limit", [2**22, 6])
def test_they_join_the_rows_of_their_own_region(bias, limit, monkeypatch):
    monkeypatch.setattr(contrastive, "MAX_LOGITS", limit)
    inputs = world()
    expected = reference.lexeme_region_with_negatives(*inputs[:2], LINKS, PHRASE, NEGATIVES, inputs[2], bias)
    for local_loss in (True, False):
        loss = lexeme_region(*inputs, bias, local_loss=local_loss)
        torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(
            torch.autograd.grad(loss, inputs),
            torch.autograd.grad(expected, inputs, retain_graph=True),
            rtol=1e-9, atol=1e-9,
        )  # fmt: skip


def test_nobody_else_sees_them():
    regions, phrases, scale = world()
    loss = lexeme_region(regions, phrases, scale) - lexeme_region(regions, phrases, scale, negatives=None)
    (grad,) = torch.autograd.grad(loss, regions)
    assert grad[2].abs().max() < 1e-12  # the only region without a negative
    assert all(grad[row].abs().max() > 1e-6 for row in (0, 1, 3))


@pytest.mark.parametrize("bias", [None, BIAS])
def test_none_given_changes_nothing(bias):
    inputs = world()
    torch.testing.assert_close(
        lexeme_region(*inputs, bias, negatives=NEGATIVES[:0]),
        lexeme_region(*inputs, bias, negatives=None),
        rtol=0, atol=0,
    )  # fmt: skip


def test_hard_negatives_are_the_loop_written_loss():
    inputs = world()
    loss = HardNegativeLoss()(inputs[0], inputs[1], LINKS, NEGATIVES, inputs[2])
    expected = reference.hard_negative(inputs[0], inputs[1], LINKS, NEGATIVES, inputs[2])
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        torch.autograd.grad(loss, inputs), torch.autograd.grad(expected, inputs), rtol=1e-9, atol=1e-9
    )


def test_forms_of_phrases_are_averaged():
    regions, phrases, scale = world()
    other = torch.randn_like(phrases)
    both = HardNegativeLoss()(regions, torch.stack([phrases, other]), LINKS, NEGATIVES, scale)
    one, two = (HardNegativeLoss()(regions, form, LINKS, NEGATIVES, scale) for form in (phrases, other))
    torch.testing.assert_close(both, (one + two) / 2)


@pytest.mark.parametrize(("links", "negatives"), [(LINKS, NEGATIVES[:0]), (LINKS[:0], NEGATIVES[:0])])
def test_nothing_is_a_connected_zero(links, negatives):
    inputs = world()
    loss = HardNegativeLoss()(inputs[0], inputs[1], links, negatives, inputs[2])
    assert loss == 0
    assert all(grad.abs().max() < 1e-30 for grad in torch.autograd.grad(loss, inputs))


def test_low_precision_vectors_give_float32():
    regions, phrases, scale = (x.detach().bfloat16() for x in world())
    loss = HardNegativeLoss()(regions, phrases, LINKS, NEGATIVES, scale)
    assert loss.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        again = HardNegativeLoss()(regions, phrases, LINKS, NEGATIVES, scale)
    torch.testing.assert_close(again, loss, rtol=0, atol=0)
