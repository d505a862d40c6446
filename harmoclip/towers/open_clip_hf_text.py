"""open_clip's `HFTextEncoder`: RoBERTa, XLM-RoBERTa, mT5 and NLLB text towers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from harmoclip.capture import TapPoint, first_input
from harmoclip.tokenizers import Tokenizer
from harmoclip.towers.base import TextTower, parts
from harmoclip.towers.phrases import SpecialTokens

_OPEN_CLIP_LENGTH = 77


def last_hidden_state(args: tuple[Any, ...], output: Any) -> Any:
    """The tokens in a Hugging Face transformer's output."""
    return output.last_hidden_state


class OpenClipHfText(TextTower):
    """Tokens of the Hugging Face `transformer` inside, projected by `proj`."""

    def __init__(self, text: Any) -> None:
        self.text = text
        self.config: Any = self.text.config
        self.context_length: int = self.text.context_length or _OPEN_CLIP_LENGTH  # mT5 has no limit

    @classmethod
    def matches(cls, text: Any) -> bool:
        """Whether the module has the parts that this tower reads."""
        return parts(text, "transformer", "pooler", "proj", "config") and isinstance(text.proj, nn.Module)

    def taps(self) -> dict[str, TapPoint]:
        """The token ids, the last hidden state, the text vector."""
        transformer = self.text.transformer
        words = getattr(
            transformer, "embed_tokens", None
        )  # transformers 4 does not ask NLLB's encoder for it
        return {
            "ids": TapPoint(words or transformer.get_input_embeddings(), first_input),
            "last": TapPoint(transformer, last_hidden_state),
            "global": TapPoint(self.text.proj),
        }

    def tokens(self, taken: Mapping[str, Any]) -> Tensor:
        """The last hidden state."""
        return taken["last"]

    def project(self, pooled: Tensor) -> Tensor:
        """The text projection."""
        return self.text.proj(pooled)

    def global_vectors(self, taken: Mapping[str, Any]) -> Tensor:
        """What the projection gave."""
        return taken["global"]

    def encode(self, ids: Tensor) -> Tensor:
        """The model's own text vectors; it masks the padding."""
        out = self.text(ids)
        return out[0] if isinstance(out, tuple) else out

    def guess_special(self, ids: Tensor) -> SpecialTokens:
        """T5 has no start token; the end token is the last before the padding."""
        pad = self.config.pad_token_id
        last = (ids != pad).sum(1, keepdim=True).clamp(min=1) - 1
        start = 0 if "t5" in self.config.model_type else 1
        return SpecialTokens(start, end=ids.gather(1, last)[:, 0], pad=pad)

    def find_tokenizer(self) -> Tokenizer:
        """The one of the same name as the transformer, in rows as long as open_clip makes them."""
        if not self.config.name_or_path:
            return super().find_tokenizer()
        from open_clip.tokenizer import HFTokenizer

        return HFTokenizer(self.config.name_or_path, min(self.context_length, _OPEN_CLIP_LENGTH))
