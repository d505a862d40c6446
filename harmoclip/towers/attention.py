"""The last transformer block with another attention: each token alone, or by the likeness of queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from harmoclip.errors import UnsupportedModelError
from harmoclip.towers.base import parts
from harmoclip.towers.projections import as_it_runs, has_bias_apart, third_of_fused, third_of_packed


class SelfAttention(ABC):
    """The parts of a block's attention, whatever its class calls them."""

    def __init__(self, module: Any) -> None:
        self.module = module

    @classmethod
    @abstractmethod
    def matches(cls, module: Any) -> bool:
        """Whether the module has the parts that this class reads."""

    @abstractmethod
    def values(self, x: Tensor) -> Tensor:
        """Values `[B, N, C]` of the normed tokens."""

    @abstractmethod
    def queries_and_keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys `[B, heads, N, C / heads]` of the normed tokens."""

    @abstractmethod
    def out(self, mixed: Tensor, x: Tensor) -> Tensor:
        """What follows the attention: inner norms, gates and the output projection."""

    @property
    def positional(self) -> bool:
        """Whether positions enter the attention itself, as rotations or biases."""
        return False

    def heads(self, x: Tensor) -> Tensor:
        """`[B, N, C]` to `[B, heads, N, C / heads]`."""
        return x.unflatten(-1, (self.module.num_heads, -1)).transpose(1, 2)


class PackedAttention(SelfAttention):
    """`nn.MultiheadAttention` and open_clip's own `Attention`: `in_proj_weight` and `out_proj`."""

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether the module has the parts that this class reads."""
        own = not isinstance(module, nn.MultiheadAttention) or (
            type(module).forward is nn.MultiheadAttention.forward
        )
        packed = getattr(module, "in_proj_weight", None) is not None and parts(module, "out_proj")
        return own and packed and getattr(module, "logit_scale", None) is None

    def values(self, x: Tensor) -> Tensor:
        """Values `[B, N, C]` of the normed tokens."""
        return self._project(x, 2)

    def queries_and_keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys `[B, heads, N, C / heads]` of the normed tokens."""
        query, key = self.heads(self._project(x, 0)), self.heads(self._project(x, 1))
        return _norm(self.module, "ln_q", query), _norm(self.module, "ln_k", key)

    def out(self, mixed: Tensor, x: Tensor) -> Tensor:
        """What follows the attention, in the module's own order."""
        scale = getattr(self.module, "head_scale", None)
        if scale is not None:
            mixed = (mixed.unflatten(-1, (len(scale), -1)) * scale.reshape(-1, 1)).flatten(-2)
        return self.module.out_proj(_norm(self.module, "ln_inner", mixed))

    def _project(self, x: Tensor, third: int) -> Tensor:
        return third_of_packed(self.module, x, third)


class TimmAttention(SelfAttention):
    """timm's `Attention`, `EvaAttention`, `AttentionRope` and `RelPosAttention`: `qkv` or split, `proj`."""

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether the module has the parts that this class reads."""
        return parts(module, "num_heads", "proj") and (parts(module, "qkv") or parts(module, "v_proj"))

    @property
    def positional(self) -> bool:
        """Whether positions enter the attention itself, as rotations or biases."""
        biased = getattr(self.module, "relative_position_bias_table", None) is not None  # BEiT
        return biased or hasattr(self.module, "rel_pos") or hasattr(self.module, "num_prefix_tokens")

    def values(self, x: Tensor) -> Tensor:
        """Values `[B, N, C]` of the normed tokens."""
        value = self._project(x, 2)
        groups = getattr(self.module, "num_kv_groups", 1)
        if groups == 1:
            return value
        heads = value.unflatten(-1, (self.module.num_heads // groups, -1))
        return heads.repeat_interleave(groups, -2).flatten(-2)

    def queries_and_keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys `[B, heads, N, C / heads]` of the normed tokens."""
        query, key = self.heads(self._project(x, 0)), self.heads(self._project(x, 1))
        return _norm(self.module, "q_norm", query), _norm(self.module, "k_norm", key)

    def out(self, mixed: Tensor, x: Tensor) -> Tensor:
        """What follows the attention, in the module's own order."""
        mixed = _norm(self.module, "norm", mixed)
        gate = getattr(self.module, "gate", None)
        return self.module.proj(mixed if gate is None else mixed * gate(x).sigmoid())

    def _project(self, x: Tensor, third: int) -> Tensor:
        name, module = "qkv"[third], self.module
        if module.qkv is None:
            return getattr(module, f"{name}_proj")(x)
        if has_bias_apart(module):  # EVA's
            return third_of_fused(module.qkv, x, third, bias=(module.q_bias, module.k_bias, module.v_bias))
        bias = getattr(module, f"{name}_bias", None)
        projected = third_of_fused(module.qkv, x, third)
        return projected if bias is None else projected + bias


class SplitAttention(SelfAttention):
    """Hugging Face's CLIP and SigLIP attention: `q_proj`, `k_proj`, `v_proj`, `out_proj`."""

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether the module has the parts that this class reads."""
        return parts(module, "q_proj", "k_proj", "v_proj", "out_proj", "num_heads")

    def values(self, x: Tensor) -> Tensor:
        """Values `[B, N, C]` of the normed tokens."""
        return self.module.v_proj(x)

    def queries_and_keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys `[B, heads, N, C / heads]` of the normed tokens."""
        return self.heads(self.module.q_proj(x)), self.heads(self.module.k_proj(x))

    def out(self, mixed: Tensor, x: Tensor) -> Tensor:
        """What follows the attention, in the module's own order."""
        return self.module.out_proj(mixed)


ATTENTIONS = (PackedAttention, TimmAttention, SplitAttention)
_NORMS = (("ln_1", "ln_2"), ("norm1", "norm2"), ("layer_norm1", "layer_norm2"))


def attention_of(module: Any) -> SelfAttention | None:
    """The parts of an attention module, None where nobody knows its class."""
    module = as_it_runs(module)
    return next((kind(module) for kind in ATTENTIONS if kind.matches(module)), None)


class Block:
    """A residual transformer block of open_clip, OpenAI, timm or Hugging Face, seen by its parts.

    Attributes:
        kinds: The dense kinds that the block can give beside `plain`.
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self.norms = next((n for n in _NORMS if parts(module, *n, "mlp")), None)
        self.kinds = self._kinds()

    @property
    def attention(self) -> SelfAttention:
        """The parts of the block's attention as it is now: an adapter may have come around it.

        Raises:
            UnsupportedModelError: Something wraps it whose weights cannot be read.
        """
        module = self._attention_module
        known = attention_of(module)
        if known is None:
            raise UnsupportedModelError(
                f"{type(self.module).__name__}.{self._name} is a {type(module).__name__} around the block's "
                "attention, and its projections cannot be told apart: merge it into the weights first, or "
                "give harmonize(model, dense='plain')."
            )
        return known

    def run(self, x: Tensor, kind: str) -> Tensor:
        """The block's output `[B, N, C]` for its input, with the attention of the kind.

        Residual connections, layer scales, inner norms and the MLP are kept, stochastic depth is left out:
        `y = x + scale_1(attention(norm_1(x)))`, `z = y + scale_2(mlp(norm_2(y)))`; of a kind that gives the
        attention alone, `scale_1(attention(norm_1(x)))`.
        """
        assert self.norms is not None
        first, second = (getattr(self.module, name) for name in self.norms)
        mix, _, alone = KINDS[kind]
        if self._norms_after:
            mixed = first(mix(self.attention, x))
            return mixed if alone else x + mixed + second(self.module.mlp(x + mixed))
        mixed = self._scale(1, mix(self.attention, first(x)))
        return mixed if alone else x + mixed + self._scale(2, self.module.mlp(second(x + mixed)))

    def _kinds(self) -> tuple[str, ...]:
        """The dense kinds that this block can give beside `plain`."""
        inside = self._attention_module
        modules = inside.modules() if isinstance(inside, nn.Module) else ()  # a wrapper's before the wrapped
        known = next(filter(None, map(attention_of, modules)), None)
        if self.norms is None or known is None:
            return ()
        return tuple(name for name, kind in KINDS.items() if not (kind.tokens_mix and known.positional))

    @property
    def _name(self) -> str:
        return "attn" if hasattr(self.module, "attn") else "self_attn"

    @property
    def _attention_module(self) -> Any:
        return getattr(self.module, self._name, None)

    @property
    def _norms_after(self) -> bool:
        """Timm's post-norm blocks have neither layer scales nor a place for them."""
        return self.norms == ("norm1", "norm2") and not (
            hasattr(self.module, "ls1") or hasattr(self.module, "gamma_1")
        )

    def _scale(self, branch: int, x: Tensor) -> Tensor:
        if branch == 1:
            x = _norm(self.module, "ln_attn", x)
        for name in (f"ls_{branch}", f"ls{branch}"):
            x = _norm(self.module, name, x)
        gamma = getattr(self.module, f"gamma_{branch}", None)
        return x if gamma is None else x * gamma


def attend_alone(attention: SelfAttention, x: Tensor) -> Tensor:
    """Every token attends to itself alone (MaskCLIP, arXiv 2112.01071)."""
    return attention.out(attention.values(x), x)


def attend_by_likeness(attention: SelfAttention, x: Tensor) -> Tensor:
    """Queries attend to queries and keys to keys, both attentions added (SCLIP, arXiv 2312.01597)."""
    value = attention.heads(attention.values(x))
    query, key = (F.scaled_dot_product_attention(y, y, value) for y in attention.queries_and_keys(x))
    return attention.out((query + key).transpose(1, 2).flatten(2), x)


def attend_by_queries(attention: SelfAttention, x: Tensor) -> Tensor:
    """Queries attend to queries (ClearCLIP, arXiv 2407.12442)."""
    value = attention.heads(attention.values(x))
    query, _ = attention.queries_and_keys(x)
    return attention.out(F.scaled_dot_product_attention(query, query, value).transpose(1, 2).flatten(2), x)


class Kind(NamedTuple):
    """A dense kind that runs the last block anew.

    Attributes:
        attend: What takes the place of the attention, of the normed tokens `[B, N, C]`.
        tokens_mix: Whether tokens see each other, so that positions and padding inside the attention matter.
        alone: Whether the attention's output is all, without the residual connections and the MLP.
    """

    attend: Callable[[SelfAttention, Tensor], Tensor]
    tokens_mix: bool
    alone: bool = False


KINDS = {
    "value": Kind(attend_alone, tokens_mix=False),
    "self": Kind(attend_by_likeness, tokens_mix=True),
    "clear": Kind(attend_by_queries, tokens_mix=True, alone=True),
}
"""The dense kinds that run the last block anew, by name."""


def _norm(module: Any, name: str, x: Tensor) -> Tensor:
    """Apply a module's optional part."""
    part = getattr(module, name, None)
    return x if part is None else part(x)
