"""Real data in: samples with boxes and phrases, from the formats that users have to what a model takes."""

from harmoclip.data.collate import Batch, Collator
from harmoclip.data.sample import Sample

__all__ = ["Batch", "Collator", "Sample"]
