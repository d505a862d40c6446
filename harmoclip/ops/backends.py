"""Which implementation of the pooling product runs."""

import importlib
import importlib.util
import os
from types import ModuleType

import torch
from torch import Tensor

from harmoclip.errors import InputError, MissingDependencyError

BACKENDS = ("reference", "separable", "triton")


def available_backends() -> dict[str, str]:
    """Every backend by name, with "ready" or the reason why it cannot run here.

    Example:
        >>> available_backends()["separable"]
        'ready'
    """
    return {"reference": "ready", "separable": "ready", "triton": _triton_state()}


def _triton_state() -> str:
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed: pip install triton"
    if torch.cuda.is_available() or os.environ.get("TRITON_INTERPRET") == "1":
        return "ready"
    return "no CUDA device was found"


def choose(backend: str, tokens: Tensor) -> str:
    """The backend that serves `tokens`: "auto" takes triton on CUDA and separable elsewhere.

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
        return "triton" if tokens.is_cuda and _triton_state() == "ready" else "separable"
    if backend == "triton" and _triton_state() != "ready":
        raise MissingDependencyError(f"The triton backend cannot run: {_triton_state()}. Use backend='auto'.")
    return backend


def exporting() -> bool:
    """Whether torch.export or ONNX export is tracing."""
    compiler_exports = getattr(torch.compiler, "is_exporting", None)  # from torch 2.7
    return torch.onnx.is_in_onnx_export() or (compiler_exports is not None and compiler_exports())


def implementation(backend: str) -> ModuleType:
    """The module that holds `pool`, `spread` and `correlate` of a backend."""
    return importlib.import_module(f"harmoclip.ops.{backend}")
