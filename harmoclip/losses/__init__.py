"""The losses, each usable alone on tensors, on one rank or on many."""

from harmoclip.losses.distillation import DistillationLoss
from harmoclip.losses.gather import Gathered, gather
from harmoclip.losses.global_contrastive import GlobalContrastiveLoss
from harmoclip.losses.global_region import GlobalRegionLoss
from harmoclip.losses.hard_negative import HardNegativeLoss
from harmoclip.losses.lexeme_region import LexemeRegionLoss
from harmoclip.losses.positives import Positives
from harmoclip.losses.terms import Step, Term, Vectors

__all__ = [
    "DistillationLoss",
    "Gathered",
    "GlobalContrastiveLoss",
    "GlobalRegionLoss",
    "HardNegativeLoss",
    "LexemeRegionLoss",
    "Positives",
    "Step",
    "Term",
    "Vectors",
    "gather",
]


def __dir__() -> list[str]:
    return sorted(__all__)
