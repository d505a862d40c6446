"""The CLIP text transformer: open_clip's, inside `CLIP` or as `TextTransformer`, and OpenAI's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from harmoclip.capture import TapPoint, TextActivations, TextTaps, first_input
from harmoclip.errors import InputError
from harmoclip.grounding import Grounding
from harmoclip.tokenizers import Tokenizer
from harmoclip.towers.base import TextTower, optional, parts
from harmoclip.towers.phrases import CLIP_WORDS, SpecialTokens, pack
from harmoclip.towers.registry import register_text_tower

_MT5_END = 1
_SIGLIPS = {  # by the words of the tokenizer
    32000: SpecialTokens(0, end=1, pad=1),
    250000: SpecialTokens(0, end=1, pad=1),
    256000: SpecialTokens(0, end=1, pad=0),
}
_CLIPAS = {32000: SpecialTokens(1, end=0, pad=0)}  # BERT's, whose end token CLIPA strips


@register_text_tower
class OpenClipText(TextTower):
    """Tokens of the text transformer that `holder` keeps: a `CLIP` model itself, or a `TextTransformer`."""

    def __init__(self, holder: Any) -> None:
        self.holder = holder
        self.context_length: int = self.holder.context_length
        self.blocks = tuple(self.holder.transformer.resblocks)
        self.stem = optional(holder, "token_embedding", "positional_embedding", "cls_emb")
        self.encoder = (*self.stem, holder.transformer, *optional(holder, "ln_final", "text_projection"))
        self.batch_first = getattr(self.holder.transformer, "batch_first", False)  # OpenAI: sequence first
        self.pool_type: str = _first(holder, "pool_type", "text_pool_type", "argmax")
        self.eos_id: int = _first(holder, "eos_id", "text_eos_id", 0)

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether the module has the parts that this tower reads."""
        names = ("token_embedding", "positional_embedding", "ln_final", "text_projection", "context_length")
        return parts(module, *names) and parts(getattr(module, "transformer", None), "resblocks")

    def taps(self) -> TextTaps:
        """The token ids and the last block's output."""
        return TextTaps(
            ids=TapPoint(self.holder.token_embedding, first_input), last=TapPoint(self.last_block)
        )

    def tokens(self, taken: TextActivations) -> Tensor:
        """The last block's tokens after the final norm; CoCa's class token is the last and left out."""
        tokens = self._batch_first(taken.last)[:, : taken.ids.shape[1]]
        return self.holder.ln_final(tokens)

    def project(self, pooled: Tensor) -> Tensor:
        """The text projection, a matrix or a linear layer."""
        projection = self.holder.text_projection
        if projection is None:
            return pooled
        if isinstance(projection, nn.Module):
            return projection(pooled)
        return pooled.to(projection.dtype) @ projection

    def global_vectors(self, taken: TextActivations) -> Tensor:
        """The model's own pooling of the last block's tokens, projected."""
        return self._pool(self._batch_first(taken.last), taken.ids)

    def encode(self, ids: Tensor) -> Tensor:
        """The model's own vectors; of short rows where causal attention makes these exact."""
        if self.short_rows_are_exact():
            place = torch.arange(ids.shape[1], device=ids.device)
            assert self._mask is not None
            x = self._run(ids, place, self._mask[: len(place), : len(place)])
            return self._pool(x, ids)
        self._check_pool()
        out = self.holder.encode_text(ids) if hasattr(self.holder, "encode_text") else self.holder(ids)
        return out[0] if isinstance(out, tuple) else out

    def encode_phrases(self, ids: Tensor, grounding: Grounding) -> Tensor:
        """All phrases in one pass, side by side in few rows."""
        if not self.short_rows_are_exact():
            return super().encode_phrases(ids, grounding)
        if not len(grounding.spans):
            return self.encode_twice(self.encode, ids[:1])[:0]
        phrases = grounding.plan.first
        texts = self.phrase_texts(ids, grounding, phrases, grounding.plan.longest)
        start = self.special.start
        begin, end = grounding.spans[phrases].unbind(1)
        packed = pack(texts, start, end - begin + 1, *grounding.plan.table)
        column = packed.column(self._position(texts), start)

        def encode(ids: Tensor) -> Tensor:
            x = self._run(ids, packed.position, packed.mask)[packed.row, column]
            return self.project(self.holder.ln_final(x))

        return self.encode_twice(encode, packed.ids)[grounding.plan.row_of]

    def short_rows_are_exact(self) -> bool:
        """Whether attention is causal, without an appended class token, and pooled by the text's own end."""
        causal = self._mask is not None
        return causal and not self._appends_class and self.pool_type in ("argmax", "eos", "first")

    @property
    def positions(self) -> nn.Parameter | None:
        """The table, where attention is causal and the text's own end is its vector."""
        return self.holder.positional_embedding if self.short_rows_are_exact() else None

    def set_positions(self, table: Tensor) -> None:
        """The table, its length in open_clip's two words for it, and the causal masks."""
        length = len(table)
        self.holder.positional_embedding.data = table
        self.holder.context_length = self.context_length = length
        if hasattr(self.holder, "num_pos"):
            self.holder.num_pos = length
        for owner in (self.holder, *self.blocks):
            mask = getattr(owner, "attn_mask", None)
            if mask is not None:
                owner.attn_mask = mask.new_full((length, length), float("-inf")).triu_(1)

    def check_rows(self, ids: Tensor) -> None:
        """`CLIP` adds its whole table to a row; a causal `TextTransformer` cuts its mask for CoCa alone."""
        super().check_rows(ids)
        causal = getattr(self.holder, "attn_mask", None) is not None
        whole = hasattr(self.holder, "encode_text") or (causal and self.holder.cls_emb is None)
        if whole and ids.shape[1] < self.context_length and not torch.compiler.is_compiling():
            raise self.wrong_length(f"texts are rows of {ids.shape[1]} tokens")

    def known_special(self) -> SpecialTokens | None:
        """By the pooling and the number of words; a CLIP of one's own has the end token as its highest id."""
        words: int = self.holder.token_embedding.num_embeddings
        if self.pool_type == "eos":
            return SpecialTokens(0 if self.eos_id == _MT5_END else 1, end=self.eos_id, pad=0)
        if self.pool_type != "last":
            return SpecialTokens(1, end=min(words, CLIP_WORDS) - 1, pad=0)
        projects_by_matrix = not isinstance(self.holder.text_projection, nn.Module)
        return (_CLIPAS if projects_by_matrix else _SIGLIPS).get(words)

    def find_tokenizer(self) -> Tokenizer:
        """CLIP's own, where the vocabulary has its size; no other is named by open_clip's models."""
        if self.holder.token_embedding.num_embeddings != CLIP_WORDS:
            return super().find_tokenizer()
        from open_clip import SimpleTokenizer

        return SimpleTokenizer(context_length=self.context_length)

    @property
    def _mask(self) -> Tensor | None:
        """The causal mask, which OpenAI's blocks keep for themselves."""
        mask = getattr(self.holder, "attn_mask", None)
        return getattr(self.blocks[-1], "attn_mask", None) if mask is None else mask

    @property
    def _appends_class(self) -> bool:
        return getattr(self.holder, "cls_emb", None) is not None

    def _batch_first(self, tokens: Tensor) -> Tensor:
        return tokens if self.batch_first else tokens.transpose(0, 1)

    def _run(self, ids: Tensor, position: Tensor, mask: Tensor) -> Tensor:
        """The last block's tokens `[P, T, C]` of ids `[P, T]` at positions `[T]` under a mask `[T, T]`."""
        holder, dtype = self.holder, self._dtype
        x = holder.token_embedding(ids).to(dtype) + holder.positional_embedding[position].to(dtype)
        if hasattr(holder, "attn_mask"):
            tokens: Tensor = holder.transformer(x, attn_mask=mask)
            return tokens
        return self._openai_blocks(x.transpose(0, 1), mask).transpose(0, 1)

    def _openai_blocks(self, x: Tensor, mask: Tensor) -> Tensor:
        """OpenAI's blocks `[T, P, C]` with a shorter mask than their own."""
        for block in self.holder.transformer.resblocks:
            y = block.ln_1(x)
            x = x + block.attn(y, y, y, need_weights=False, attn_mask=mask.to(x))[0]
            x = x + block.mlp(block.ln_2(x))
        return x

    @property
    def _dtype(self) -> torch.dtype:
        """The one that the model's own forward casts its embeddings to."""
        transformer = self.holder.transformer
        if hasattr(transformer, "get_cast_dtype"):
            return transformer.get_cast_dtype()  # type: ignore[no-any-return]
        return self.holder.dtype  # type: ignore[no-any-return]

    def _pool(self, x: Tensor, ids: Tensor) -> Tensor:
        if self._appends_class:
            return self.project(self.holder.ln_final(x[:, -1]))
        x = self.holder.ln_final(x)
        return self.project(x[torch.arange(len(x), device=x.device), self._position(ids)])

    def _position(self, ids: Tensor) -> Tensor | int:
        """The position that open_clip's `text_global_pool` takes."""
        self._check_pool()
        if self.pool_type == "eos":
            return ids.eq(self.eos_id).int().argmax(-1)
        return ids.argmax(-1) if self.pool_type == "argmax" else {"first": 0, "last": -1}[self.pool_type]

    def _check_pool(self) -> None:
        if self.pool_type == "none" and not self._appends_class:
            raise InputError(
                "the text tower's pool_type is 'none', so a text has tokens and no vector: expected argmax, "
                "first, last or eos. Build the model so, or ask only for regions and for phrases as spans."
            )


def _first(holder: Any, name: str, other: str, default: Any) -> Any:
    """A setting that `TextTransformer` and `CLIP` name differently."""
    return getattr(holder, name, None) or getattr(holder, other, None) or default
