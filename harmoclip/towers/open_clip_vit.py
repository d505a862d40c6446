"""open_clip's own VisionTransformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from harmoclip.towers.attention import value_path
from harmoclip.towers.base import Dense, ImageTower, TapPoint, first_input, spatial_shape, split_grid


class OpenClipViT(ImageTower):
    """Tokens of an open_clip `VisionTransformer`.

    Dense kinds: `plain`, the tokens that the last block gives; `value`, the last block without its
    attention (value and output projection only, residual and MLP kept), as MaskCLIP (arXiv 2112.01071)
    and CLIPSelf (arXiv 2310.01403) take them.
    """

    kinds = ("plain", "value")
    default_kind = "value"

    def __init__(self, visual: nn.Module) -> None:
        self.visual: Any = visual

    @classmethod
    def matches(cls, visual: Any) -> bool:
        """Whether the module has the parts that this tower reads."""
        return (
            all(hasattr(visual, name) for name in ("conv1", "ln_pre", "ln_post", "proj", "_global_pool"))
            and hasattr(getattr(visual, "transformer", None), "resblocks")
            and getattr(visual, "attn_pool", None) is None
        )

    def taps(self, kind: str) -> dict[str, TapPoint]:
        """The grid, the last block's output, and for `value` its input."""
        blocks = self.visual.transformer.resblocks
        points = {
            "images": TapPoint(self.visual.conv1, first_input),
            "grid": TapPoint(self.visual.conv1, spatial_shape),
            "last": TapPoint(blocks[-1]),
        }
        if kind == "value":
            points["penultimate"] = TapPoint(blocks[-2] if len(blocks) > 1 else self.visual.ln_pre)
        return points

    def dense(self, taken: Mapping[str, Any], kind: str) -> Dense:
        """Tokens `[B, 1 + H * W, C]`, normalised where the model normalises before it pools."""
        if kind == "value":
            patches = value_path(self.visual.transformer.resblocks[-1], taken["penultimate"][:, 1:])
        else:
            patches = taken["last"][:, 1:]
        prefix = split_grid(taken["last"], taken["grid"]) - 1
        if not self.visual.final_ln_after_pool:
            patches = self.visual.ln_post(patches)
        return Dense(patches, taken["grid"], prefix)

    def project(self, pooled: Tensor) -> Tensor:
        """The final norm where it comes after pooling, then the projection."""
        if self.visual.final_ln_after_pool:
            pooled = self.visual.ln_post(pooled)
        proj = self.visual.proj
        return pooled if proj is None else pooled @ proj.to(pooled.dtype)

    def global_vectors(self, taken: Mapping[str, Any]) -> Tensor:
        """The model's own pooling of the last block's tokens, projected."""
        pooled, _ = self.visual._pool(taken["last"])
        proj = self.visual.proj
        return pooled if proj is None else pooled @ proj
