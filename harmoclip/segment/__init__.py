"""Captions to phrases, and phrases to the tokens of any CLIP text tower. Never imports torch."""

from harmoclip.segment.align import Aligner, TokenSpan, align
from harmoclip.segment.entities import link_mentions, shared_phrase_ids
from harmoclip.segment.negatives import Negative, NegativeMaker
from harmoclip.segment.phrase import (
    Attribute,
    Head,
    Phrase,
    Phrases,
    Relation,
    normalize_phrase,
    phrase_id,
)
from harmoclip.segment.segmenter import RULES_VERSION, CaptionSegmenter

__all__ = [
    "RULES_VERSION",
    "Aligner",
    "Attribute",
    "CaptionSegmenter",
    "Head",
    "Negative",
    "NegativeMaker",
    "Phrase",
    "Phrases",
    "Relation",
    "TokenSpan",
    "align",
    "link_mentions",
    "normalize_phrase",
    "phrase_id",
    "shared_phrase_ids",
]


def __dir__() -> list[str]:
    return sorted(__all__)
