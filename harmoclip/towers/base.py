"""What every tower must say of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from harmoclip.capture import ImageActivations, ImageTaps, TextActivations, TextTaps
from harmoclip.errors import CaptureError, InputError
from harmoclip.grounding import Grounding
from harmoclip.notebook import table
from harmoclip.ops import region_pool
from harmoclip.recompute import recomputed
from harmoclip.sharding import runs_again
from harmoclip.tokenizers import Tokenizer, padded
from harmoclip.towers.phrases import SpecialTokens, phrase_rows, special_tokens, used_columns

Part = nn.Module | nn.Parameter | None
"""A module or a bare parameter of a model; None where this model has no such part."""


def parts(module: Any, *names: str) -> bool:
    """Whether the object has all these attributes."""
    return all(hasattr(module, name) for name in names)


def optional(module: Any, *names: str) -> tuple[Part, ...]:
    """The parts of these names, None for those that the module lacks."""
    return tuple(getattr(module, name, None) for name in names)


class Tower(ABC):
    """An encoder of images or of texts, described by the modules that the model has.

    Attributes:
        encoder: Everything that belongs to the tower.
        stem: What lies below the first block, such as embeddings, their positions and their norm.
        blocks: The blocks from the bottom up; of networks with stages, those of all stages.
    """

    encoder: Sequence[Part] = ()
    stem: Sequence[Part] = ()
    blocks: Sequence[nn.Module] = ()

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether the module has the parts that this tower reads; asked of towers that are registered."""
        return False

    @abstractmethod
    def project(self, pooled: Tensor) -> Tensor:
        """Pooled features `[..., C]` to vectors `[..., D]` of the joint space."""

    @property
    def last_block(self) -> nn.Module:
        """The highest block: region features are made of its output, or by its weights."""
        return self.blocks[-1]

    def _about(self) -> dict[str, object]:
        """What a notebook shows of the tower."""
        count = sum(parameter.numel() for parameter in set(parameters(self.encoder)))
        return {"blocks": len(self.blocks), "parameters": f"{count:,}"}

    def _repr_html_(self) -> str:
        return table(type(self).__name__, self._about())

    def depths(self) -> dict[nn.Parameter, int]:
        """How high each parameter of the tower lies.

        Returns:
            0 for the stem, i for the i-th of n blocks, n + 1 for what comes after the last block.
        """
        depths = dict.fromkeys(parameters(self.encoder), len(self.blocks) + 1)
        depths.update(dict.fromkeys(parameters(self.stem), 0))
        for depth, block in enumerate(self.blocks, start=1):
            depths.update(dict.fromkeys(block.parameters(), depth))
        return depths


def parameters(of: Sequence[Part]) -> Iterator[nn.Parameter]:
    """The parameters of modules, and those that are given bare."""
    for part in of:
        if isinstance(part, nn.Parameter):
            yield part
        elif part is not None:
            yield from part.parameters()


class Dense(NamedTuple):
    """Features of an image batch before the projection, in the tower's own token layout."""

    tokens: Tensor  # [B, prefix + H * W, C]
    grid: tuple[int, int]  # (H, W), of the first image where a batch has several
    prefix: int
    grids: tuple[tuple[int, int], ...] = ()  # of each image, where a batch has several


class ImageTower(Tower):
    """Where an image encoder keeps its tokens, and how they become vectors of the joint space.

    Attributes:
        kinds: The dense kinds that the tower can give.
        default_kind: The one that is taken where nothing is said.
        any_grid: Whether every image of a batch has a grid of its own.
    """

    kinds: tuple[str, ...]
    default_kind: str
    any_grid: bool = False

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Height and width of the images that the model was built for; None where nothing says so."""
        return None

    def _about(self) -> dict[str, object]:
        kinds = ", ".join(f"{kind} (default)" if kind == self.default_kind else kind for kind in self.kinds)
        return {**super()._about(), "input": self.input_size or "any", "dense kinds": kinds}

    @abstractmethod
    def taps(self, kind: str) -> ImageTaps:
        """The modules to read for a dense kind and for the global vector."""

    @abstractmethod
    def dense(self, taken: ImageActivations, kind: str) -> Dense:
        """Features `[B, prefix + H * W, C]` of the given kind, in a form that pools linearly."""

    def global_vectors(self, taken: ImageActivations) -> Tensor:
        """The model's own image vectors `[B, D]`, from what was captured."""
        assert taken.vectors is not None
        return taken.vectors

    def regions(self, dense: Dense, kind: str, boxes: Tensor, image_index: Tensor) -> Tensor:
        """Vectors `[R, D]` of boxes: pool first, project after."""
        pooled = region_pool(dense.tokens, boxes, image_index, grid=dense.grid, prefix=dense.prefix)
        return self.project(pooled)


class TextTower(Tower):
    """Where a text encoder keeps its tokens, and how they become vectors of the joint space."""

    context_length: int
    _special: SpecialTokens | None = None
    _tokenizer: Tokenizer | None = None

    def _about(self) -> dict[str, object]:
        return {**super()._about(), "longest text": f"{self.context_length} tokens"}

    @abstractmethod
    def taps(self) -> TextTaps:
        """The modules to read."""

    @abstractmethod
    def tokens(self, taken: TextActivations) -> Tensor:
        """Contextual token features `[B, L, C]` before the projection."""

    def global_vectors(self, taken: TextActivations) -> Tensor:
        """The model's own text vectors `[B, D]`, from what was captured."""
        assert taken.vectors is not None
        return taken.vectors

    @abstractmethod
    def encode(self, ids: Tensor) -> Tensor:
        """The model's own vectors `[P, D]` of texts `[P, T]`, T at most the context length."""

    def short_rows_are_exact(self) -> bool:
        """Whether a text without its padding has the same vector."""
        return True

    def without_padding(self, ids: Tensor) -> Tensor:
        """Rows cut to the longest text, where texts keep their vectors so; whole rows elsewhere.

        Rows on a GPU stay whole, as a look at them would make the step wait for the device.
        """
        if torch.compiler.is_compiling() or ids.device.type != "cpu" or self.positions is None:
            return ids
        return ids[:, : used_columns(ids)]

    def encode_phrases(self, ids: Tensor, grounding: Grounding) -> Tensor:
        """Vectors `[P, D]` of phrases encoded as texts of their own, from the captions' token ids `[B, L]`.

        Each wording is encoded once, and nothing is kept for the backward pass, which encodes it again.
        Without phrases the model still runs, on a caption: sharded ranks all have to, and models refuse
        empty batches.

        Raises:
            InputError: Nothing says which tokens stand around a text.
        """
        vectors, rows = [], grounding.plan.first
        for count, longest in grounding.plan.groups:
            if count:
                group = self.phrase_texts(ids, grounding, rows[:count], longest)
                vectors.append(self.encode_twice(self.encode, group))
            else:
                vectors.append(self.encode_twice(self.encode, ids[:1])[:0])
            rows = rows[count:]
        return torch.cat(vectors)[grounding.plan.row_of]

    def encode_twice(self, encode: Callable[[Tensor], Tensor], ids: Tensor) -> Tensor:
        """Encode now, and again in the backward pass, which keeps nothing; once where shards forbid it."""
        return recomputed(encode, ids) if runs_again(self.blocks) else encode(ids)

    def phrase_texts(self, ids: Tensor, grounding: Grounding, phrases: Tensor, longest: int) -> Tensor:
        """Token ids of the given phrases as texts of their own; `longest` of their spans is known.

        Rows are as short as the longest phrase allows where that is exact, full otherwise.
        """
        spans, text_index = grounding.spans[phrases], grounding.text_index[phrases]
        rows = phrase_rows(ids, spans, text_index, longest, self.special)[:, : self.context_length]
        if self.short_rows_are_exact():
            return rows
        missing = self.context_length - rows.shape[1]
        return torch.cat([rows, rows.new_full((len(rows), missing), self.special.pad)], 1)

    @property
    def positions(self) -> nn.Parameter | None:
        """The learned positions `[L, C]`, where a text has the same vector in a row of any length.

        None for towers that see both ways or pool at the end of the row: there every position counts.
        """
        return None

    def set_positions(self, table: Tensor) -> None:
        """Give the tower other positions `[L, C]`; whatever knows their number follows."""
        raise NotImplementedError

    def check_rows(self, ids: Tensor) -> None:
        """Raise an InputError where rows of token ids have more positions than the tower's table."""
        if torch.compiler.is_compiling() or self.positions is None:
            return
        if ids.shape[1] > self.context_length:
            raise self.wrong_length(f"texts are rows of {ids.shape[1]} tokens")

    def wrong_length(self, given: str) -> InputError:
        """The error for rows of another length than the tower's."""
        return InputError(
            f"{given}, and the model reads rows of {self.context_length}: expected as many. Where its "
            "context was stretched, give stretch_context(...).tokenizer; where that was undone, the old one."
        )

    @property
    def special(self) -> SpecialTokens:
        """The tokens around a text: of the tokenizer that was told, else by the model's own settings.

        Where the settings leave it open, the tokenizer is looked up that they name. Nothing is taken from
        the texts of a batch.

        Raises:
            InputError: Nothing says it.
        """
        if self._special is None:
            self._special = self.known_special() or special_tokens(self.tokenizer)
        return self._special

    def settle_special(self) -> None:
        """Keep what the settings say of the special tokens now, so that no compiled program has to ask."""
        if self._special is None:
            with suppress(InputError):
                self._special = self.known_special()

    def known_special(self) -> SpecialTokens | None:
        """The tokens around a text as the model's configuration or the size of its vocabulary tell them."""
        return None

    def tell_tokenizer(self, tokenizer: Tokenizer) -> None:
        """Keep the tokenizer, and read the special tokens off its rows for an empty and a short text.

        A tokenizer of transformers is made to pad and cut its rows to the context length.

        Raises:
            InputError: The rows are not padded at the right, no tensors, or not as long as the tower's.
        """
        tokenizer = padded(tokenizer, self.context_length)
        special = special_tokens(tokenizer)
        length = tokenizer([""]).shape[1]
        if self.positions is not None and length != self.context_length:
            raise self.wrong_length(f"the tokenizer gives rows of {length} tokens")
        self._special = special
        self._tokenizer = tokenizer

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the tower was told, or else that the model's own settings name.

        Raises:
            InputError: There is neither.
        """
        if self._tokenizer is None:
            self._tokenizer = self.find_tokenizer()
        return self._tokenizer

    def find_tokenizer(self) -> Tokenizer:
        """The tokenizer that the model's own settings name; none, unless a family knows better."""
        raise InputError(
            "nothing in this model says which tokenizer it was trained with. Tell it the one that load_model "
            "gives, or open_clip.get_tokenizer(NAME): harmonize(model, tokenizer=...)."
        )


class Towers:
    """Both towers of a model, and the model's own ways in."""

    def __init__(self, model: nn.Module, image: ImageTower, text: TextTower) -> None:
        self.model = model
        self.image = image
        self.text = text

    def encode_image(self, images: Tensor) -> Tensor:
        """The model's own image vectors `[B, D]`, as the model gives them."""
        return self.model.encode_image(images)  # type: ignore[operator]

    def encode_text(self, ids: Tensor) -> Tensor:
        """The model's own text vectors `[B, D]`, as the model gives them."""
        return self.model.encode_text(ids)  # type: ignore[operator]

    def encode_captions(self, ids: Tensor) -> Tensor:
        """The same of texts whose tokens nobody reads, without the padding that all rows share."""
        cut = self.text.without_padding(ids)
        return self.encode_text(ids) if cut is ids or not self._libraries_own() else self.text.encode(cut)

    def _libraries_own(self) -> bool:
        """Whether `encode_text` is what the text tower knows, and no user's."""
        return getattr(self.model.encode_text, "__module__", "").split(".")[0] in ("open_clip", "clip")

    def _repr_html_(self) -> str:
        return self.image._repr_html_() + self.text._repr_html_()

    @property
    def logit_scale(self) -> Tensor:
        """The model's learned log temperature."""
        return self.model.logit_scale  # type: ignore[return-value]

    @property
    def logit_bias(self) -> Tensor | None:
        """The model's learned bias: a model that has one was made for the sigmoid loss."""
        return getattr(self.model, "logit_bias", None)


def square(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width, from both or from one side of a square."""
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def one_grid(dense: Dense) -> tuple[int, int]:
    """The grid of all images of a batch.

    Raises:
        InputError: The images have several.
    """
    if dense.grids:
        grids = ", ".join(f"{height} x {width}" for height, width in dense.grids)
        raise InputError(
            f"the images have the grids {grids}: expected one for all. "
            "Give images of one shape at a time; regions may be asked for together."
        )
    return dense.grid


def split_grid(tokens: Tensor, grid: tuple[int, int]) -> int:
    """The number of prefix tokens of `[B, N, C]` tokens on a grid of H x W cells.

    Raises:
        CaptureError: There are fewer tokens than cells, as patch dropout leaves them.
    """
    prefix = tokens.shape[1] - grid[0] * grid[1]
    if prefix < 0:
        raise CaptureError(
            f"the image tower gave {tokens.shape[1]} tokens for a grid of {grid[0]} x {grid[1]}: "
            "patch dropout is on. Regions need every patch; set patch_dropout to 0 or call model.eval()."
        )
    return prefix
