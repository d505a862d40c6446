"""What can be measured on the data that is there, each task under its own name."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from pathlib import Path
from typing import NamedTuple

from harmoclip.data.scenes import Scenes
from harmoclip.errors import DataError
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
from harmoclip.evaluate.coco_boxes import CocoBoxes
from harmoclip.evaluate.encoder import Encoder, Regions
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.prompts import Prompts
from harmoclip.evaluate.referring import pointing, referring
from harmoclip.evaluate.retrieval import mean_recall, retrieval
from harmoclip.evaluate.samples import Samples
from harmoclip.evaluate.zero_shot import ClassFolder, zero_shot


class Task(NamedTuple):
    """One measurement; `headline` is its number in a trade-off, of the `whole` picture or of `regions`."""

    name: str
    side: str
    headline: Callable[[Metrics], float]
    run: Callable[[Encoder], Metrics]
    boxes: Callable[[Encoder], tuple[Samples, NamedBoxes]] | None = None


def retrieval_task(name: str, captioned: Captioned) -> Task:
    """Both directions of retrieval on one set."""

    def run(encoder: Encoder) -> Metrics:
        image = encoder.image_vectors(captioned.read, captioned.images)
        found = retrieval(image, encoder.text_vectors(captioned.captions), captioned.image_of_text)
        sizes = {"images": captioned.images, "captions": len(captioned.captions)}
        return found | Metrics([Metric(key, value, "count") for key, value in sizes.items()])

    return Task(f"retrieval, {name}", "whole", mean_recall, run)


def boxes_task(
    name: str,
    samples: Samples,
    prompts: Prompts,
    regions: Regions,
    *scores: Callable[[NamedBoxes], Metrics],
) -> Task:
    """Boxes of one set named among its classes; the first score's first number is the headline."""

    def boxes(encoder: Encoder) -> tuple[Samples, NamedBoxes]:
        return samples, name_boxes(encoder, samples, prompts, regions)

    def run(encoder: Encoder) -> Metrics:
        _, named = boxes(encoder)
        total = Metrics([Metric("boxes", len(named.labels), "count")], named.left_out)
        return reduce(or_, [*(score(named) for score in scores), total])

    title = f"boxes, {name}, {regions}"
    return Task(title, "regions", lambda s: next(iter(s.values())), run, boxes)


def scene_tasks(count: int, regions: Regions, seed: int = 0) -> list[Task]:
    """Generated scenes: retrieval, boxes of seen and of held-out pairs, expressions, pointing."""
    test, novel = Scenes("test", count, seed=seed), Scenes("novel", count, seed=seed)
    regions = "dense" if regions == "masks" else regions
    return [
        retrieval_task("scenes", Captioned.samples(test)),
        boxes_task("scenes", test, "name", regions, box_scores),
        boxes_task("scenes with held-out pairs", novel, "name", regions, box_scores),
        Task("expressions, scenes", "regions", _first, lambda s: referring(s, test, regions)),
        Task("pointing, scenes", "regions", _first, lambda s: pointing(s, test)),
    ]


def coco_tasks(root: Path, split: str, regions: Regions) -> list[Task]:
    """Whatever of COCO lies under the root, in COCO's own layout.

    `dataset_coco.json` gives Karpathy's test split; `annotations/captions_SPLIT.json` retrieval on all of
    the split; `panoptic_SPLIT.json` CLIPSelf's and FineCLIP's boxes; `instances_SPLIT.json` FG-CLIP's.

    Args:
        root: With `annotations/`, the folders of pictures, and `annotations/panoptic_SPLIT/` for masks.
        split: Such as `val2017`.
        regions: How a box becomes a vector; masks are there for panoptic segments alone.

    Raises:
        DataError: None of the files is there.
    """
    images = root / split
    captions, panoptic, instances = (
        _find(root, f"{kind}_{split}.json") for kind in ("captions", "panoptic", "instances")
    )
    karpathy = _find(root, "dataset_coco.json")
    tasks = []
    if karpathy:
        tasks.append(retrieval_task("COCO Karpathy test", Captioned.karpathy(karpathy, root)))
    if captions:
        tasks.append(retrieval_task(f"COCO {split}", Captioned.coco(captions, images)))
    if panoptic:
        segments = panoptic.with_suffix("") if regions == "masks" else None
        limits = {"smallest": 8, "largest": 1024, "most": 100}
        boxes = CocoBoxes(panoptic, images, segments=segments, **limits)  # type: ignore[arg-type]
        tasks.append(
            boxes_task(
                f"COCO panoptic {split}",
                boxes,
                "vild",
                regions,
                clipself_scores,
                fineclip_scores,
                size_scores,
            )
        )
    if instances and regions != "masks":
        boxes = CocoBoxes(instances, images)
        tasks.append(
            boxes_task(f"COCO instances {split}", boxes, "imagenet", regions, fgclip_scores, size_scores)
        )
    if not tasks:
        raise DataError(
            f"{root} has no dataset_coco.json, and no captions, panoptic or instances file of {split} in it "
            "or in annotations/: expected COCO's own layout, or give --coco-split."
        )
    return tasks


def flickr_tasks(root: Path) -> list[Task]:
    """Flickr30k's Karpathy test split: `dataset_flickr30k.json` beside `flickr30k-images/`."""
    path = _find(root, "dataset_flickr30k.json")
    if path is None:
        raise DataError(
            f"{root} has no dataset_flickr30k.json: expected Karpathy's splits beside the pictures."
        )
    images = root / "flickr30k-images"
    return [
        retrieval_task(
            "Flickr30k Karpathy test", Captioned.karpathy(path, images if images.is_dir() else root)
        )
    ]


def refer_tasks(folder: Path, images: Path, split: str, regions: Regions) -> list[Task]:
    """RefCOCO, RefCOCO+ or RefCOCOg: the best of all objects of the picture, and pointing."""
    from harmoclip.data.formats.refcoco import RefCoco

    samples = RefCoco(folder, split, images=images)
    name = f"{folder.name} {split}"
    return [
        Task(f"expressions, {name}, {regions}", "regions", _first, lambda s: referring(s, samples, regions)),
        Task(f"pointing, {name}", "regions", _first, lambda s: pointing(s, samples)),
    ]


def class_folder_task(folder: Path) -> Task:
    """Zero-shot classification of the pictures of a class folder."""
    data = ClassFolder.open(folder)
    return Task(f"zero-shot, {folder.name}", "whole", _first, lambda s: zero_shot(s, data))


def _first(scores: Metrics) -> float:
    return next(iter(scores.values()))


def _find(root: Path, name: str) -> Path | None:
    return next((p for p in (root / name, root / "annotations" / name) if p.exists()), None)
