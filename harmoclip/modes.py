"""Look at a model that is being trained, and leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from torch import nn


class Modules(Protocol):
    """What an `nn.Module` has."""

    def modules(self) -> Iterator[nn.Module]:
        """The module and all below it."""


@contextmanager
def evaluation_mode(model: Modules) -> Iterator[None]:
    """Every module in evaluation mode; afterwards each is in the mode in which it was.

    `model.train(was_training)` would put all modules into one mode, also those that somebody keeps out of
    training, such as frozen batch normalizations.

    Example:
        >>> model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(4).eval())
        >>> with evaluation_mode(model):
        ...     any(module.training for module in model.modules())
        False
        >>> [module.training for module in model]
        [True, False]
    """
    modes = {module: module.training for module in model.modules()}
    try:
        for module in modes:
            module.training = False
        yield
    finally:
        for module, training in modes.items():
            module.training = training
