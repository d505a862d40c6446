"""The taps that read a model's activations, and what they read during one forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from harmoclip.errors import CaptureError

Read = Callable[[tuple[Any, ...], Any], Any]


def first_input(args: tuple[Any, ...], output: Any) -> Any:
    """The module's first positional input."""
    return args[0]


def tensor_output(args: tuple[Any, ...], output: Any) -> Any:
    """The module's output, or the first of its outputs."""
    return output[0] if isinstance(output, tuple) else output


def spatial_shape(args: tuple[Any, ...], output: Any) -> Any:
    """Height and width of a `[B, C, H, W]` output."""
    return tuple(output.shape[-2:])


class TapPoint(NamedTuple):
    """A module of the model, and what to read when it has run."""

    module: nn.Module
    read: Read = tensor_output


class Tap:
    """A forward hook that sleeps unless a capture is on, and then keeps what the module gave.

    A block's output stays the same tensor when the block is checkpointed, so outputs are read, not inputs.
    """

    def __init__(self, read: Read) -> None:
        self.read = read
        self.active = False
        self.repeated = False
        self.value: Any = None

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Keep the first value of a capture; remember a later one that is no recomputation as a fault."""
        if not self.active:
            return
        if self.value is None:
            self.value = self.read(args, output)
        elif torch.compiler.is_compiling() or torch._C._current_graph_task_id() == -1:  # -1: not in backward
            self.repeated = True

    def wake(self) -> None:
        """Begin a capture."""
        self.active, self.repeated, self.value = True, False, None

    def take(self) -> tuple[Any, bool]:
        """End the capture: give the value and whether the module ran twice, and hold nothing."""
        value, repeated = self.value, self.repeated
        self.active, self.repeated, self.value = False, False, None
        return value, repeated

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles of a model carry the tap, never an activation."""
        return {"read": self.read, "active": False, "repeated": False, "value": None}


class Captured:
    """What one `capture()` read from a model: activations by tower and name."""

    def __init__(self) -> None:
        self.image: dict[str, Any] = {}
        self.text: dict[str, Any] = {}
        self.repeated: set[str] = set()

    def of(self, tower: str) -> dict[str, Any]:
        """The activations of the `image` or `text` tower.

        Raises:
            CaptureError: The capture is still open, or the tower ran twice or not at all inside it.
        """
        taken: dict[str, Any] = getattr(self, tower)
        if not taken or any(value is None for value in taken.values()):
            raise CaptureError(
                f"the {tower} tower did not run inside capture(), or the capture is still open. "
                f"Run the model's own forward on {tower}s inside `with harmo.capture() as captured:` "
                "and use `captured` after the block. A model that was compiled before harmonize() runs "
                "without its taps: harmonize first, or call torch.compiler.reset()."
            )
        if tower in self.repeated:
            raise CaptureError(
                f"the {tower} tower ran more than once inside one capture(): expected one pass. "
                "Open one capture for each forward."
            )
        return taken
