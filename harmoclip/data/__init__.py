"""Real data in: samples with boxes and phrases, from the formats that users have to what a model takes.

Names load when first used.
"""

from typing import TYPE_CHECKING

from harmoclip.lazy import lazily

if TYPE_CHECKING:
    from harmoclip.data.collate import Batch as Batch
    from harmoclip.data.collate import Collator as Collator
    from harmoclip.data.dataset import SampleDataset as SampleDataset
    from harmoclip.data.formats.coco import CocoCaptions as CocoCaptions
    from harmoclip.data.formats.dci import Dci as Dci
    from harmoclip.data.formats.detection import from_supervision as from_supervision
    from harmoclip.data.formats.docci import Docci as Docci
    from harmoclip.data.formats.fine_hard import FineHard as FineHard
    from harmoclip.data.formats.flickr30k import Flickr30kEntities as Flickr30kEntities
    from harmoclip.data.formats.grit import from_grit as from_grit
    from harmoclip.data.formats.hugging_face import ObjectRows as ObjectRows
    from harmoclip.data.formats.hugging_face import ObjectStream as ObjectStream
    from harmoclip.data.formats.json_lines import JsonLines as JsonLines
    from harmoclip.data.formats.localized_narratives import LocalizedNarratives as LocalizedNarratives
    from harmoclip.data.formats.lvis import Lvis as Lvis
    from harmoclip.data.formats.panoptic import CocoPanoptic as CocoPanoptic
    from harmoclip.data.formats.refcoco import RefCoco as RefCoco
    from harmoclip.data.formats.registry import open_dataset as open_dataset
    from harmoclip.data.formats.registry import register_format as register_format
    from harmoclip.data.formats.rows import from_row as from_row
    from harmoclip.data.formats.rows import to_row as to_row
    from harmoclip.data.formats.shards import Shards as Shards
    from harmoclip.data.formats.sharegpt4v import ShareGpt4v as ShareGpt4v
    from harmoclip.data.formats.visual_genome import VisualGenome as VisualGenome
    from harmoclip.data.linking.by_similarity import link as link
    from harmoclip.data.linking.by_similarity import model_similarity as model_similarity
    from harmoclip.data.linking.by_words import WordLinker as WordLinker
    from harmoclip.data.linking.grounding_finder import GroundingFinder as GroundingFinder
    from harmoclip.data.loader import Loader as Loader
    from harmoclip.data.sample import Sample as Sample
    from harmoclip.data.several_captions import SeveralCaptions as SeveralCaptions
    from harmoclip.data.tools.check import check_dataset as check_dataset
    from harmoclip.data.tools.convert import write_shards as write_shards
    from harmoclip.data.tools.hard_negatives import HardNegatives as HardNegatives
    from harmoclip.data.tools.phrase_cache import PhraseCache as PhraseCache
    from harmoclip.data.tools.prepare import Prepared as Prepared
    from harmoclip.data.tools.prepare import SimilarityLinker as SimilarityLinker
    from harmoclip.data.tools.prepare import write_lines as write_lines
    from harmoclip.data.transforms.preprocessing import Preprocessing as Preprocessing
    from harmoclip.data.transforms.sample_transform import SampleTransform as SampleTransform
    from harmoclip.data.transforms.sample_transform import transform_for as transform_for

_HOME = {
    "write_lines": "tools.prepare",
    "SimilarityLinker": "tools.prepare",
    "Prepared": "tools.prepare",
    "GroundingFinder": "linking.grounding_finder",
    "Batch": "collate",
    "CocoCaptions": "formats.coco",
    "CocoPanoptic": "formats.panoptic",
    "Collator": "collate",
    "Dci": "formats.dci",
    "Docci": "formats.docci",
    "FineHard": "formats.fine_hard",
    "Flickr30kEntities": "formats.flickr30k",
    "HardNegatives": "tools.hard_negatives",
    "JsonLines": "formats.json_lines",
    "Loader": "loader",
    "LocalizedNarratives": "formats.localized_narratives",
    "ShareGpt4v": "formats.sharegpt4v",
    "Lvis": "formats.lvis",
    "ObjectRows": "formats.hugging_face",
    "ObjectStream": "formats.hugging_face",
    "PhraseCache": "tools.phrase_cache",
    "Preprocessing": "transforms.preprocessing",
    "RefCoco": "formats.refcoco",
    "Sample": "sample",
    "SampleDataset": "dataset",
    "SampleTransform": "transforms.sample_transform",
    "SeveralCaptions": "several_captions",
    "Shards": "formats.shards",
    "VisualGenome": "formats.visual_genome",
    "WordLinker": "linking.by_words",
    "check_dataset": "tools.check",
    "from_grit": "formats.grit",
    "from_row": "formats.rows",
    "from_supervision": "formats.detection",
    "link": "linking.by_similarity",
    "model_similarity": "linking.by_similarity",
    "open_dataset": "formats.registry",
    "register_format": "formats.registry",
    "to_row": "formats.rows",
    "transform_for": "transforms.sample_transform",
    "write_shards": "tools.convert",
}

__all__ = [
    "Batch",
    "CocoCaptions",
    "CocoPanoptic",
    "Collator",
    "Dci",
    "Docci",
    "FineHard",
    "Flickr30kEntities",
    "GroundingFinder",
    "HardNegatives",
    "JsonLines",
    "Loader",
    "LocalizedNarratives",
    "Lvis",
    "ObjectRows",
    "ObjectStream",
    "PhraseCache",
    "Prepared",
    "Preprocessing",
    "RefCoco",
    "Sample",
    "SampleDataset",
    "SampleTransform",
    "SeveralCaptions",
    "Shards",
    "ShareGpt4v",
    "SimilarityLinker",
    "VisualGenome",
    "WordLinker",
    "check_dataset",
    "from_grit",
    "from_row",
    "from_supervision",
    "link",
    "model_similarity",
    "open_dataset",
    "register_format",
    "to_row",
    "transform_for",
    "write_lines",
    "write_shards",
]


__getattr__, __dir__ = lazily(__name__, _HOME)
