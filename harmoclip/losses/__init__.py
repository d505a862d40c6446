"""The losses, each usable alone on tensors, on one rank or on many."""

from harmoclip.losses.distillation import DistillationLoss
from harmoclip.losses.gather import Gathered, gather
from harmoclip.losses.global_contrastive import GlobalContrastiveLoss
from harmoclip.losses.global_region import GlobalRegionLoss
from harmoclip.losses.lexeme_region import LexemeRegionLoss
from harmoclip.losses.positives import Positives

__all__ = [
    "DistillationLoss",
    "Gathered",
    "GlobalContrastiveLoss",
    "GlobalRegionLoss",
    "LexemeRegionLoss",
    "Positives",
    "gather",
]
