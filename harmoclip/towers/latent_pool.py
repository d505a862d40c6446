"""Attention-pool heads with one query, written so that a region pools linearly.

A head's attention with region weights `w` beside its own logits `s` is

    sum_n softmax(s + log w)_n v_n  =  (sum_n w_n e^s_n v_n) / (sum_n w_n e^s_n).

So `weigh` gives every token `[e^s v, e^s]`, any linear pooling averages that, and `finish` divides and
runs what follows in the head. A box costs no more than average pooling, and the whole image gives the
head's own output.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from harmoclip.towers.base import parts
from harmoclip.towers.projections import as_it_runs, third_of_packed

_RANGE = 80.0  # e^-80 is still a normal float32


class LatentPool(ABC):
    """One learned query that attends to the tokens, and what follows."""

    @property
    @abstractmethod
    def heads(self) -> int:
        """How many heads attend."""

    @abstractmethod
    def query(self) -> Tensor:
        """The query `[heads, d]`."""

    @abstractmethod
    def keys_values(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values `[B, N, heads, d]`."""

    @abstractmethod
    def out(self, mixed: Tensor) -> Tensor:
        """Mixed values `[..., heads * d]` to the head's output `[..., C]`."""

    def weigh(self, tokens: Tensor, kind: str) -> Tensor:
        """Tokens `[B, N, C]` to `[B, N, heads * d + heads]` float32, which pool linearly.

        For the kind `head` every token counts alike: the head's attention is left out, its values are kept.
        """
        key, value = self.keys_values(tokens)
        if kind == "head":
            return F.pad(_wide(value).flatten(2), (0, self.heads), value=1.0)
        query = self.query()
        logits = (_wide(key) * _wide(query)).sum(-1) * query.shape[-1] ** -0.5  # [B, N, heads]
        weight = (logits - logits.amax(1, keepdim=True).detach()).clamp(min=-_RANGE).exp()
        return torch.cat([(_wide(value) * weight[..., None]).flatten(2), weight], -1)

    def finish(self, pooled: Tensor) -> Tensor:
        """Pooled `[..., heads * d + heads]` to the head's output `[..., C]`."""
        mixed, weight = pooled[..., : -self.heads], pooled[..., -self.heads :]
        mixed = (
            mixed.unflatten(-1, (self.heads, -1))
            / weight.clamp(min=torch.finfo(weight.dtype).tiny)[..., None]
        )
        return self.out(mixed.flatten(-2))


class TimmPool(LatentPool):
    """timm's `AttentionPoolLatent`."""

    def __init__(self, module: Any) -> None:
        self.module = module

    @property
    def heads(self) -> int:
        """How many heads attend."""
        return self.module.num_heads  # type: ignore[no-any-return]

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether one query alone makes the output."""
        return parts(module, "latent", "kv", "proj") and (module.latent_len == 1 or module.pool == "token")

    def query(self) -> Tensor:
        """The query `[heads, d]`."""
        query = self.module.q(self.module.latent[0, 0]).unflatten(-1, (self.heads, -1))
        return self.module.q_norm(query)

    def keys_values(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values `[B, N, heads, d]`."""
        if self.module.pos_embed is not None:
            tokens = tokens + self.module.pos_embed.to(tokens.dtype)
        key, value = self.module.kv(tokens).unflatten(-1, (2, self.heads, -1)).unbind(-3)
        return self.module.k_norm(key), value

    def out(self, mixed: Tensor) -> Tensor:
        """What follows the attention, in the module's own order."""
        x = self.module.proj_drop(self.module.proj(like(mixed, self.module.kv)))
        return x if self.module.mlp is None else x + self.module.mlp(self.module.norm(x))


class MultiheadPool(LatentPool):
    """A query over `nn.MultiheadAttention`: Hugging Face's SigLIP heads and CoCa's `AttentionalPooler`."""

    @property
    @abstractmethod
    def attention(self) -> Any:
        """The attention as it is now: an adapter may have come around it."""

    @property
    @abstractmethod
    def latent(self) -> Tensor:
        """The query `[C]` before its projection."""

    @property
    def heads(self) -> int:
        """How many heads attend."""
        return self.attention.num_heads  # type: ignore[no-any-return]

    def query(self) -> Tensor:
        """The query `[heads, d]`."""
        return self._project(self.latent, 0)

    def keys_values(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values `[B, N, heads, d]`."""
        return self._project(tokens, 1), self._project(tokens, 2)

    def _project(self, x: Tensor, third: int) -> Tensor:
        return third_of_packed(as_it_runs(self.attention), x, third).unflatten(-1, (self.heads, -1))

    def _out(self, mixed: Tensor) -> Tensor:
        return as_it_runs(self.attention).out_proj(like(mixed, self.attention))  # type: ignore[no-any-return]


class SiglipPool(MultiheadPool):
    """Hugging Face's `SiglipMultiheadAttentionPoolingHead` and Siglip2's."""

    def __init__(self, module: Any) -> None:
        self.module = module

    @property
    def attention(self) -> Any:
        """The attention as it is now: an adapter may have come around it."""
        return self.module.attention

    @property
    def latent(self) -> Tensor:
        """The query `[C]` before its projection."""
        return self.module.probe[0, 0]

    def out(self, mixed: Tensor) -> Tensor:
        """What follows the attention, in the module's own order."""
        x = self._out(mixed)
        return x + self.module.mlp(self.module.layernorm(x))


class CocaPool(MultiheadPool):
    """open_clip's `AttentionalPooler` and the norm after it; its first query makes the image vector."""

    def __init__(self, visual: Any) -> None:
        self.visual = visual
        self.module = visual.attn_pool

    @property
    def attention(self) -> Any:
        """The attention as it is now: an adapter may have come around it."""
        return self.module.attn

    @property
    def latent(self) -> Tensor:
        """The query `[C]` before its projection."""
        return self.module.ln_q(self.module.query[0])

    def keys_values(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values `[B, N, heads, d]`."""
        return super().keys_values(self.module.ln_k(tokens))

    def out(self, mixed: Tensor) -> Tensor:
        """What follows the attention, in the module's own order."""
        return self.visual.ln_post(self._out(mixed))


def like(x: Tensor, module: Any) -> Tensor:
    """The tensor in the dtype of a module's weights, of those that are not quantized."""
    dtypes = (p.dtype for p in module.parameters() if p.is_floating_point())
    return x.to(next(dtypes, torch.float32))


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
