"""Both sides of a model measured: retrieval of images and texts, classification of regions."""

from harmoclip.evaluate.averaging import average_weights, pareto_front
from harmoclip.evaluate.boxes import (
    NamedBoxes,
    box_scores,
    clipself_scores,
    fgclip_scores,
    fineclip_scores,
    name_boxes,
    size_scores,
)
from harmoclip.evaluate.captioned import Captioned
from harmoclip.evaluate.classification import macro, micro, top_k
from harmoclip.evaluate.coco_boxes import CocoBoxes
from harmoclip.evaluate.referring import pointing, referring
from harmoclip.evaluate.retrieval import retrieval
from harmoclip.evaluate.subject import Subject
from harmoclip.evaluate.zero_shot import zero_shot

__all__ = [
    "Captioned",
    "CocoBoxes",
    "NamedBoxes",
    "Subject",
    "average_weights",
    "box_scores",
    "clipself_scores",
    "fgclip_scores",
    "fineclip_scores",
    "macro",
    "micro",
    "name_boxes",
    "pareto_front",
    "pointing",
    "referring",
    "retrieval",
    "size_scores",
    "top_k",
    "zero_shot",
]
