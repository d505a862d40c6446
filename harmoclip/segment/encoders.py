"""What each family of tokenizers does to a text, seen from the side of its offsets."""

from collections.abc import Callable
from typing import Any, Protocol

Offsets = list[tuple[int, int]]
"""Half-open character offsets of the token at each position of a row; (0, 0) for special tokens."""


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
        """Offsets of the start token and of the pieces of every word."""
        row: Offsets = [(0, 0)]
        for match in self.tokenizer.pat.finditer(text):
            shift = match.start()
            row.extend((start + shift, end + shift) for start, end in self._cut(match.group()))
        if truncate and len(row) > self.context_length - 1:
            return row[: self.context_length - 1]
        return row

    def says(self, text: str, positions: tuple[int, int], phrase: str) -> bool:
        """True: the offsets are counted here, byte by byte."""
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
        # which CLIP's own `decode` takes off, but not that of its copy in another process
        self._end_of_word = getattr(tokenizer.backend_tokenizer.model, "end_of_word_suffix", None) or ""

    def encode(self, text: str, *, truncate: bool) -> Offsets:
        """Offsets as the tokenizer maps them."""
        options = self.options if truncate else {"truncation": False, "padding": False, "verbose": False}
        return self.tokenizer(text, return_offsets_mapping=True, **options)["offset_mapping"]

    def says(self, text: str, positions: tuple[int, int], phrase: str) -> bool:
        """Whether decoding gives the phrase, apart from whitespace; unknown tokens are believed."""
        ids = self.tokenizer(text, **self.options)["input_ids"][slice(*positions)]
        if self._unknown.intersection(ids):
            return True
        said = self.tokenizer.decode(ids).replace(self._end_of_word or " ", " ")
        return self._plain(said) == self._plain(phrase)

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
        """Offsets, moved by the start token."""
        offsets = super().encode(text, truncate=True)
        return [(0, 0), *(offsets[: self.kept] if truncate else offsets)]

    def says(self, text: str, positions: tuple[int, int], phrase: str) -> bool:
        """As for the tokenizer alone, which adds no start token here."""
        return super().says(text, (positions[0] - 1, positions[1] - 1), phrase)
