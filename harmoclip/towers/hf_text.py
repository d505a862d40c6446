"""Hugging Face's text towers of CLIP, MetaCLIP 2, SigLIP, AltCLIP and ChineseCLIP."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from harmoclip.capture import TapPoint, TextActivations, TextTaps, first_input, tensor_output
from harmoclip.tokenizers import Tokenizer, pretrained_tokenizer, with_length
from harmoclip.towers.base import TextTower, parts
from harmoclip.towers.phrases import CLIP_WORDS, SpecialTokens
from harmoclip.towers.registry import register_text_tower

_GEMMA_WORDS = 256000  # of SigLIP 2's tokenizer, which pads with 0
_CHINESE_BERT = SpecialTokens(start=1, end=102, pad=0)
_CHINESE_BERT_WORDS = 21128
_OLD_END = 2  # what CLIP's first configurations say of their end token, which has the highest id
_NO_END = 49407  # what SigLIP's configurations say by default, whose tokenizers end a text with 1


def text_of(model: Any) -> Any:
    """The text transformer inside a model, or the model itself where it is one."""
    return getattr(model, "text_model", model)


def vectors_of(output: Any) -> Tensor:
    """The vectors in what a Hugging Face model gave, which is a tensor before transformers 5."""
    for name in ("image_embeds", "text_embeds", "pooler_output"):
        if isinstance(getattr(output, name, None), Tensor):
            return getattr(output, name)
    return output


@register_text_tower
class HfText(TextTower):
    """Tokens of `text_model`, projected by `text_projection` or by SigLIP's own `head`."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.text: Any = text_of(model)
        self.config: Any = self.text.config
        self.bidirectional = not parts(self.text, "final_layer_norm")  # BERT-like: padding must be masked
        self.pools_last = parts(self.text, "final_layer_norm", "head")  # SigLIP
        self.context_length: int = self.config.max_position_embeddings
        inner = getattr(self.text, "roberta", self.text)
        self.embeddings = inner.embeddings
        self.encoder = (self.text, getattr(model, "text_projection", None))
        self.stem = (self.embeddings,)
        self.blocks = tuple(inner.encoder.layers if parts(inner.encoder, "layers") else inner.encoder.layer)

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether the model has the parts that this tower reads."""
        text = text_of(module)
        if not parts(module, "config"):
            return False
        if parts(text, "final_layer_norm", "embeddings"):
            return parts(text, "head") or parts(module, "text_projection")
        return parts(module, "text_projection") and (
            parts(text, "transformation") or parts(text, "embeddings")
        )

    @property
    def projection(self) -> nn.Module:
        """The text projection as it is now: an adapter may have come around it."""
        return self.text.head if self.pools_last else self.model.text_projection  # type: ignore[no-any-return]

    def taps(self) -> TextTaps:
        """The token ids, the last tokens, the text vector."""
        words = getattr(self.embeddings, "token_embedding", None) or self.embeddings.word_embeddings
        return TextTaps(
            ids=TapPoint(words, first_input),
            last=TapPoint(self._last_module(), tensor_output),
            vectors=TapPoint(self.projection),
        )

    def tokens(self, taken: TextActivations) -> Tensor:
        """The last hidden state."""
        return taken.last

    def project(self, pooled: Tensor) -> Tensor:
        """The text projection."""
        return self.projection(pooled)

    def encode(self, ids: Tensor) -> Tensor:
        """The model's own text vectors, padding masked where the model sees both ways."""
        inputs = {"input_ids": ids}
        if self.bidirectional:
            inputs["attention_mask"] = (ids != self.config.pad_token_id).long()
        run = getattr(self.model, "get_text_features", self.model)
        return vectors_of(run(**inputs))

    def short_rows_are_exact(self) -> bool:
        """SigLIP pools at the last of all positions."""
        return not self.pools_last

    @property
    def positions(self) -> nn.Parameter | None:
        """The table of CLIP and MetaCLIP 2, whose attention is causal."""
        causal = self.short_rows_are_exact() and not self.bidirectional
        return self.embeddings.position_embedding.weight if causal else None

    def set_positions(self, table: Tensor) -> None:
        """The table, the numbers of its rows, and the configurations that models are saved with."""
        length = self.context_length = len(table)
        self.embeddings.position_embedding.weight.data = table
        self.embeddings.position_embedding.num_embeddings = length
        self.embeddings.position_ids = torch.arange(length, device=table.device)[None]
        whole = self.model.config
        for config in (self.config, getattr(whole, "text_config", whole)):
            config.max_position_embeddings = length

    def known_special(self) -> SpecialTokens | None:
        """What the configuration says, where the family's configurations can be believed."""
        if self.pools_last:
            return self._siglips()
        end, pad = self.config.eos_token_id, self.config.pad_token_id
        if self.bidirectional:
            if end is None and self.config.vocab_size == _CHINESE_BERT_WORDS:
                return _CHINESE_BERT
        elif end == _OLD_END and "metaclip" not in self.config.model_type:
            end, pad = (CLIP_WORDS - 1 if self.config.vocab_size >= CLIP_WORDS else None), 0
        if end is None or not 0 <= end < self.config.vocab_size:
            return None
        return SpecialTokens(1, end, pad or 0)

    def _siglips(self) -> SpecialTokens:
        end = self.config.eos_token_id
        gemma = self.config.vocab_size == _GEMMA_WORDS or self.config.model_type.startswith("siglip2")
        return SpecialTokens(
            0, end=1 if end in (None, _NO_END) else end, pad=0 if gemma else self.config.pad_token_id
        )

    def find_tokenizer(self) -> Tokenizer:
        """The one that lies beside the weights that the model was loaded from."""
        path = self.model.name_or_path
        if not path:
            return super().find_tokenizer()
        found = pretrained_tokenizer(path, self.config)
        follows = self.positions is not None and found.context_length < self.context_length
        return with_length(found, self.context_length) if follows else found

    def _last_module(self) -> nn.Module:
        for name in ("transformation", "final_layer_norm"):
            if hasattr(self.text, name):
                return getattr(self.text, name)
        return self.last_block
