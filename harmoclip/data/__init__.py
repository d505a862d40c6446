"""Real data in: samples with boxes and phrases, from the formats that users have to what a model takes.

Names load when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harmoclip.data.check import check_dataset as check_dataset
    from harmoclip.data.coco import CocoCaptions as CocoCaptions
    from harmoclip.data.collate import Batch as Batch
    from harmoclip.data.collate import Collator as Collator
    from harmoclip.data.convert import write_shards as write_shards
    from harmoclip.data.flickr30k import Flickr30kEntities as Flickr30kEntities
    from harmoclip.data.formats import open_dataset as open_dataset
    from harmoclip.data.hugging_face import ObjectRows as ObjectRows
    from harmoclip.data.hugging_face import ObjectStream as ObjectStream
    from harmoclip.data.json_lines import JsonLines as JsonLines
    from harmoclip.data.linking import link as link
    from harmoclip.data.linking import model_similarity as model_similarity
    from harmoclip.data.loading import Loader as Loader
    from harmoclip.data.lvis import Lvis as Lvis
    from harmoclip.data.panoptic import CocoPanoptic as CocoPanoptic
    from harmoclip.data.phrase_cache import PhraseCache as PhraseCache
    from harmoclip.data.preprocessing import Preprocessing as Preprocessing
    from harmoclip.data.refcoco import RefCoco as RefCoco
    from harmoclip.data.rows import from_row as from_row
    from harmoclip.data.rows import to_row as to_row
    from harmoclip.data.sample import Sample as Sample
    from harmoclip.data.shards import Shards as Shards
    from harmoclip.data.shards import from_grit as from_grit
    from harmoclip.data.transform import SampleTransform as SampleTransform
    from harmoclip.data.transform import transform_for as transform_for
    from harmoclip.data.visual_genome import VisualGenome as VisualGenome
    from harmoclip.data.words import WordLinker as WordLinker

_HOME = {
    "Batch": "collate",
    "CocoCaptions": "coco",
    "CocoPanoptic": "panoptic",
    "Collator": "collate",
    "Flickr30kEntities": "flickr30k",
    "JsonLines": "json_lines",
    "Loader": "loading",
    "Lvis": "lvis",
    "ObjectRows": "hugging_face",
    "ObjectStream": "hugging_face",
    "PhraseCache": "phrase_cache",
    "Preprocessing": "preprocessing",
    "RefCoco": "refcoco",
    "Sample": "sample",
    "SampleTransform": "transform",
    "Shards": "shards",
    "VisualGenome": "visual_genome",
    "WordLinker": "words",
    "check_dataset": "check",
    "from_grit": "shards",
    "from_row": "rows",
    "link": "linking",
    "model_similarity": "linking",
    "open_dataset": "formats",
    "to_row": "rows",
    "transform_for": "transform",
    "write_shards": "convert",
}

__all__ = [
    "Batch",
    "CocoCaptions",
    "CocoPanoptic",
    "Collator",
    "Flickr30kEntities",
    "JsonLines",
    "Loader",
    "Lvis",
    "ObjectRows",
    "ObjectStream",
    "PhraseCache",
    "Preprocessing",
    "RefCoco",
    "Sample",
    "SampleTransform",
    "Shards",
    "VisualGenome",
    "WordLinker",
    "check_dataset",
    "from_grit",
    "from_row",
    "link",
    "model_similarity",
    "open_dataset",
    "to_row",
    "transform_for",
    "write_shards",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'harmoclip.data' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"harmoclip.data.{_HOME[name]}"), name)
    globals()[name] = value
    return value
