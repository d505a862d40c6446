import pytest
import torch
from safetensors.torch import load_file, save_file

import harmoclip
from harmoclip.errors import DataError, InputError


def states(dtype=torch.float32):
    one, other = (torch.nn.BatchNorm1d(3).to(dtype) for _ in range(2))
    for module in (one, other):
        for tensor in module.state_dict().values():
            tensor.copy_(torch.randn(tensor.shape) * 5)
    return one, other


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_weights_are_averaged(alpha):
    before, after = states()
    mixed = harmoclip.interpolate(before, after.state_dict(), alpha)
    for name, value in after.state_dict().items():
        if value.is_floating_point():
            expected = (1 - alpha) * before.state_dict()[name].double() + alpha * value.double()
            torch.testing.assert_close(mixed[name].double(), expected, rtol=1e-6, atol=1e-6)
    assert mixed["num_batches_tracked"] == after.num_batches_tracked
    after.load_state_dict(mixed)


def test_ends_are_exact_and_new():
    before, after = states()
    for alpha, source in ((0.0, before), (1.0, after)):
        mixed = harmoclip.interpolate(before, after, alpha)
        torch.testing.assert_close(mixed["weight"], source.weight.detach(), rtol=0, atol=0)
        mixed["weight"].zero_()
        assert source.weight.abs().sum() > 0


def test_files_and_low_precision(tmp_path):
    before, after = states(torch.bfloat16)
    for name, module in (("before", before), ("after", after)):
        save_file(module.state_dict(), tmp_path / name)
    mixed = harmoclip.interpolate(tmp_path / "before", str(tmp_path / "after"), 0.3)
    assert mixed["weight"].dtype == torch.bfloat16
    expected = (0.7 * before.weight.float() + 0.3 * after.weight.float()).bfloat16()
    torch.testing.assert_close(mixed["weight"], expected.detach())
    save_file(mixed, tmp_path / "mixed")
    torch.testing.assert_close(load_file(tmp_path / "mixed"), mixed)


def test_mistakes(tmp_path):
    before, after = states()
    with pytest.raises(InputError, match=r"alpha is 1\.5"):
        harmoclip.interpolate(before, after, 1.5)
    with pytest.raises(InputError, match=r"module\.bias"):
        harmoclip.interpolate(before, {f"module.{k}": v for k, v in after.state_dict().items()}, 0.5)
    with pytest.raises(InputError, match=r"weight is \[3\] before and \[4\] after"):
        harmoclip.interpolate({"weight": torch.ones(3)}, {"weight": torch.ones(4)}, 0.5)
    (tmp_path / "file").write_text("no weights")
    with pytest.raises(DataError, match="safetensors"):
        harmoclip.interpolate(tmp_path / "file", after, 0.5)
    with pytest.raises(DataError, match="safetensors"):
        harmoclip.interpolate(tmp_path / "none", after, 0.5)
