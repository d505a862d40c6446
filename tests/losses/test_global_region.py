import pytest
import torch

from harmoclip.errors import InputError
from harmoclip.grounding import Grounding
from harmoclip.losses import DistillationLoss, GlobalRegionLoss
from harmoclip.losses.global_region import GlobalRegionTerm, region_mean
from harmoclip.losses.terms import Step, Vectors
from harmoclip.tensors import l2_normalize
from tests.helpers import reference

INDEX = torch.tensor([0, 0, 2, 4, 2, 2])


@pytest.mark.parametrize("bias", [None, torch.tensor(-1.0, dtype=torch.float64)])
def test_it_is_the_loop_written_loss(bias):
    """Images 1 and 3 have no region and take no part."""
    regions = torch.randn(6, 8, dtype=torch.float64, requires_grad=True)
    target = torch.randn(5, 8, dtype=torch.float64, requires_grad=True)
    log_scale = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    inputs = (regions, target, log_scale)
    loss = GlobalRegionLoss()(regions, INDEX, target, log_scale, bias)
    expected = reference.global_region(regions, INDEX, target, log_scale, bias)
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        torch.autograd.grad(loss, inputs), torch.autograd.grad(expected, inputs), rtol=1e-9, atol=1e-9
    )


def test_no_region_is_a_connected_zero():
    regions, target = torch.randn(0, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    log_scale = torch.tensor(4.0, requires_grad=True)
    for bias in (None, torch.tensor(-10.0)):
        loss = GlobalRegionLoss()(regions, torch.empty(0, dtype=torch.int64), target, log_scale, bias)
        assert loss == 0
        grads = torch.autograd.grad(loss, (regions, target, log_scale))
        assert all(grad.eq(0).all() for grad in grads)


def test_region_mean_weighs_regions_alike():
    regions = torch.randn(6, 8)
    mean, count = region_mean(regions * torch.rand(6, 1), INDEX, 5)
    assert count.tolist() == [2, 0, 3, 0, 1]
    torch.testing.assert_close(mean[2], torch.nn.functional.normalize(regions[[2, 4, 5]], dim=1).mean(0))


def test_distillation_moves_only_the_student():
    vectors, target = (torch.randn(3, 8, requires_grad=True) for _ in range(2))
    loss = DistillationLoss()(vectors, target)
    expected = sum(1 - reference.cosine(v, t) for v, t in zip(vectors, target, strict=True)) / 3
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert target.grad is None
    assert vectors.grad.abs().sum() > 0
    assert DistillationLoss()(vectors[:0], target[:0]) == 0
    with pytest.raises(InputError, match="the same shape"):
        DistillationLoss()(vectors, target[:2])
    present = torch.tensor([True, False, True])
    torch.testing.assert_close(
        DistillationLoss()(vectors, target, present=present),
        DistillationLoss()(vectors[present], target[present]),
    )
    assert DistillationLoss()(vectors, target, present=present & False) == 0


def test_distillation_may_move_the_target_too():
    vectors, target = (torch.randn(3, 8, requires_grad=True) for _ in range(2))
    DistillationLoss()(vectors, target, learn_target=True).backward()
    assert target.grad.abs().sum() > 0


def test_regions_are_held_to_all_captions_of_their_image():
    """Image 0 has two further captions, image 2 one and no first one, image 4 none at all."""
    more = torch.tensor([[5, 6], [-1, -1], [7, -1], [8, 9], [-1, -1]])
    captioned = torch.tensor([True, True, False, True, False])
    regions, text = torch.randn(6, 8), torch.randn(5, 8)
    further, log_scale = torch.randn(5, 2, 8), torch.tensor(1.5)
    grounding = Grounding.empty().replace(
        boxes=torch.tensor([[0.0, 0, 1, 1]] * 6), image_index=INDEX, captioned=captioned, more_captions=more
    )
    vectors = Vectors(torch.randn(5, 8), text, further, regions=regions)
    term = GlobalRegionTerm(global_region="caption", local_loss=True)
    loss = term(Step(vectors, grounding, 5), log_scale, None)
    one, many = l2_normalize(text), l2_normalize(further)
    held_to = torch.stack([one[0] + many[0].sum(0), one[1], many[2, 0], one[3] + many[3].sum(0), text[4]])
    expected = GlobalRegionLoss()(
        regions, INDEX, held_to, log_scale, present=torch.tensor([True, True, True, True, False])
    )
    torch.testing.assert_close(loss, expected)
