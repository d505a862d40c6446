"""Find the encoder of a tokenizer by what the tokenizer has, not by its class."""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from harmoclip.errors import InputError
from harmoclip.segment.encoders import BytePairEncoder, ClipsEncoder, Encoder, FastEncoder

_CONTEXT_LENGTH = 77


def encoder_for(tokenizer: Any) -> Encoder:
    """The encoder that follows what this tokenizer does.

    Raises:
        InputError: No encoder can.
    """
    options: dict[str, Any] = {}
    while isinstance(tokenizer, functools.partial):
        options = {**tokenizer.keywords, **options}
        tokenizer = tokenizer.func
    if inspect.isfunction(tokenizer):
        return _from_function(tokenizer, options)
    if _is_byte_pair(tokenizer):
        return _from_byte_pair(tokenizer, options)
    if hasattr(tokenizer, "tokenizer") and hasattr(tokenizer, "context_length"):
        return _from_wrapper(tokenizer, options)
    return FastEncoder(_fast(tokenizer), **options)


def _is_byte_pair(tokenizer: Any) -> bool:
    return all(hasattr(tokenizer, name) for name in ("bpe", "byte_encoder", "pat"))


def _from_function(function: Callable[..., Any], options: dict[str, Any]) -> Encoder:
    """`clip.tokenize` and `open_clip.tokenize` are functions over a tokenizer of their module."""
    tokenizer = function.__globals__.get("_tokenizer")
    if not _is_byte_pair(tokenizer):
        raise _unsupported(function)
    defaults = inspect.signature(function).parameters.get("context_length")
    length = options.get("context_length", defaults.default if defaults else _CONTEXT_LENGTH)
    return _from_byte_pair(tokenizer, {"context_length": length})


def _from_byte_pair(tokenizer: Any, options: dict[str, Any]) -> Encoder:
    if getattr(tokenizer, "reduction_fn", None) is not None:
        raise InputError(
            "This SimpleTokenizer drops tokens (reduction_mask), so that positions change with every call. "
            "Give one without a reduction mask."
        )
    length = options.get("context_length") or getattr(tokenizer, "context_length", None) or _CONTEXT_LENGTH
    openai_clean = functools.partial(_openai_clean, type(tokenizer).__module__)
    clean = getattr(tokenizer, "clean_fn", None) or openai_clean
    return BytePairEncoder(tokenizer, clean, length)


def _openai_clean(module_name: str, caption: str) -> str:
    module = sys.modules[module_name]
    return module.whitespace_clean(module.basic_clean(caption)).lower()


def _from_wrapper(wrapper: Any, options: dict[str, Any]) -> Encoder:
    """open_clip's `HFTokenizer` and `SigLipTokenizer` clean the text and fix the length."""
    tokenizer, length = _fast(wrapper.tokenizer), options.get("context_length") or wrapper.context_length
    clean = getattr(wrapper, "clean_fn", None) or functools.partial(_siglip_clean, type(wrapper).__module__)
    if getattr(wrapper, "tokenizer_mode", "") == "clips":
        return ClipsEncoder(tokenizer, clean, length)
    return FastEncoder(tokenizer, clean, max_length=length, padding="max_length", truncation=True)


def _siglip_clean(module_name: str, caption: str) -> str:
    module = sys.modules[module_name]
    return module.canonicalize_text(module.basic_clean(caption))


def _fast(tokenizer: Any) -> Any:
    if not getattr(tokenizer, "is_fast", False):
        raise _unsupported(tokenizer)
    return tokenizer


def _unsupported(tokenizer: Any) -> InputError:
    return InputError(
        f"Tokens of {getattr(tokenizer, '__name__', type(tokenizer).__name__)} cannot be traced to the text. "
        "Expected open_clip's SimpleTokenizer, HFTokenizer or SigLipTokenizer, OpenAI's clip.tokenize, or a "
        "fast Hugging Face tokenizer, such as AutoTokenizer.from_pretrained returns."
    )
