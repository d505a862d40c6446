"""The projections of an attention as the model itself applies them, whatever wraps them.

A projection that is a module is called, so that adapters (LoRA), quantization and parametrization take part.
Some attentions keep their projections as bare weights, or read a child's weight instead of running the child.
There the same weight is read, as PEFT merges it. A wrapper that the model itself passes over is an
error.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
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
        return _third_of_weight(x, attention.in_proj_weight, bias, third)
    weight = getattr(attention, f"{'qkv'[third]}_proj_weight")
    return F.linear(x, weight, None if bias is None else bias.chunk(3)[third])


def as_it_runs(attention: Any) -> Any:
    """An attention with the weights that its forward uses.

    PEFT wraps a whole `nn.MultiheadAttention`, and merges its adapters into the weights for each forward. The
    same is done here to a twin that shares all parameters, so that the model itself stays as it is.
    """
    if not is_peft_attention(attention):
        return attention
    if attention.disable_adapters or attention.merged:
        return attention.get_base_layer()
    twin = _twin(attention)
    twin.base_layer = _twin(attention.get_base_layer())
    twin.base_layer.out_proj = _twin(twin.base_layer.out_proj)
    twin.base_layer.out_proj.base_layer = _twin(twin.base_layer.out_proj.base_layer)
    twin.merge(adapter_names=[name for name in attention.active_adapters if name in attention.lora_A])
    return twin.base_layer


def is_peft_attention(module: Any) -> bool:
    """Whether PEFT wraps a whole `nn.MultiheadAttention`: it merges its weights for each forward."""
    return hasattr(module, "get_delta_weight") and hasattr(module, "in_proj_weight")


def check_wrappers(model: nn.Module) -> None:
    """Check that the model's own forward runs whatever wraps a projection.

    Raises:
        UnsupportedModelError: A wrapped layer is passed over, because the module above reads its weight.
    """
    merging = {m.get_base_layer() for m in model.modules() if is_peft_attention(m)}  # type: ignore[operator]
    for name, module in model.named_modules():
        for child in () if module in merging else _read_not_run(module):
            _check_not_wrapped(f"{name}.{child}", module, getattr(module, child))


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


def _twin(module: nn.Module) -> Any:
    """Another module with the same parts, whose own may be replaced."""
    twin = copy.copy(module)
    for kept in ("_parameters", "_modules", "_buffers", "merged_adapters"):
        if kept in vars(module):
            vars(twin)[kept] = copy.copy(vars(module)[kept])
    return twin
