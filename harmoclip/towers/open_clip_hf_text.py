"""open_clip's `HFTextEncoder`: RoBERTa, XLM-RoBERTa, mT5 and NLLB text towers."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from harmoclip.capture import TapPoint, TextActivations, TextTaps, first_input
from harmoclip.tokenizers import Tokenizer
from harmoclip.towers.base import TextTower, optional, parts
from harmoclip.towers.phrases import SpecialTokens
from harmoclip.towers.registry import register_text_tower

_OPEN_CLIP_LENGTH = 77


def last_hidden_state(args: tuple[Any, ...], output: Any) -> Any:
    """The tokens in a Hugging Face transformer's output."""
    return output.last_hidden_state


@register_text_tower
class OpenClipHfText(TextTower):
    """Tokens of the Hugging Face `transformer` inside, projected by `proj`."""

    def __init__(self, text: Any) -> None:
        self.text = text
        self.config: Any = text.config
        self.context_length: int = text.context_length or _OPEN_CLIP_LENGTH  # mT5 has no limit
        self.encoder = (text,)
        self.stem = optional(
            text.transformer, "embeddings", "embed_tokens", "embed_positions", "layernorm_embedding"
        )
        encoder = getattr(text.transformer, "encoder", text.transformer)
        name = next(name for name in ("layer", "layers", "block") if hasattr(encoder, name))
        self.blocks = tuple(getattr(encoder, name))

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether the module has the parts that this tower reads."""
        return parts(module, "transformer", "pooler", "proj", "config") and isinstance(module.proj, nn.Module)

    def taps(self) -> TextTaps:
        """The token ids, the last hidden state, the text vector."""
        transformer = self.text.transformer
        words = getattr(
            transformer, "embed_tokens", None
        )  # transformers 4 does not ask NLLB's encoder for it
        return TextTaps(
            ids=TapPoint(words or transformer.get_input_embeddings(), first_input),
            last=TapPoint(transformer, last_hidden_state),
            vectors=TapPoint(self.text.proj),
        )

    def tokens(self, taken: TextActivations) -> Tensor:
        """The last hidden state."""
        return taken.last

    def project(self, pooled: Tensor) -> Tensor:
        """The text projection."""
        return self.text.proj(pooled)

    def encode(self, ids: Tensor) -> Tensor:
        """The model's own text vectors; it masks the padding."""
        out = self.text(ids)
        return out[0] if isinstance(out, tuple) else out

    def known_special(self) -> SpecialTokens | None:
        """What the configuration says; T5 has no start token."""
        end, pad = self.config.eos_token_id, self.config.pad_token_id
        if end is None or pad is None:
            return None
        return SpecialTokens(0 if "t5" in self.config.model_type else 1, end, pad)

    def find_tokenizer(self) -> Tokenizer:
        """The one of the same name as the transformer, in rows as long as open_clip makes them."""
        if not self.config.name_or_path:
            return super().find_tokenizer()
        from open_clip.tokenizer import HFTokenizer

        return HFTokenizer(self.config.name_or_path, min(self.context_length, _OPEN_CLIP_LENGTH))
