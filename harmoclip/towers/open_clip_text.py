"""open_clip's own text transformer, inside `CLIP` or as `TextTransformer`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harmoclip.towers.base import TapPoint, TextTower, first_input, phrase_rows


class OpenClipText(TextTower):
    """Tokens of the text transformer that `holder` keeps: a `CLIP` model itself, or a `TextTransformer`."""

    def __init__(self, holder: nn.Module) -> None:
        self.holder: Any = holder
        self.context_length: int = self.holder.context_length

    @classmethod
    def matches(cls, holder: Any) -> bool:
        """Whether the module has the parts that this tower reads."""
        names = ("token_embedding", "positional_embedding", "ln_final", "text_projection", "attn_mask")
        return all(hasattr(holder, name) for name in names) and hasattr(
            getattr(holder, "transformer", None), "resblocks"
        )

    def taps(self) -> dict[str, TapPoint]:
        """The token ids and the last block's output."""
        return {
            "ids": TapPoint(self.holder.token_embedding, first_input),
            "last": TapPoint(self.holder.transformer.resblocks[-1]),
        }

    def tokens(self, taken: Mapping[str, Any]) -> Tensor:
        """The last block's tokens after the final norm; CoCa's class token is the last and left out."""
        tokens = taken["last"][:, : taken["ids"].shape[1]]
        return self.holder.ln_final(tokens)  # type: ignore[no-any-return]

    def project(self, pooled: Tensor) -> Tensor:
        """The text projection, a matrix or a linear layer."""
        projection = self.holder.text_projection
        if projection is None:
            return pooled
        return projection(pooled) if isinstance(projection, nn.Module) else pooled @ projection.to(pooled.dtype)

    def global_vectors(self, taken: Mapping[str, Any]) -> Tensor:
        """The model's own pooling of the last block's tokens, projected."""
        return self._pool(taken["last"], taken["ids"])

    def encode_phrases(self, ids: Tensor, spans: Tensor, text_index: Tensor, longest: int) -> Tensor:
        """Encode each phrase as a text, in as many positions as the longest phrase needs where that is exact.

        Causal attention hides what follows the end token, so short rows give the full rows' vectors. Models
        with bidirectional attention, an appended class token or last-token pooling get full rows.
        """
        pad, end = self._pad_and_end(ids)
        rows = phrase_rows(ids, spans, text_index, longest, start=self._starts(), end=end, pad=pad)
        if self._short_rows_are_exact():
            return self._forward_short(rows)
        rows = rows[:, : self.context_length]
        fill = rows.new_full((len(rows), self.context_length - rows.shape[1]), pad)
        full = torch.cat([rows, fill], 1)
        return self._forward_full(full)

    def _pool_type(self) -> str:
        return getattr(self.holder, "pool_type", None) or self.holder.text_pool_type

    def _eos_id(self) -> int:
        return getattr(self.holder, "eos_id", None) or self.holder.text_eos_id

    def _starts(self) -> int:
        """SigLIP's tokenizer, pooled at the last position, has no start token."""
        return 0 if self._pool_type() == "last" else 1

    def _pad_and_end(self, ids: Tensor) -> tuple[int, Tensor]:
        if self._pool_type() == "argmax":
            return 0, ids.amax(1)
        pad = 1 if self._pool_type() == "last" else getattr(self.holder, "pad_id", 0)
        return pad, ids.new_full((len(ids),), self._eos_id())

    def _short_rows_are_exact(self) -> bool:
        causal = self.holder.attn_mask is not None
        return causal and getattr(self.holder, "cls_emb", None) is None and self._pool_type() != "last"

    def _forward_short(self, rows: Tensor) -> Tensor:
        """The text transformer on `[P, T]` ids with T at most the context length."""
        holder, length = self.holder, rows.shape[1]
        dtype = holder.transformer.get_cast_dtype()
        x = holder.token_embedding(rows).to(dtype) + holder.positional_embedding[:length].to(dtype)
        x = holder.transformer(x, attn_mask=holder.attn_mask[:length, :length])
        return self._pool(x, rows)

    def _forward_full(self, rows: Tensor) -> Tensor:
        out = self.holder.encode_text(rows) if hasattr(self.holder, "encode_text") else self.holder(rows)
        return out[0] if isinstance(out, tuple) else out

    def _pool(self, x: Tensor, ids: Tensor) -> Tensor:
        from open_clip.transformer import text_global_pool

        if getattr(self.holder, "cls_emb", None) is not None:
            return self.project(self.holder.ln_final(x[:, -1]))
        x = self.holder.ln_final(x)
        return self.project(text_global_pool(x, ids, self._pool_type(), eos_token_id=self._eos_id()))
