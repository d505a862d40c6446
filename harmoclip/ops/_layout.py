"""One layout for all feature maps, `[B, N, C]`, as a view where strides allow; one type for all indices."""

import torch
from torch import Tensor

from harmoclip.errors import InputError
from harmoclip.ops._weights import Grid

LAYOUTS = {"tokens": 3, "nhwc": 4, "nchw": 4}


def token_layout(tokens: Tensor, grid: Grid | None, prefix: int, layout: str) -> tuple[Tensor, Grid]:
    """Features of any layout as `[B, prefix + H W, C]`, and their grid (H, W).

    Raises:
        InputError: The layout is unknown, or shape, grid and prefix do not fit together.
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout must be one of {tuple(LAYOUTS)}, got {layout!r}.")
    if tokens.ndim != LAYOUTS[layout]:
        raise InputError(
            f"layout {layout!r} needs {LAYOUTS[layout]} dimensions, got the shape {tuple(tokens.shape)}."
        )
    if layout != "tokens":
        return _flatten(tokens, grid, prefix, layout)
    if grid is None:
        raise InputError("Tokens do not tell their grid: give grid=(rows, columns).")
    if tokens.shape[1] != prefix + grid[0] * grid[1]:
        raise InputError(
            f"{tokens.shape[1]} tokens are not {prefix} prefix tokens and a grid of {grid[0]} x {grid[1]}; "
            "check grid=(rows, columns) and prefix."
        )
    return tokens, grid


def _flatten(features: Tensor, grid: Grid | None, prefix: int, layout: str) -> tuple[Tensor, Grid]:
    if layout == "nchw":
        features = features.permute(0, 2, 3, 1)
    own = (features.shape[1], features.shape[2])
    if prefix or grid not in (None, own):
        raise InputError(f"Maps of {own} cells have no prefix and no other grid; got {prefix=} and {grid=}.")
    return features.flatten(1, 2), own


def checked_index(name: str, index: Tensor, regions: torch.Size) -> Tensor:
    """The image or text of each region, `[R]` int64; `regions` is the size (R,).

    Raises:
        InputError: It is no tensor of whole numbers, or not one for each region.
    """
    if not isinstance(index, Tensor):
        raise InputError(f"{name} is a {type(index).__name__}: expected a tensor, torch.as_tensor({name}).")
    if index.is_floating_point() or index.is_complex() or index.dtype == torch.bool:
        raise InputError(f"{name} is {index.dtype}: expected whole numbers. Convert it with .long().")
    if index.shape != regions:
        raise InputError(f"{name} must be {list(regions)}, one a region, got {list(index.shape)}.")
    return index.to(torch.int64)
