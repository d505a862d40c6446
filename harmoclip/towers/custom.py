"""Towers put together from a model's own modules: the short way to register a CLIP of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from harmoclip.capture import (
    ImageActivations,
    ImageTaps,
    TapPoint,
    TextActivations,
    TextTaps,
    first_input,
    spatial_shape,
)
from harmoclip.towers.base import Dense, Part, TextTower, split_grid
from harmoclip.towers.phrases import SpecialTokens
from harmoclip.towers.transformer import TransformerTower

Function = Callable[[Tensor], Tensor]


class CustomImageTower(TransformerTower):
    """An image encoder with tokens `[B, prefix + H * W, C]`.

    Where the last block has the parts of a known transformer block, and there is one below it, there are the
    dense kinds `value` and `self` beside `plain`.

    Args:
        patches: The module that is given the images and gives `[B, C, H, W]` patch embeddings.
        blocks: The blocks from the bottom up; each is given the output of the one below, and the output of
            the last is the tokens.
        project: Pooled tokens `[..., C]` to vectors `[..., D]` of the joint space.
        pool: All tokens `[B, N, C]` to the image's own `[B, C]`, before `project`.
        norm: What the model applies to every token before it pools, if anything.
        input_size: Height and width of the images that the model was built for.
    """

    def __init__(
        self,
        *,
        patches: nn.Module,
        blocks: Sequence[nn.Module],
        project: Function,
        pool: Function,
        norm: Function = nn.Identity(),  # noqa: B008  it has no state
        input_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(blocks, before=None)
        self.patches = patches
        self.project_pooled, self.pool, self.norm = project, pool, norm
        self.stem = (patches,)
        self.encoder = (patches, *blocks, *learned(norm, pool, project))
        self._input_size = input_size

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Height and width of the images that the model was built for; None where nothing says so."""
        return self._input_size

    def taps(self, kind: str) -> ImageTaps:
        """The images, the grid, the tokens."""
        return ImageTaps(
            images=TapPoint(self.patches, first_input),
            grid=TapPoint(self.patches, spatial_shape),
            last=TapPoint(self.last_block),
            penultimate=self.penultimate(kind),
        )

    def dense(self, taken: ImageActivations, kind: str) -> Dense:
        """Normed tokens."""
        tokens = self.last_tokens(taken, kind)
        return Dense(self.norm(tokens), taken.grid, split_grid(tokens, taken.grid))

    def project(self, pooled: Tensor) -> Tensor:
        """The model's projection."""
        return self.project_pooled(pooled)

    def global_vectors(self, taken: ImageActivations) -> Tensor:
        """The model's pooling of the normed tokens, projected."""
        return self.project_pooled(self.pool(self.norm(taken.last)))


class CustomTextTower(TextTower):
    """A text encoder with tokens `[B, L, C]`.

    Args:
        words: The module that is given the token ids.
        blocks: The blocks from the bottom up; the output of the last is the tokens.
        project: Pooled tokens `[..., C]` to vectors `[..., D]` of the joint space.
        encode: Token ids `[P, context_length]` to the model's own text vectors `[P, D]`.
        context_length: The positions of a row of ids.
        special: The tokens that the tokenizer puts around a text; None where `harmonize` is told it.
    """

    def __init__(
        self,
        *,
        words: nn.Module,
        blocks: Sequence[nn.Module],
        project: Function,
        encode: Function,
        context_length: int,
        special: SpecialTokens | None = None,
    ) -> None:
        self.words, self.blocks = words, tuple(blocks)
        self.project_pooled, self.encode_ids = project, encode
        self.context_length, self._known = context_length, special
        self.stem = (words,)
        self.encoder = (words, *blocks, *learned(project))

    def taps(self) -> TextTaps:
        """The token ids and the tokens."""
        return TextTaps(ids=TapPoint(self.words, first_input), last=TapPoint(self.last_block))

    def tokens(self, taken: TextActivations) -> Tensor:
        """The last tokens."""
        return taken.last

    def project(self, pooled: Tensor) -> Tensor:
        """The model's projection."""
        return self.project_pooled(pooled)

    def global_vectors(self, taken: TextActivations) -> Tensor:
        """The texts encoded again by the model, which alone knows how it pools."""
        return self.encode_ids(taken.ids)

    def encode(self, ids: Tensor) -> Tensor:
        """The model's own text vectors."""
        return self.encode_ids(ids)

    def known_special(self) -> SpecialTokens | None:
        """What was said when the tower was put together."""
        return self._known

    def short_rows_are_exact(self) -> bool:
        """Unknown, so rows are full."""
        return False


def learned(*functions: Function) -> tuple[Part, ...]:
    """Those of the functions that are modules."""
    return tuple(function for function in functions if isinstance(function, nn.Module))


EXAMPLE = '''
from typing import Any

from harmoclip.towers import CustomImageTower, CustomTextTower, SpecialTokens, Towers, register


@register
def my_clip(model: Any) -> Towers | None:
    """The towers of a MyClip, None for any other model."""
    if type(model).__name__ != "MyClip":
        return None
    image = CustomImageTower(
        patches=model.patches,  # given the images, gives [B, C, H, W]
        blocks=model.blocks,  # the last gives the tokens [B, prefix + H * W, C]
        project=model.image_head,  # [..., C] to the joint space
        pool=model.mean,  # tokens to the image's own [B, C]
    )
    text = CustomTextTower(
        words=model.words,  # given the token ids
        blocks=[model.language],  # the last gives the tokens [B, L, C]
        project=model.text_head,
        encode=model.encode_text,  # ids to text vectors
        context_length=16,
        special=SpecialTokens(start=1, end=99, pad=0),  # what the tokenizer adds
    )
    return Towers(model, image, text)  # it has encode_image, encode_text and logit_scale
'''.strip()
