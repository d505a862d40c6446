import pytest
import torch

from harmoclip.errors import InputError
from harmoclip.losses.weights import balance, checked_weights, gradient_norm, weight_at

KNOWN = ("global_contrastive", "lexeme_region")


@pytest.mark.parametrize(
    ("step", "weight"), [(0, 0.5), (10, 0.5), (15, 0.75), (20, 1.0), (30, 0.6), (99, 0.2)]
)
def test_schedules_are_straight_lines(step, weight):
    schedule = [(10, 0.5), (20, 1.0), (40, 0.2)]
    torch.testing.assert_close(weight_at(schedule, torch.tensor(step)), torch.tensor(weight))


def test_fixed_weights_stay():
    assert weight_at(0.5, torch.tensor(7)) == 0.5
    assert weight_at([(3, 0.5)], torch.tensor(7)) == 0.5


@pytest.mark.parametrize(
    "weight", [-1.0, float("nan"), float("inf"), [], [(0, 1.0), (0, 2.0)], [(5, 1.0), (2, 2.0)], [(0, -1.0)],
               "high", [1.0, 2.0], None],
)  # fmt: skip
def test_wrong_weights(weight):
    with pytest.raises(InputError, match="expected"):
        checked_weights({"lexeme_region": weight}, KNOWN)


def test_unknown_names():
    with pytest.raises(InputError, match="'global_contrastive', 'lexeme_region'"):
        checked_weights({"lexeme": 1.0}, KNOWN)


def test_gradient_norm_and_balance():
    x, y = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)
    norm = gradient_norm((x.square().sum() + 5 * y).sum(), (x, y))
    torch.testing.assert_close(norm, torch.tensor((4 + 16 + 25) ** 0.5))
    assert x.grad is None
    torch.testing.assert_close(balance(norm, torch.tensor(1.0)), 1 / norm)
    assert balance(norm, torch.tensor(100.0)) == 1
    assert balance(torch.tensor(0.0), torch.tensor(1.0)) == 1
