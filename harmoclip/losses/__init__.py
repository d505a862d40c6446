"""The three losses, each usable alone on tensors."""

from harmoclip.losses.global_contrastive import GlobalContrastiveLoss
from harmoclip.losses.global_region import CropDistillationLoss, GlobalRegionLoss
from harmoclip.losses.lexeme_region import LexemeRegionLoss

__all__ = ["CropDistillationLoss", "GlobalContrastiveLoss", "GlobalRegionLoss", "LexemeRegionLoss"]
