"""Captions to phrases, and phrases to the tokens of any CLIP text tower. Never imports torch."""

from harmoclip.segment.align import Aligner, TokenSpan, align
from harmoclip.segment.phrase import Attribute, Head, Phrase, Relation, normalize_phrase, phrase_id
from harmoclip.segment.segmenter import CaptionSegmenter

__all__ = [
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
