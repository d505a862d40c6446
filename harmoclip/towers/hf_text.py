"""Hugging Face's text towers of CLIP, MetaCLIP 2, SigLIP, AltCLIP and ChineseCLIP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from harmoclip.capture import TapPoint, first_input, tensor_output
from harmoclip.tokenizers import Tokenizer, pretrained_tokenizer
from harmoclip.towers.base import TextTower, parts
from harmoclip.towers.phrases import SpecialTokens


def text_of(model: Any) -> Any:
    """The text transformer inside a model, or the model itself where it is one."""
    return getattr(model, "text_model", model)


def vectors_of(output: Any) -> Tensor:
    """The vectors in what a Hugging Face model gave, which is a tensor before transformers 5."""
    for name in ("image_embeds", "text_embeds", "pooler_output"):
        if isinstance(getattr(output, name, None), Tensor):
            return getattr(output, name)
    return output


class HfText(TextTower):
    """Tokens of `text_model`, projected by `text_projection` or by SigLIP's own `head`."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.text: Any = text_of(model)
        self.config: Any = self.text.config
        self.bidirectional = not parts(self.text, "final_layer_norm")  # BERT-like: padding must be masked
        self.pools_last = parts(self.text, "final_layer_norm", "head")  # SigLIP
        self.projection: nn.Module = self.text.head if self.pools_last else self.model.text_projection
        self.context_length: int = self.config.max_position_embeddings

    @classmethod
    def matches(cls, model: Any) -> bool:
        """Whether the model has the parts that this tower reads."""
        text = text_of(model)
        if parts(text, "final_layer_norm", "embeddings"):
            return parts(text, "head") or parts(model, "text_projection")
        return parts(model, "text_projection") and (
            parts(text, "transformation") or parts(text, "embeddings")
        )

    def taps(self) -> dict[str, TapPoint]:
        """The token ids, the last tokens, the text vector."""
        embeddings = getattr(self.text, "roberta", self.text).embeddings
        words = getattr(embeddings, "token_embedding", None) or embeddings.word_embeddings
        return {
            "ids": TapPoint(words, first_input),
            "last": TapPoint(self._last_module(), tensor_output),
            "global": TapPoint(self.projection),
        }

    def tokens(self, taken: Mapping[str, Any]) -> Tensor:
        """The last hidden state."""
        return taken["last"]

    def project(self, pooled: Tensor) -> Tensor:
        """The text projection."""
        return self.projection(pooled)

    def global_vectors(self, taken: Mapping[str, Any]) -> Tensor:
        """What the projection gave."""
        return taken["global"]

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

    def guess_special(self, ids: Tensor) -> SpecialTokens:
        """SigLIP: no start, end token 1, the captions' padding. BERT: the last token before the padding."""
        if self.pools_last:
            return SpecialTokens(0, end=1, pad=ids[:, -1].amin())
        if self.bidirectional:
            pad = self.config.pad_token_id
            last = (ids != pad).sum(1, keepdim=True).clamp(min=1) - 1
            return SpecialTokens(1, end=ids.gather(1, last)[:, 0], pad=pad)
        eos = self.config.eos_token_id
        return SpecialTokens(1, end=ids.amax(1) if eos == 2 and not self._new_eos else eos, pad=0)

    def find_tokenizer(self) -> Tokenizer:
        """The one that lies beside the weights that the model was loaded from."""
        path = self.model.name_or_path
        return pretrained_tokenizer(path, self.config) if path else super().find_tokenizer()

    @property
    def _new_eos(self) -> bool:
        """MetaCLIP 2's end token is 2; CLIP's old configurations say 2 and mean the highest id."""
        return "metaclip" in getattr(self.config, "model_type", "")

    def _last_module(self) -> nn.Module:
        for name in ("transformation", "final_layer_norm"):
            if hasattr(self.text, name):
                return getattr(self.text, name)
        return self.text.encoder.layer[-1]
