"""Average the weights of a model before and after training: less forgetting for some of the gain."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath

import torch
from torch import Tensor, nn

from harmoclip.errors import DataError, InputError

Weights = nn.Module | Mapping[str, Tensor] | str | PathLike[str]


def interpolate(before: Weights, after: Weights, alpha: float) -> dict[str, Tensor]:
    """`(1 - alpha) * before + alpha * after`, weight by weight (WiSE-FT, arXiv 2109.01903).

    Averages are computed in float32 or wider and given in the type of `after`. Whole numbers, such as
    position ids, are not averaged: those of `after` are taken.

    Args:
        before: The weights at alpha 0: a module, a state dict, or a safetensors file.
        after: The weights at alpha 1, with the same names and shapes.
        alpha: In [0, 1]; CLIPSelf keeps 0.7.

    Returns:
        A new state dict.

    Raises:
        InputError: Names or shapes differ, or alpha is out of range.
        DataError: A file is missing or not a safetensors file.

    Example:
        >>> import torch
        >>> interpolate({"w": torch.zeros(2)}, {"w": torch.ones(2)}, 0.25)
        {'w': tensor([0.2500, 0.2500])}
    """
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha is {alpha}: expected a number from 0 (before) to 1 (after).")
    old, new = _state(before), _state(after)
    check_same_weights(old, new)
    return {name: _mix(old[name], new[name], alpha) for name in new}


def check_same_weights(
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
    names: tuple[str, str] = ("the model before", "the model after"),
) -> None:
    """Raise an InputError, a short one, unless two state dicts have the same names and shapes.

    Args:
        before: One state dict.
        after: The other.
        names: What a message calls the two.

    Example:
        >>> import torch
        >>> check_same_weights({"w": torch.ones(2)}, {"w": torch.zeros(2)})
    """
    reshaped = [name for name in before if name in after and before[name].shape != after[name].shape]
    first = next(iter(reshaped), None)
    faults = [
        _count(sorted(before.keys() - after.keys()), f"only {names[0]} has"),
        _count(sorted(after.keys() - before.keys()), f"only {names[1]} has"),
        _count(reshaped, "of another shape are")
        + (f" is {list(before[first].shape)} before and {list(after[first].shape)} after" if first else ""),
    ]
    if any(faults):
        raise InputError(
            f"{names[0]} and {names[1]} are of different architectures: {'; '.join(filter(None, faults))}. "
            "Give the same model before and after training, both with or both without a wrapper's prefix."
        )


def _count(weights: list[str], what: str) -> str:
    return f"{what} {len(weights)} weights, the first of them {weights[0]}" if weights else ""


def _mix(old: Tensor, new: Tensor, alpha: float) -> Tensor:
    new = new.detach()
    if not new.is_floating_point():
        return new.clone()
    wide = torch.promote_types(torch.promote_types(old.dtype, new.dtype), torch.float32)
    old = old.detach().to(new.device, wide)
    return torch.lerp(old, new.to(wide), alpha).to(new.dtype)


def _state(weights: Weights) -> Mapping[str, Tensor]:
    if isinstance(weights, nn.Module):
        return weights.state_dict()
    if isinstance(weights, Mapping):
        return weights
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(fspath(weights))
    except (OSError, SafetensorError) as error:
        raise DataError(f"{fspath(weights)} cannot be read as a safetensors file: {error}") from error
