"""Real data in: samples with boxes and phrases, from the formats that users have to what a model takes."""

from harmoclip.data.collate import Batch, Collator
from harmoclip.data.preprocessing import Preprocessing
from harmoclip.data.sample import Sample
from harmoclip.data.transform import SampleTransform, transform_for

__all__ = ["Batch", "Collator", "Preprocessing", "Sample", "SampleTransform", "transform_for"]
