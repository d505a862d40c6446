"""Towers put together from a model's own modules: the short way to register a CLIP of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from harmoclip.capture import TapPoint, first_input, spatial_shape
from harmoclip.towers.attention import Block
from harmoclip.towers.base import Dense, ImageTower, TextTower, split_grid
from harmoclip.towers.phrases import SpecialTokens

Function = Callable[[Tensor], Tensor]


class PlainImage(ImageTower):
    """An image encoder with tokens `[B, prefix + H * W, C]`.

    Args:
        patches: The module that is given the images and gives `[B, C, H, W]` patch embeddings.
        last: The last block; its output is the tokens.
        project: Pooled tokens `[..., C]` to vectors `[..., D]` of the joint space.
        pool: All tokens `[B, N, C]` to the image's own `[B, C]`, before `project`.
        norm: What the model applies to every token before it pools, if anything.
        before_last: The module whose output `last` is given. With it, and where `last` has the parts of a
            known transformer block, there are the kinds `value` and `self`.
    """

    def __init__(
        self,
        *,
        patches: nn.Module,
        last: nn.Module,
        project: Function,
        pool: Function,
        norm: Function = nn.Identity(),  # noqa: B008  it has no state
        before_last: nn.Module | None = None,
    ) -> None:
        self.patches, self.last, self.before_last = patches, last, before_last
        self.project_pooled, self.pool, self.norm = project, pool, norm
        self.block = Block(last)
        self.kinds: tuple[str, ...] = ("plain", *(self.block.kinds if before_last is not None else ()))
        self.default_kind = "value" if "value" in self.kinds else "plain"

    def taps(self, kind: str) -> dict[str, TapPoint]:
        """The images, the grid, the tokens."""
        points = {
            "images": TapPoint(self.patches, first_input),
            "grid": TapPoint(self.patches, spatial_shape),
            "last": TapPoint(self.last),
        }
        if kind != "plain":
            assert self.before_last is not None
            points["penultimate"] = TapPoint(self.before_last)
        return points

    def dense(self, taken: Mapping[str, Any], kind: str) -> Dense:
        """Normed tokens."""
        tokens = taken["last"] if kind == "plain" else self.block.run(taken["penultimate"], kind)
        return Dense(self.norm(tokens), taken["grid"], split_grid(tokens, taken["grid"]))

    def project(self, pooled: Tensor) -> Tensor:
        """The model's projection."""
        return self.project_pooled(pooled)

    def global_vectors(self, taken: Mapping[str, Any]) -> Tensor:
        """The model's pooling of the normed tokens, projected."""
        return self.project_pooled(self.pool(self.norm(taken["last"])))


class PlainText(TextTower):
    """A text encoder with tokens `[B, L, C]`.

    Args:
        words: The module that is given the token ids.
        last: The module that gives the last tokens.
        project: Pooled tokens `[..., C]` to vectors `[..., D]` of the joint space.
        encode: Token ids `[P, context_length]` to the model's own text vectors `[P, D]`.
        context_length: The positions of a row of ids.
        special: The tokens that the tokenizer puts around a text.
    """

    def __init__(
        self,
        *,
        words: nn.Module,
        last: nn.Module,
        project: Function,
        encode: Function,
        context_length: int,
        special: SpecialTokens,
    ) -> None:
        self.words, self.last = words, last
        self.project_pooled, self.encode_ids = project, encode
        self.context_length, self.special = context_length, special

    def taps(self) -> dict[str, TapPoint]:
        """The token ids and the tokens."""
        return {"ids": TapPoint(self.words, first_input), "last": TapPoint(self.last)}

    def tokens(self, taken: Mapping[str, Any]) -> Tensor:
        """The last tokens."""
        return taken["last"]

    def project(self, pooled: Tensor) -> Tensor:
        """The model's projection."""
        return self.project_pooled(pooled)

    def global_vectors(self, taken: Mapping[str, Any]) -> Tensor:
        """The texts encoded again by the model, which alone knows how it pools."""
        return self.encode_ids(taken["ids"])

    def encode(self, ids: Tensor) -> Tensor:
        """The model's own text vectors."""
        return self.encode_ids(ids)

    def guess_special(self, ids: Tensor) -> SpecialTokens:
        """Nothing to guess."""
        assert self.special is not None
        return self.special

    def short_rows_are_exact(self) -> bool:
        """Unknown, so rows are full."""
        return False


EXAMPLE = '''
from typing import Any

from harmoclip.towers import PlainImage, PlainText, SpecialTokens, Towers, register


@register
def my_clip(model: Any) -> Towers | None:
    """The towers of a MyClip, None for any other model."""
    if type(model).__name__ != "MyClip":
        return None
    image = PlainImage(
        patches=model.patches,  # given the images, gives [B, C, H, W]
        last=model.blocks[-1],  # gives the tokens [B, prefix + H * W, C]
        project=model.image_head,  # [..., C] to the joint space
        pool=model.mean,  # tokens to the image's own [B, C]
    )
    text = PlainText(
        words=model.words,  # given the token ids
        last=model.language,  # gives the tokens [B, L, C]
        project=model.text_head,
        encode=model.encode_text,  # ids to text vectors
        context_length=16,
        special=SpecialTokens(start=1, end=99, pad=0),  # what the tokenizer adds
    )
    return Towers(model, image, text)  # it has encode_image, encode_text and logit_scale
'''.strip()
