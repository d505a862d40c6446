"""Training on Accelerate, from a configuration to a finished model. Names load when first used."""

from typing import TYPE_CHECKING

from harmoclip.lazy import lazily

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

__getattr__, __dir__ = lazily(__name__, _HOME)
