import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from harmoclip.losses import GlobalContrastiveLoss, contrastive
from harmoclip.losses.contrastive import row_losses, same_label, sigmoid_losses, softmax_losses, temperature
from harmoclip.losses.positives import Positives
from tests.helpers import reference

BIAS = torch.tensor(-1.5, dtype=torch.float64)


def vectors(*shape):
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("bias", [None, BIAS])
def test_global_contrast_is_the_loop_written_one(bias):
    image, text, log_scale = vectors(5, 6), vectors(5, 6), torch.tensor(1.2, dtype=torch.float64)
    expected = reference.contrast(image, text, torch.eye(5).tolist(), log_scale, bias)
    torch.testing.assert_close(GlobalContrastiveLoss()(image, text, log_scale, bias), expected)


def test_global_contrast_is_clips_own():
    from open_clip.loss import ClipLoss

    image, text = F.normalize(torch.randn(7, 16), dim=1), F.normalize(torch.randn(7, 16), dim=1)
    log_scale = torch.tensor(3.0)
    torch.testing.assert_close(
        GlobalContrastiveLoss()(image, text, log_scale), ClipLoss()(image, text, log_scale.exp())
    )


def test_global_contrast_is_siglips_own():
    from open_clip.loss import SigLipLoss

    image, text = F.normalize(torch.randn(7, 16), dim=1), F.normalize(torch.randn(7, 16), dim=1)
    log_scale, bias = torch.tensor(2.0), torch.tensor(-10.0)
    torch.testing.assert_close(
        GlobalContrastiveLoss()(image, text, log_scale, bias),
        SigLipLoss()(image, text, log_scale.exp(), bias),
    )


def test_temperature_is_clamped_but_still_learns():
    log_scale = torch.tensor(6.0, requires_grad=True)
    value = temperature(log_scale)
    value.backward()
    torch.testing.assert_close(value, torch.tensor(100.0))
    torch.testing.assert_close(log_scale.grad, torch.tensor(100.0))
    assert temperature(torch.tensor(math.log(50), dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("losses", [softmax_losses, sigmoid_losses])
def test_row_losses_gradcheck(losses):
    share = torch.rand(3, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: losses(z, share), (vectors(3, 5),))


@pytest.mark.parametrize("bias", [None, BIAS])
@pytest.mark.parametrize("limit", [1, 40, 111])
def test_chunks_change_nothing(monkeypatch, bias, limit):
    """One row a chunk, uneven chunks, and nearly everything at once."""
    inputs = (vectors(13, 6), vectors(17, 6), vectors())
    labels = (torch.randint(5, (13,)),), (torch.randint(5, (17,)).clamp(max=4),)
    labels[1][0][:5] = torch.arange(5)
    absent = torch.arange(17) == 16
    weight = torch.randn(13, dtype=torch.float64)

    def run():
        losses = row_losses(inputs[0], inputs[1], *labels, same_label, inputs[2].exp(), bias, absent)
        return losses, torch.autograd.grad((losses * weight).sum(), inputs)

    direct = run()
    monkeypatch.setattr(contrastive, "MAX_LOGITS", limit)
    chunked = run()
    torch.testing.assert_close(chunked, direct, rtol=1e-12, atol=1e-12)


def test_chunks_keep_no_logits(monkeypatch):
    monkeypatch.setattr(contrastive, "MAX_LOGITS", 64 * 256)
    saved = []

    def note(tensor):
        saved.append(tensor.numel())
        return tensor

    rows = torch.randn(256, 8, requires_grad=True)
    label = (torch.arange(256),)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        row_losses(rows, rows, label, label, same_label, torch.tensor(1.0))
    assert not saved or max(saved) <= 256 * 8


def test_chunks_compile(monkeypatch):
    monkeypatch.setattr(contrastive, "MAX_LOGITS", 8)
    target = Positives(same_image=0.3, overlap=None, synonyms=0.5).weights
    meanings = F.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.5, 1.0]]), dim=1)
    label = torch.tensor([[7, 0, 0], [8, 0, 0], [7, 1, 1], [9, 2, 1]]), meanings
    rows = torch.randn(4, 8, requires_grad=True)

    def losses(rows):
        return row_losses(rows, rows, label, label, target, torch.tensor(3.0)).sum()

    compiled = torch.compile(losses, dynamic=True, backend="eager")  # on which numbers are not constants
    expected, found = losses(rows), compiled(rows)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, rows), torch.autograd.grad(expected, rows))


@pytest.mark.parametrize("bias", [None, torch.tensor(-2.0)])
def test_absent_columns_leave_no_trace(bias):
    rows, columns = torch.randn(4, 8), torch.randn(4, 8)
    label = (torch.arange(4),)
    present = torch.tensor([True, False, True, True])
    masked = row_losses(rows, columns, label, label, same_label, torch.tensor(30.0), bias, ~present)
    left = (label[0][present],)
    alone = row_losses(rows[present], columns[present], left, left, same_label, torch.tensor(30.0), bias)
    torch.testing.assert_close(masked[present], alone)


def test_autocast_does_not_touch_the_logits():
    image, text = torch.randn(6, 64), torch.randn(6, 64)
    expected = GlobalContrastiveLoss()(image, text, torch.tensor(4.6))
    with torch.autocast("cpu", torch.bfloat16):
        loss = GlobalContrastiveLoss()(image, text, torch.tensor(4.6))
    torch.testing.assert_close(loss, expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_vectors_give_float32(dtype):
    image, text = torch.randn(6, 64).to(dtype), torch.randn(6, 64).to(dtype)
    loss = GlobalContrastiveLoss()(image, text, torch.tensor(2.0, dtype=dtype))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, GlobalContrastiveLoss()(image.float(), text.float(), torch.tensor(2.0)))


@given(st.integers(1, 6), st.integers(0, 1000))
def test_order_of_the_batch_does_not_matter(count, seed):
    generator = torch.Generator().manual_seed(seed)
    image, text = (torch.randn(count, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    order = torch.randperm(count, generator=generator)
    loss, log_scale = GlobalContrastiveLoss(), torch.tensor(1.0)
    torch.testing.assert_close(loss(image, text, log_scale), loss(image[order], text[order], log_scale))
    torch.testing.assert_close(loss(image, text, log_scale), loss(text, image, log_scale))


def test_wrong_shapes():
    with pytest.raises(ValueError, match="one text for each image"):
        GlobalContrastiveLoss()(torch.randn(3, 4), torch.randn(2, 4), torch.tensor(0.0))
