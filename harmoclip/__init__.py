"""harmoclip: region alignment for any CLIP that keeps its image understanding.

In the manner of HarmoCLIP (arXiv 2511.22594). Public names load when first used, so that
`import harmoclip` stays as light as `import torch`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING

from harmoclip.lazy import lazily as _lazily

__version__ = "0.1.0"

if _TYPE_CHECKING:
    from harmoclip.grounding import Grounding as Grounding
    from harmoclip.harmonized import Harmonized as Harmonized
    from harmoclip.harmonized import harmonize as harmonize
    from harmoclip.interpolation import interpolate as interpolate
    from harmoclip.models import load_model as load_model
    from harmoclip.options import Options as Options
    from harmoclip.segment import CaptionSegmenter as CaptionSegmenter
    from harmoclip.stretch import stretch_context as stretch_context

_HOME = {
    "CaptionSegmenter": "segment",
    "Grounding": "grounding",
    "Harmonized": "harmonized",
    "Options": "options",
    "harmonize": "harmonized",
    "interpolate": "interpolation",
    "load_model": "models",
    "stretch_context": "stretch",
}
_MODULES = [
    "boxes",
    "data",
    "draw",
    "errors",
    "evaluate",
    "exportable",
    "losses",
    "ops",
    "segment",
    "towers",
    "train",
]

__all__ = [
    "CaptionSegmenter",
    "Grounding",
    "Harmonized",
    "Options",
    "__version__",
    "harmonize",
    "interpolate",
    "load_model",
    "stretch_context",
]


__getattr__, __dir__ = _lazily(__name__, {**_HOME, **dict.fromkeys(_MODULES, "")}, ["__version__"])
