"""The taps that read a model's activations, and what they read during one forward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from harmoclip.errors import CaptureError

Read = Callable[[tuple[Any, ...], Any], Any]
"""What to keep of a module's positional inputs and of its output."""


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


@dataclass(frozen=True)
class ImageTaps:
    """Where to read each field of `ImageActivations`; None where a tower has no use for it."""

    images: TapPoint
    last: TapPoint
    grid: TapPoint | None = None
    penultimate: TapPoint | None = None
    vectors: TapPoint | None = None


@dataclass(frozen=True)
class TextTaps:
    """Where to read each field of `TextActivations`; None where a tower has no use for it."""

    ids: TapPoint
    last: TapPoint
    vectors: TapPoint | None = None


@dataclass
class ImageActivations:
    """What one forward of an image encoder gave.

    Attributes:
        images: What the encoder was given, such as `[B, 3, H, W]` pixels.
        last: The last block's output, laid out as the model has it.
        grid: Rows and columns of the patches, `(H, W)`, or `[B, 2]` where every image has its own.
        penultimate: The last block's input, where the dense kind runs that block anew.
        vectors: The image vectors `[B, D]`, where one module gives them.
    """

    images: Any
    last: Tensor
    grid: Any = None
    penultimate: Tensor | None = None
    vectors: Tensor | None = None


@dataclass
class TextActivations:
    """What one forward of a text encoder gave.

    Attributes:
        ids: The token ids `[B, L]` that the encoder was given.
        last: The last tokens, laid out as the model has them.
        vectors: The text vectors `[B, D]`, where one module gives them.
    """

    ids: Tensor
    last: Tensor
    vectors: Tensor | None = None


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

    def __getstate__(self) -> dict[str, object]:
        """Copies and pickles of a model carry the tap, never an activation."""
        return {"read": self.read, "active": False, "repeated": False, "value": None}


Activations = TypeVar("Activations", ImageActivations, TextActivations)


class Taken(NamedTuple, Generic[Activations]):
    """What the taps of a tower read: nothing where it did not run, and whether it ran more than once."""

    activations: Activations | None
    repeated: bool


NOTHING: Taken[Any] = Taken(None, repeated=False)


class TowerTaps(Generic[Activations]):
    """The taps of one tower, hooked to its modules.

    Args:
        kind: Makes the activations of what is read, by its name.
        points: Gives the places to read, as the model is now; None for a tower that the model lacks.
    """

    def __init__(
        self, kind: Callable[..., Activations], points: Callable[[], ImageTaps | TextTaps | None]
    ) -> None:
        self._kind: Callable[..., Activations] = kind
        self._find = points
        self._points = _named(points())
        self._taps = {name: Tap(point.read) for name, point in self._points.items()}
        self._handles: list[RemovableHandle] = []
        self._attach()

    @property
    def modules(self) -> list[nn.Module]:
        """The modules that are read."""
        return [point.module for point in self._points.values()]

    def wake(self) -> None:
        """Begin a capture, on the modules that the model has by now: an adapter may have come around one."""
        if not torch.compiler.is_compiling():
            points = _named(self._find())
            if points != self._points:
                self.remove()
                self._points = points
                self._attach()
        for tap in self._taps.values():
            tap.wake()

    def take(self) -> Taken[Activations]:
        """End the capture."""
        values, repeated = {}, False
        for name, tap in self._taps.items():
            values[name], again = tap.take()
            repeated = repeated or again
        ran = len(values) > 0 and all(value is not None for value in values.values())
        return Taken(self._kind(**values) if ran else None, repeated)

    def remove(self) -> None:
        """Take the hooks off the modules."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _attach(self) -> None:
        for name, point in self._points.items():
            self._handles.append(point.module.register_forward_hook(self._taps[name]))


def _named(points: ImageTaps | TextTaps | None) -> dict[str, TapPoint]:
    """The places to read, by the field that they fill."""
    if points is None:
        return {}
    named = {field.name: getattr(points, field.name) for field in fields(points)}
    return {name: point for name, point in named.items() if point is not None}


class Captured:
    """What one `capture()` read from a model; complete once the `with` block has ended."""

    def __init__(self) -> None:
        self._image: Taken[ImageActivations] = NOTHING
        self._text: Taken[TextActivations] = NOTHING

    def fill(self, image: Taken[ImageActivations], text: Taken[TextActivations]) -> None:
        """Keep what the taps of both towers read."""
        self._image, self._text = image, text

    @property
    def image(self) -> ImageActivations:
        """What the image tower gave.

        Raises:
            CaptureError: The capture is still open, or the tower ran twice or not at all inside it.
        """
        return _whole("image", self._image)

    @property
    def text(self) -> TextActivations:
        """What the text tower gave.

        Raises:
            CaptureError: The capture is still open, or the tower ran twice or not at all inside it.
        """
        return _whole("text", self._text)


def _whole(tower: str, taken: Taken[Activations]) -> Activations:
    if taken.activations is None:
        raise CaptureError(
            f"the {tower} tower did not run inside capture(), or the capture is still open. "
            f"Run the model's own forward on {tower}s inside `with harmo.capture() as captured:` "
            "and use `captured` after the block. A model that was compiled before harmonize() runs "
            "without its taps: harmonize first, or call torch.compiler.reset()."
        )
    if taken.repeated:
        raise CaptureError(
            f"the {tower} tower ran more than once inside one capture(): expected one pass. "
            "Open one capture for each forward."
        )
    return taken.activations
