"""Both sides of a model measured: retrieval of images and texts, classification of regions."""

from harmoclip.evaluate.boxes import (
    NamedBoxes,
    box_scores,
    clipself_scores,
    fgclip_scores,
    fineclip_scores,
    name_boxes,
    size_scores,
)
from harmoclip.evaluate.cache import VectorCache
from harmoclip.evaluate.captioned import Captioned
from harmoclip.evaluate.classification import macro, micro, top_k
from harmoclip.evaluate.coco_boxes import CocoBoxes
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.evaluated import Evaluated
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.phrase_retrieval import PhraseRanking, phrase_ranking, rank_by_phrases
from harmoclip.evaluate.referring import pointing, referring
from harmoclip.evaluate.regions import RegionVectors
from harmoclip.evaluate.retrieval import mean_recall, retrieval
from harmoclip.evaluate.tradeoff import pareto_front, trade_off
from harmoclip.evaluate.zero_shot import zero_shot

__all__ = [
    "Captioned",
    "CocoBoxes",
    "Encoder",
    "Evaluated",
    "Metric",
    "Metrics",
    "NamedBoxes",
    "PhraseRanking",
    "RegionVectors",
    "VectorCache",
    "box_scores",
    "clipself_scores",
    "fgclip_scores",
    "fineclip_scores",
    "macro",
    "mean_recall",
    "micro",
    "name_boxes",
    "pareto_front",
    "phrase_ranking",
    "pointing",
    "rank_by_phrases",
    "referring",
    "retrieval",
    "size_scores",
    "top_k",
    "trade_off",
    "zero_shot",
]


def __dir__() -> list[str]:
    return sorted(__all__)
