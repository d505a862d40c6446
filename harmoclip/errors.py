"""Every error that a user's mistake can raise."""

import difflib
from collections.abc import Iterable


class HarmoclipError(Exception):
    """The base of all errors of this library."""


class InputError(HarmoclipError, ValueError):
    """An argument has the wrong type, shape, range or size."""


class GroundingError(InputError):
    """Boxes, spans or links are impossible; the message names the row."""


class UnsupportedModelError(HarmoclipError, TypeError):
    """No tower adapter knows the model that was given."""


class CaptureError(HarmoclipError, RuntimeError):
    """The captured activations cannot be used; the message says why."""


class MissingDependencyError(HarmoclipError, ImportError):
    """An optional package or language pipeline is not installed."""


class DataError(HarmoclipError, ValueError):
    """A file or folder of a data set is missing or not what it should be."""


class BoxShapeError(InputError, AssertionError):
    """Boxes for RoIAlign have the wrong shape; also an AssertionError, as torchvision raises."""


class QuantizedBatchError(InputError, RuntimeError):
    """Quantized features of more than one image; also a RuntimeError, as torchvision raises."""


class TrainingError(HarmoclipError, RuntimeError):
    """A training run cannot go on; the message says at which step and why."""


class EvaluationError(InputError):
    """Vectors or values cannot be scored: not finite, all zero, or none at all; the message says where."""


def unknown_name(what: str, given: object, known: Iterable[object]) -> str:
    """The words of an error about a name that is none of those known; the nearest comes first.

    Example:
        >>> unknown_name("split is", "val2107", ["train2017", "val2017"])
        "split is 'val2107': did you mean 'val2017'? Expected one of train2017, val2017."
    """
    names = [str(name) for name in known]
    near = difflib.get_close_matches(str(given), names, 1, 0.6)
    hint = f"did you mean {near[0]!r}? Expected" if near else "expected"
    return f"{what} {given!r}: {hint} one of {', '.join(names) or 'none'}."
