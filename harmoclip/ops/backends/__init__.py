"""Which implementation of the pooling product runs."""

import importlib
import importlib.util
import os
from typing import Protocol, cast

import torch
from torch import Tensor

from harmoclip.errors import InputError, MissingDependencyError

BACKENDS = ("reference", "cpu", "triton")
SAYS_THAT_IT_EXPORTS = hasattr(torch.compiler, "is_exporting")
"""Whether torch says that `torch.export` is tracing, as it does from 2.7 on."""


def available_backends() -> dict[str, str]:
    """Every backend by name, with "ready" or the reason why it cannot run here.

    Example:
        >>> available_backends()["cpu"]
        'ready'
    """
    return {"reference": "ready", "cpu": "ready", "triton": _triton_state()}


def _triton_state() -> str:
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed: pip install triton"
    if torch.cuda.is_available() or os.environ.get("TRITON_INTERPRET") == "1":
        return "ready"
    return "no CUDA device was found"


def choose(backend: str, tokens: Tensor) -> str:
    """The backend that serves `tokens`: "auto" takes triton on CUDA and cpu elsewhere.

    An exported program must run without this library, so every backend exports as the reference.

    Raises:
        InputError: The name is unknown.
        MissingDependencyError: The backend was asked for by name and cannot run here.
    """
    if backend not in ("auto", *BACKENDS):
        raise InputError(f"backend must be one of {('auto', *BACKENDS)}, got {backend!r}.")
    if exporting():
        return "reference"
    if backend == "auto":
        return "triton" if tokens.is_cuda and _triton_state() == "ready" else "cpu"
    if backend == "triton" and _triton_state() != "ready":
        raise MissingDependencyError(f"The triton backend cannot run: {_triton_state()}. Use backend='auto'.")
    return backend


def exporting() -> bool:
    """Whether torch.export or ONNX export is tracing."""
    return torch.onnx.is_in_onnx_export() or (SAYS_THAT_IT_EXPORTS and torch.compiler.is_exporting())


class Backend(Protocol):
    """What a module of this package offers; `cpu` has the formulas and the shapes."""

    def pool(self, tokens: Tensor, rows: Tensor, cols: Tensor, index: Tensor, prefix: int) -> Tensor:
        """Weighted sums of an image's tokens, one a bin."""

    def spread(
        self, grad: Tensor, rows: Tensor, cols: Tensor, index: Tensor, batch: int, length: int, prefix: int
    ) -> Tensor:
        """The adjoint of `pool` in the tokens."""

    def correlate(self, tokens: Tensor, grad: Tensor, index: Tensor, prefix: int) -> Tensor:
        """The adjoint of `pool` in the weights."""

    def roi_factors(
        self, corners: Tensor, sizes: list[int], spatial_scale: float, sampling_ratio: int, aligned: bool
    ) -> tuple[Tensor, Tensor]:
        """The weights of RoIAlign's bins along each axis."""

    def roi_align(
        self,
        features: Tensor,
        corners: Tensor,
        index: Tensor,
        bins: list[int],
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool,
    ) -> Tensor:
        """`pool` by those weights, over maps `[B, C, H, W]`."""


def implementation(backend: str) -> Backend:
    """The module of a backend; "reference" has `pool` alone, which autograd differentiates by itself."""
    return cast(Backend, importlib.import_module(f"harmoclip.ops.backends.{backend}"))
