"""Every error that a user's mistake can raise."""


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
