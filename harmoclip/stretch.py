"""Longer texts than a CLIP was built for: its table of positions stretched, as Long-CLIP does."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from harmoclip.capture import Tap
from harmoclip.errors import InputError, UnsupportedModelError
from harmoclip.models import LoadedModel
from harmoclip.tokenizers import Tokenizer, with_length
from harmoclip.towers import find_towers


def stretch_context(
    model: nn.Module, length: int = 248, *, kept: int = 20, tokenizer: Tokenizer | None = None
) -> StretchedContext:
    """Let a CLIP read longer texts, in the manner of Long-CLIP (arXiv 2403.15378).

    The first `kept` positions stay as they are, since they are the well-trained ones; those behind them are
    spread over the rest and interpolated linearly. A text that ends within the kept ones has the vector that
    it had, to rounding. Others need training on long captions.

    The model is changed in place: its positions keep their parameter, and its own record of their number
    (causal mask, `context_length`, configuration) follows, so that what is saved loads as a model of that
    length. Stretch before the model is harmonized, wrapped, compiled or sharded, and before its optimizer is
    made.

    Args:
        model: A CLIP of open_clip, OpenAI's clip or transformers whose text attention is causal.
        length: The new number of positions. 248 stretches CLIP's 57 others to 4 times as many.
        kept: How many positions stay as they are.
        tokenizer: The model's own, for models whose settings do not name it.

    Raises:
        UnsupportedModelError: No table can be stretched with short texts unchanged: the texts are pooled at
            the end of the row (SigLIP), or see both ways (BERT).
        InputError: The length is not longer, too much is kept, or the model is harmonized or wrapped.

    Example:
        >>> import open_clip
        >>> model = open_clip.create_model("ViT-B-32", pretrained=None)
        >>> stretched = stretch_context(model, 248)
        >>> stretched.tokenizer(["a dog on the beach"]).shape, model.positional_embedding.shape
        (torch.Size([1, 248]), torch.Size([248, 512]))
        >>> stretched.undo()
        >>> model.positional_embedding.shape
        torch.Size([77, 512])
    """
    _check_bare(model)
    tower = find_towers(model).text
    if tower.positions is None:
        raise UnsupportedModelError(
            f"the context of {type(model).__name__} cannot be stretched: its text tower "
            f"({type(tower).__name__}) has no table of positions, sees both ways, or pools at the end of the "
            "row, so that longer rows would change the vector of every text. Expected causal attention and "
            "the vector of the text's own end, as in the CLIPs of OpenAI, open_clip and transformers."
        )
    before = tower.context_length
    if length <= before:
        raise InputError(f"length is {length}: expected more than the {before} positions that the model has.")
    if not 0 <= kept <= before - 2:
        raise InputError(
            f"kept is {kept}: expected 0 to {before - 2}, so that 2 of {before} positions can be spread."
        )
    return StretchedContext(model, stretched_table(tower.positions.detach(), length, kept), tokenizer)


def with_context(loaded: LoadedModel, length: int | None) -> LoadedModel:
    """A loaded model with texts of this length and its tokenizer; as it is where it has that, or None.

    Raises:
        UnsupportedModelError: As `stretch_context` does.
        InputError: The model's own context is longer.
    """
    if length is None or length == find_towers(loaded.model).text.context_length:
        return loaded
    stretched = stretch_context(loaded.model, length, tokenizer=loaded.tokenizer)
    return loaded._replace(tokenizer=stretched.tokenizer)


class StretchedContext:
    """A model whose texts may be longer than it was built for; made by `stretch_context`.

    Attributes:
        model: The model.
        context_length: The tokens of a row of token ids.
    """

    def __init__(self, model: nn.Module, table: Tensor, tokenizer: Tokenizer | None) -> None:
        self.model = model
        self.context_length = len(table)
        self._given = tokenizer
        self._before: Tensor | None = _positions(model).detach()
        _set_positions(model, table)

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer in rows of the new length, for `harmonize(tokenizer=...)` and for datasets.

        Raises:
            InputError: No tokenizer was given, and nothing in the model names one.
        """
        return with_length(self._given or find_towers(self.model).text.tokenizer, self.context_length)

    def undo(self) -> None:
        """Give the model the positions that it had, with their values; a second call does nothing.

        Raises:
            InputError: The model is harmonized or wrapped: remove that first.
        """
        if self._before is None:
            return
        _check_bare(self.model)
        _set_positions(self.model, self._before.to(_positions(self.model)))
        self._before = None

    def __repr__(self) -> str:
        """The model's kind and how many positions it has, and had."""
        had = "undone" if self._before is None else f"from {len(self._before)}"
        return f"StretchedContext({type(self.model).__name__}, {self.context_length}, {had})"


def stretched_table(table: Tensor, length: int, kept: int) -> Tensor:
    """Positions `[L, C]` stretched to `[length, C]`: row `kept + j` is the old `kept + j * ratio`.

    The ratio is `(L - kept) / (length - kept)`; between two old rows it is a straight line, which goes on
    beyond the last.

    Example:
        >>> stretched_table(torch.tensor([[0.0], [1.0], [2.0], [4.0]]), 6, kept=2).flatten().tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    """
    rest = table[kept:].double()
    place = torch.arange(length - kept, device=table.device) * (len(rest) / (length - kept))
    low = place.long().clamp(max=len(rest) - 2)
    between = torch.lerp(rest[low], rest[low + 1], (place - low).double()[:, None])
    return torch.cat([table[:kept], between.to(table.dtype)])


def _positions(model: nn.Module) -> Tensor:
    positions = find_towers(model).text.positions
    assert positions is not None
    return positions


def _set_positions(model: Any, table: Tensor) -> None:
    tower = find_towers(model).text
    assert tower.positions is not None
    tower.positions.grad = None  # of the other shape
    tower.set_positions(table)
    if hasattr(model, "context_length"):  # open_clip's models repeat what their text towers say
        model.context_length = len(table)


def _check_bare(model: nn.Module) -> None:
    """Raise where something remembers how long texts were."""
    if any(isinstance(hook, Tap) for module in model.modules() for hook in module._forward_hooks.values()):
        raise InputError(
            "the model is harmonized: stretch its context first, or undo that after harmo.remove(), and "
            "harmonize again."
        )
    if hasattr(model, "peft_config") or hasattr(model, "_orig_mod"):
        raise InputError(
            f"the model is wrapped by {type(model).__name__}: stretch its context before adapters or "
            "torch.compile come around it."
        )
