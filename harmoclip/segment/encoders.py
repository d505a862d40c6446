"""What each family of tokenizers does to a text: one class a family, found by duck-typing."""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, Protocol

from harmoclip.errors import InputError

Offsets = list[tuple[int, int]]
"""Half-open character offsets of the token at each position of a row; (0, 0) for special tokens and padding."""

_CONTEXT_LENGTH = 77


class Encoder(Protocol):
    """A tokenizer seen from the side of its offsets."""

    def clean(self, caption: str) -> str:
        """The text that the tokenizer cuts into tokens."""
        ...

    def encode(self, text: str, *, truncate: bool) -> Offsets:
        """Offsets into the clean text, as the tokenizer's row has them or before it cuts that row."""
        ...

    def says(self, text: str, positions: tuple[int, int], phrase: str) -> bool:
        """Whether the tokens at these positions of the row decode to the phrase."""
        ...


class BytePairEncoder:
    """CLIP's own byte-pair tokenizer, open_clip's and OpenAI's."""

    def __init__(self, tokenizer: Any, clean: Callable[[str], str], context_length: int) -> None:
        self.tokenizer = tokenizer
        self.clean = clean
        self.context_length = context_length
        self._pieces: dict[str, Offsets] = {}

    def encode(self, text: str, *, truncate: bool) -> Offsets:
        row: Offsets = [(0, 0)]
        for match in self.tokenizer.pat.finditer(text):
            shift = match.start()
            row.extend((start + shift, end + shift) for start, end in self._cut(match.group()))
        if truncate and len(row) > self.context_length - 1:
            return row[: self.context_length - 1]
        return row

    def says(self, text: str, positions: tuple[int, int], phrase: str) -> bool:
        return True

    def _cut(self, word: str) -> Offsets:
        if word not in self._pieces:
            self._pieces[word] = self._cut_anew(word)
        return self._pieces[word]

    def _cut_anew(self, word: str) -> Offsets:
        symbols = "".join(self.tokenizer.byte_encoder[byte] for byte in word.encode("utf-8"))
        # byte -> character, so that tokens which split a character cover all of it
        characters = [i for i, character in enumerate(word) for _ in character.encode("utf-8")]
        offsets, first = [], 0
        for piece in self.tokenizer.bpe(symbols).split(" "):
            last = min(first + len(piece), len(characters))
            offsets.append((characters[first], characters[last - 1] + 1))
            first = last
        return offsets


class FastEncoder:
    """A fast Hugging Face tokenizer, alone or behind one of open_clip's wrappers.

    Offset mappings of fast tokenizers are at times wrong, so a span counts only if its tokens decode to it.
    """

    def __init__(self, tokenizer: Any, clean: Callable[[str], str] = str, **options: Any) -> None:
        self.tokenizer = tokenizer
        self.clean = clean
        self.options = {name: value for name, value in options.items() if name != "return_tensors"}
        self._normalizer = tokenizer.backend_tokenizer.normalizer
        self._unknown = {tokenizer.unk_token_id} - {None}

    def encode(self, text: str, *, truncate: bool) -> Offsets:
        options = self.options if truncate else {"truncation": False, "padding": False, "verbose": False}
        return self.tokenizer(text, return_offsets_mapping=True, **options)["offset_mapping"]

    def says(self, text: str, positions: tuple[int, int], phrase: str) -> bool:
        ids = self.tokenizer(text, **self.options)["input_ids"][slice(*positions)]
        if self._unknown.intersection(ids):
            return True
        return self._plain(self.tokenizer.decode(ids)) == self._plain(phrase)

    def _plain(self, text: str) -> str:
        """Normalised as the tokenizer does, without whitespace."""
        normal = self._normalizer.normalize_str(text) if self._normalizer else text
        return "".join(normal.replace("\u2581", " ").split())


class ClipsEncoder(FastEncoder):
    """open_clip's "clips" mode: start, tokens, end, padding, and a class token in the last place."""

    def __init__(self, tokenizer: Any, clean: Callable[[str], str], context_length: int) -> None:
        super().__init__(tokenizer, clean, add_special_tokens=False, verbose=False)
        self.kept = context_length - 3

    def encode(self, text: str, *, truncate: bool) -> Offsets:
        offsets = super().encode(text, truncate=True)
        return [(0, 0), *(offsets[: self.kept] if truncate else offsets)]

    def says(self, text: str, positions: tuple[int, int], phrase: str) -> bool:
        return super().says(text, (positions[0] - 1, positions[1] - 1), phrase)


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
            "This SimpleTokenizer drops tokens at random (reduction_mask), so positions change with every call. "
            "Give one without a reduction mask."
        )
    length = options.get("context_length") or getattr(tokenizer, "context_length", None) or _CONTEXT_LENGTH
    clean = getattr(tokenizer, "clean_fn", None) or functools.partial(
        _openai_clean, type(tokenizer).__module__
    )
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
        f"Tokens of {getattr(tokenizer, '__name__', type(tokenizer).__name__)} cannot be traced to characters. "
        "Expected open_clip's SimpleTokenizer, HFTokenizer or SigLipTokenizer, OpenAI's clip.tokenize, or a fast "
        "Hugging Face tokenizer (AutoTokenizer.from_pretrained(..., use_fast=True))."
    )
