"""The projections of an attention as the model itself applies them, whatever wraps them.

A projection that is a module is called, so that adapters (LoRA), quantization and parametrization take part.
Some attentions keep their projections as bare weights, or read a child's weight instead of running the child.
There the same weight is read, with what PEFT adds to it. A wrapper that the model itself passes over is an
error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harmoclip.errors import UnsupportedModelError

_POOL = ("q_proj", "k_proj", "v_proj", "c_proj")  # of CLIP's AttentionPool2d


def third_of_fused(layer: Any, x: Tensor, third: int, bias: tuple[Tensor, ...] | None = None) -> Tensor:
    """One third of what a fused query-key-value layer gives for `[..., C]`: 0 query, 1 key, 2 value.

    Args:
        layer: The layer, such as an `nn.Linear` of C to 3 C or whatever has come around it.
        x: The tokens.
        third: Which third.
        bias: The biases of the thirds, where the module above joins them to the layer's weight by itself.
    """
    if bias is not None:
        return _third_of_weight(x, layer.weight, torch.cat(bias), third)
    if _does_no_more(layer):
        return _third_of_weight(x, layer.weight, layer.bias, third)
    return layer(x).chunk(3, -1)[third]  # type: ignore[no-any-return]


def third_of_packed(attention: Any, x: Tensor, third: int) -> Tensor:
    """The same of `nn.MultiheadAttention` and its like, which keep `in_proj_weight` or `q_proj_weight`."""
    bias = attention.in_proj_bias
    if attention.in_proj_weight is not None:
        return _third_of_weight(x, _adapted(attention, attention.in_proj_weight), bias, third)
    weight = getattr(attention, f"{'qkv'[third]}_proj_weight")
    return F.linear(x, weight, None if bias is None else bias.chunk(3)[third])


def packed_out(attention: Any, x: Tensor) -> Tensor:
    """The output projection of the same."""
    if not is_peft_attention(attention):
        return attention.out_proj(x)  # type: ignore[no-any-return]
    out = attention.get_base_layer().out_proj
    inner = out.get_base_layer()
    return F.linear(x, _adapted(out, inner.weight), inner.bias)


def is_peft_attention(module: Any) -> bool:
    """Whether PEFT wraps a whole `nn.MultiheadAttention`: it merges its weights for each forward."""
    return hasattr(module, "get_delta_weight") and hasattr(module, "in_proj_weight")


def check_wrappers(modules: Iterable[nn.Module]) -> None:
    """Check that the models' own forward runs whatever wraps a projection.

    Raises:
        UnsupportedModelError: A wrapped layer is passed over, because the module above reads its weight.
    """
    for root in modules:
        merging = {m.get_base_layer() for m in root.modules() if is_peft_attention(m)}  # type: ignore[operator]
        for name, module in root.named_modules():
            for child in () if module in merging else _read_not_run(module):
                _check_not_wrapped(f"{name}.{child}".lstrip("."), module, getattr(module, child))


def _check_not_wrapped(name: str, owner: nn.Module, layer: Any) -> None:
    if isinstance(layer, nn.Linear) and not layer._forward_pre_hooks:
        return
    raise UnsupportedModelError(
        f"{name} is a {type(layer).__module__}.{type(layer).__name__}, but {type(owner).__name__} reads the "
        "weight of that layer and never runs it, so what wraps it takes no part in the model. Wrap the whole "
        "attention (PEFT: the attention's name in target_modules), or merge it into the weights first."
    )


def _read_not_run(module: Any) -> Iterator[str]:
    """The children whose weights a module reads in its forward."""
    if type(module).forward is nn.MultiheadAttention.forward:
        yield "out_proj"
    elif all(hasattr(module, name) for name in ("positional_embedding", *_POOL)):
        yield from _POOL
    elif has_bias_apart(module):
        yield "qkv"


def has_bias_apart(module: Any) -> bool:
    """EVA's attention joins its biases into one product with the weight of `qkv`."""
    joined = getattr(module, "qkv", None) is not None and getattr(module, "q_bias", None) is not None
    return joined and not getattr(module, "qkv_bias_separate", False)


def _third_of_weight(x: Tensor, weight: Tensor, bias: Tensor | None, third: int) -> Tensor:
    if type(weight) not in (nn.Parameter, Tensor):  # a quantized weight may multiply and not be cut
        return F.linear(x, weight, bias).chunk(3, -1)[third]
    return F.linear(x, weight.chunk(3)[third], None if bias is None else bias.chunk(3)[third])


def _does_no_more(layer: Any) -> bool:
    """Whether a layer multiplies by its weight, adds its bias, and nothing else."""
    hooked = layer._forward_pre_hooks or layer._forward_hooks or "forward" in vars(layer)
    return type(layer) is nn.Linear and not hooked


def _adapted(layer: Any, weight: Tensor) -> Tensor:
    """A weight with what PEFT's active adapters add to it, unless they are merged into it already."""
    if not hasattr(layer, "get_delta_weight") or layer.disable_adapters or layer.merged:
        return weight
    for adapter in layer.active_adapters:
        if adapter in layer.lora_A:
            weight = weight + layer.get_delta_weight(adapter).to(weight.dtype)
    return weight
