"""Training on Accelerate, from a configuration to a finished model. Names load when first used."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harmoclip.train.config import Config as Config
    from harmoclip.train.config_file import load_config as load_config
    from harmoclip.train.config_file import to_yaml as to_yaml
    from harmoclip.train.crop_cache import CropCache as CropCache
    from harmoclip.train.loop import train as train

_HOME = {
    "Config": "config",
    "CropCache": "crop_cache",
    "load_config": "config_file",
    "to_yaml": "config_file",
    "train": "loop",
}

__all__ = ["Config", "CropCache", "load_config", "to_yaml", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'harmoclip.train' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"harmoclip.train.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
