"""Captions to phrases, and phrases to the tokens of any CLIP text tower. Never imports torch."""

from harmoclip.segment.align import Aligner, TokenSpan, align
from harmoclip.segment.phrase import Attribute, Head, Phrase, Relation, normalize_phrase, phrase_id
from harmoclip.segment.segmenter import RULES_VERSION, CaptionSegmenter

__all__ = [
    "RULES_VERSION",
    "Aligner",
    "Attribute",
    "CaptionSegmenter",
    "Head",
    "Phrase",
    "Relation",
    "TokenSpan",
    "align",
    "normalize_phrase",
    "phrase_id",
]
