"""harmoclip: region alignment for any CLIP that keeps its image understanding.

In the manner of HarmoCLIP (arXiv 2511.22594). Public names load when first used, so that
`import harmoclip` stays as light as `import torch`.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from harmoclip.grounding import Grounding as Grounding
    from harmoclip.harmonized import Harmonized as Harmonized
    from harmoclip.harmonized import harmonize as harmonize
    from harmoclip.interpolation import interpolate as interpolate
    from harmoclip.models import load_model as load_model
    from harmoclip.segment import CaptionSegmenter as CaptionSegmenter

_HOME = {
    "CaptionSegmenter": "harmoclip.segment",
    "Grounding": "harmoclip.grounding",
    "Harmonized": "harmoclip.harmonized",
    "harmonize": "harmoclip.harmonized",
    "interpolate": "harmoclip.interpolation",
    "load_model": "harmoclip.models",
}

__all__ = [
    "CaptionSegmenter",
    "Grounding",
    "Harmonized",
    "__version__",
    "harmonize",
    "interpolate",
    "load_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'harmoclip' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
