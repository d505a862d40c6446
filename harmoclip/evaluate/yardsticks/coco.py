"""Whatever of COCO lies in a folder: retrieval of captions, boxes by each published definition."""

from __future__ import annotations

from harmoclip.errors import DataError
from harmoclip.evaluate.boxes import clipself_scores, fgclip_scores, fineclip_scores, size_scores
from harmoclip.evaluate.captioned import Captioned
from harmoclip.evaluate.coco_boxes import CocoBoxes
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.yardsticks.common import boxes_task, find, retrieval_tasks


def tasks(request: Request) -> list[Task]:
    """The tasks of those of COCO's files that are there.

    `dataset_coco.json` gives Karpathy's test split; `annotations/captions_SPLIT.json` retrieval on all of
    the split; `panoptic_SPLIT.json` CLIPSelf's and FineCLIP's boxes; `instances_SPLIT.json` FG-CLIP's.
    With masks, instances take part where they have segments.

    Raises:
        DataError: None of the files is there.
    """
    root, split, regions = request.path, request.split or "val2017", request.regions
    images = request.images or root / split
    captions, panoptic, instances = (
        find(root, f"{kind}_{split}.json") for kind in ("captions", "panoptic", "instances")
    )
    karpathy = find(root, "dataset_coco.json")
    found = []
    if karpathy:
        captioned = Captioned.karpathy(karpathy, root)
        found += retrieval_tasks("COCO Karpathy test", captioned, request.phrase_share)
    if captions:
        found += retrieval_tasks(f"COCO {split}", Captioned.coco(captions, images), request.phrase_share)
    if panoptic:
        segments = panoptic.with_suffix("") if regions == "masks" else None
        boxes = CocoBoxes(panoptic, images, segments=segments, smallest=8, largest=1024, most=100)
        scores = (clipself_scores, fineclip_scores, size_scores)
        found.append(boxes_task(f"COCO panoptic {split}", boxes, "vild", regions, *scores))
    if instances:
        boxes = CocoBoxes(instances, images)
        name = f"COCO instances {split}"
        if boxes.has_masks or regions != "masks":
            found.append(boxes_task(name, boxes, "imagenet", regions, fgclip_scores, size_scores))
    if not found:
        raise DataError(
            f"{root} has no dataset_coco.json, and no captions, panoptic or instances file of {split} in it "
            "or in annotations/: expected COCO's own layout, or give another split."
        )
    return found
