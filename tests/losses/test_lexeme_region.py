import math

import pytest
import torch
import torch.nn.functional as F

from harmoclip.errors import InputError
from harmoclip.losses import LexemeRegionLoss, Positives
from tests.helpers import reference
from tests.helpers.tiny_clips import random_boxes

LINKS = torch.tensor([[0, 0], [1, 1], [1, 2], [2, 3], [3, 4], [4, 5], [4, 0], [5, 6]])
PHRASE = torch.tensor([10, 11, 12, 10, 13, 11, 14])  # phrases 0 and 3, and 1 and 5, are equal
IMAGE = torch.tensor([0, 0, 0, 1, 1, 2])


def scene():
    boxes = random_boxes(6)
    boxes[2] = boxes[1] + 0.005  # nearly the same place in the same image
    boxes[5] = boxes[1]  # the same place in another image
    regions = torch.randn(6, 8, dtype=torch.float64, requires_grad=True)
    lexemes = torch.randn(7, 8, dtype=torch.float64, requires_grad=True)
    return regions, lexemes, boxes


@pytest.mark.parametrize("bias", [None, torch.tensor(-1.0, dtype=torch.float64)])
@pytest.mark.parametrize(
    "positives",
    [
        (0.0, 0.0, None),
        (1.0, 0.0, None),
        (0.25, 0.0, None),
        (0.0, 0.5, None),
        (0.0, 0.0, 0.8),
        (0.75, 0.25, 0.5),
        (0.0, 0.0, None, 0.1),
        (0.75, 0.25, 0.5, 0.1),
    ],
)
@pytest.mark.parametrize("distinct", [True, False])
def test_it_is_the_loop_written_loss(positives, bias, distinct):
    regions, lexemes, boxes = scene()
    log_scale = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    inputs = (regions, lexemes, log_scale)
    loss = LexemeRegionLoss(Positives(*positives), distinct_phrases=distinct)(
        regions, lexemes, LINKS, PHRASE, IMAGE, log_scale, bias, boxes=boxes
    )
    expected = reference.lexeme_region(
        regions, lexemes, LINKS, PHRASE, IMAGE, boxes, positives, log_scale, bias, distinct
    )
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        torch.autograd.grad(loss, inputs), torch.autograd.grad(expected, inputs), rtol=1e-9, atol=1e-9
    )


def weights(**rules):
    labels = torch.stack([PHRASE[LINKS[:, 1]], LINKS[:, 0], IMAGE[LINKS[:, 0]]], 1)
    boxes = scene()[2][LINKS[:, 0]]
    rules = {"same_box": 0.0, "same_image": 0.0, "overlap": None, **rules}
    return Positives(**rules).weights((labels, boxes), (labels, boxes))


def test_each_rule_marks_its_own_pairs():
    equal = weights() == 1
    assert equal[0].tolist() == [True, False, False, True, False, False, True, False]
    assert equal.diagonal().all()
    torch.testing.assert_close(weights(same_box=0.5)[1, 2], torch.tensor(0.5))
    assert (weights(same_box=0.5) == 0.5).sum() == 4  # pairs 1 and 2, pairs 5 and 6, both ways
    assert weights(same_image=0.25)[1].tolist() == [0.25, 1, 0, 0.25, 0, 1, 0, 0]  # pair 2 shares the box
    near = weights(overlap=0.5)
    assert near[1, 3] == 1
    assert near[1, 7] == 0  # another image
    assert near[1, 2] == 0  # the same box has its own rule


def test_synonyms_are_neither_right_nor_wrong():
    """Of four directions, less the mean's, the first two are nearly one, and the others are far from it."""
    regions = torch.randn(4, 8)
    phrases = torch.eye(4, 8) + 3 * torch.eye(8)[7]
    phrases[1] = phrases[0] + 0.01 * torch.randn(8)
    call = torch.arange(4)[:, None].expand(4, 2), torch.arange(4), torch.arange(4), torch.tensor(2.0)
    loss = LexemeRegionLoss(Positives(overlap=None, synonyms=0.6))(regions, phrases, *call)
    logits = math.exp(2.0) * F.normalize(regions, dim=1) @ F.normalize(phrases, dim=1).T
    logits[0, 1] = logits[1, 0] = -torch.inf
    both = F.cross_entropy(logits, torch.arange(4)), F.cross_entropy(logits.T, torch.arange(4))
    torch.testing.assert_close(loss, (both[0] + both[1]) / 2)


def test_what_phrases_share_makes_no_synonyms():
    """A text tower whose phrases are all alike, as an untrained one's, still tells them apart."""
    regions, phrases, boxes = torch.randn(4, 8), torch.randn(4, 8) + 100, random_boxes(4)
    call = torch.arange(4)[:, None].expand(4, 2), torch.arange(4), torch.arange(4), torch.tensor(2.0)
    plain, with_synonyms = (
        LexemeRegionLoss(Positives(synonyms=cosine))(regions, phrases, *call, boxes=boxes)
        for cosine in (None, 0.95)
    )
    torch.testing.assert_close(with_synonyms, plain, rtol=0, atol=0)


def test_equal_phrases_do_not_push_each_other_away():
    lexemes = torch.randn(2, 8)
    lexemes[1] = lexemes[0]
    regions = lexemes.clone().requires_grad_()
    call = torch.tensor([[0, 0], [1, 1]]), torch.tensor([3, 3]), torch.tensor([0, 1]), torch.tensor(3.0)
    LexemeRegionLoss(Positives(overlap=None))(regions, lexemes, *call).backward()
    torch.testing.assert_close(regions.grad, torch.zeros(2, 8), rtol=0, atol=1e-6)


def test_a_region_chooses_among_distinct_phrases():
    """Ten links of one phrase weigh as much in the choice of another region as one link does."""
    regions, phrases = torch.randn(12, 8), torch.randn(3, 8)
    phrase = torch.tensor([0] * 10 + [1, 2])
    loss = LexemeRegionLoss(Positives(same_box=0.0, overlap=None))(
        regions, phrases, torch.stack([torch.arange(12), phrase], 1), torch.arange(3), torch.arange(12),
        torch.tensor(2.0),
    )  # fmt: skip
    logits = math.exp(2.0) * F.normalize(regions, dim=1) @ F.normalize(phrases, dim=1).T
    choices = F.cross_entropy(logits, phrase)
    back = [row.logsumexp(0) - row[phrase == k].mean() for k, row in enumerate(logits.T)]
    torch.testing.assert_close(loss, (choices + torch.stack([back[k] for k in phrase]).mean()) / 2)


def test_forms_are_averaged():
    regions, lexemes, boxes = scene()
    loss, log_scale = LexemeRegionLoss(), torch.tensor(1.0)
    other = torch.randn_like(lexemes)
    rest = (LINKS, PHRASE, IMAGE, log_scale)
    both = loss(regions, torch.stack([lexemes, other]), *rest, boxes=boxes)
    one, two = (loss(regions, form, *rest, boxes=boxes) for form in (lexemes, other))
    torch.testing.assert_close(both, (one + two) / 2)


@pytest.mark.parametrize("bias", [None, torch.tensor(-1.0)])
def test_no_link_is_a_connected_zero(bias):
    regions, lexemes = torch.randn(2, 4, requires_grad=True), torch.randn(0, 4, requires_grad=True)
    log_scale = torch.tensor(1.0, requires_grad=True)
    none = torch.empty(0, dtype=torch.int64)
    loss = LexemeRegionLoss()(
        regions, lexemes, none.view(0, 2), none, torch.tensor([0, 1]), log_scale, bias, boxes=random_boxes(2)
    )
    assert loss == 0
    grads = torch.autograd.grad(loss, (regions, lexemes, log_scale))
    assert all(grad.eq(0).all() for grad in grads)


@pytest.mark.parametrize(
    "rules",
    [
        {"same_box": 1.5},
        {"same_image": -0.1},
        {"overlap": 0.0},
        {"overlap": float("nan")},
        {"synonyms": 0.0},
        {"synonyms": 1.1},
        {"synonyms": True},
        {"same_box": "1"},
        {"overlap": "0.7"},
    ],
)
def test_wrong_rules(rules):
    with pytest.raises(InputError, match="expected"):
        LexemeRegionLoss(Positives(**rules))


def test_missing_boxes():
    regions, lexemes, _ = scene()
    with pytest.raises(InputError, match="boxes were not given"):
        LexemeRegionLoss()(regions, lexemes, LINKS, PHRASE, IMAGE, torch.tensor(1.0))
