"""Both sides of a model measured: retrieval of images and texts, classification of regions."""

from harmoclip.evaluate.classification import top_k
from harmoclip.evaluate.retrieval import retrieval

__all__ = ["retrieval", "top_k"]
