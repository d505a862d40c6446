"""Tokenizers: any callable, Hugging Face's made to pad, and the look-up by name."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harmoclip.errors import InputError
from harmoclip.hub import from_hub

if TYPE_CHECKING:
    from torch import Tensor


class Tokenizer(Protocol):
    """A list of texts to rows of token ids `[B, L]`, all of one length and padded at the right."""

    def __call__(self, texts: list[str], /) -> Tensor:
        """Ids `[B, L]` of texts."""
        ...


class HfTokenizer:
    """A Hugging Face tokenizer as CLIPs use it: rows of one length, cut and padded.

    Args:
        tokenizer: The fast tokenizer.
        context_length: The length of a row.
    """

    def __init__(self, tokenizer: Any, context_length: int) -> None:
        self.tokenizer = tokenizer
        self.context_length = context_length

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Ids `[B, context_length]` of texts."""
        rows = self.tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=self.context_length,
            return_tensors="pt",
        )
        return rows["input_ids"]

    def clean_fn(self, text: str) -> str:
        """Nothing is done to a text before it is cut into tokens."""
        return text


def padded(tokenizer: Any, context_length: int) -> Tokenizer:
    """The tokenizer itself, or one of transformers made to pad and cut its rows to the context length."""
    if not hasattr(tokenizer, "model_max_length"):
        return tokenizer  # type: ignore[no-any-return]
    return HfTokenizer(tokenizer, min(context_length, tokenizer.model_max_length))


def with_length(tokenizer: Any, context_length: int) -> Tokenizer:
    """A tokenizer of the same words in rows of another length; the one given stays as it is.

    Args:
        tokenizer: One of open_clip or transformers, or a function with an argument `context_length`, such as
            `clip.tokenize`.
        context_length: The tokens of a row.

    Raises:
        InputError: The tokenizer cannot be told a length.

    Example:
        >>> import open_clip
        >>> with_length(open_clip.SimpleTokenizer(), 248)(["a dog"]).shape
        torch.Size([1, 248])
    """
    if isinstance(tokenizer, HfTokenizer):
        tokenizer = tokenizer.tokenizer
    if hasattr(tokenizer, "model_max_length"):
        tokenizer = copy.copy(tokenizer)
        tokenizer.model_max_length = context_length  # saved with the tokenizer
        return HfTokenizer(tokenizer, context_length)
    if hasattr(tokenizer, "context_length"):
        tokenizer = copy.copy(tokenizer)
        tokenizer.context_length = context_length
        return tokenizer  # type: ignore[no-any-return]
    if "context_length" in inspect.signature(tokenizer).parameters:
        return functools.partial(tokenizer, context_length=context_length)
    raise InputError(
        f"the tokenizer is a {type(tokenizer).__name__} without a context_length: expected one of open_clip "
        f"or transformers, or clip.tokenize. Make your own give rows of {context_length} tokens."
    )


def pretrained_tokenizer(path: str, config: Any) -> HfTokenizer:
    """The tokenizer of a Hugging Face model, in rows that fit its text tower.

    Args:
        path: The model's name on the hub or its folder.
        config: The configuration of the model, or of its text tower.

    Raises:
        InputError: There is no tokenizer at the path.
    """
    import transformers

    try:
        with nullcontext() if Path(path).is_dir() else from_hub(path):
            tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError, TypeError) as error:  # the last of transformers 4, for files that lack
        raise InputError(f"transformers cannot load a tokenizer from {path!r}: {error}") from error
    if len(tokenizer) <= len(
        tokenizer.all_special_ids
    ):  # transformers 5 makes an empty one without its files
        raise InputError(f"transformers cannot load a tokenizer from {path!r}: its vocabulary is not there.")
    positions = getattr(getattr(config, "text_config", config), "max_position_embeddings", None)
    lengths = (positions, tokenizer.model_max_length)
    return HfTokenizer(tokenizer, min(length for length in lengths if length))
