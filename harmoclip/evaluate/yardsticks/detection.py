"""Detection from proposals: the model names a detector's boxes, pycocotools gives the precision."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import batched_nms

from harmoclip.data.formats.coco_json import BOX_OF_IMAGE, file_name
from harmoclip.data.formats.entries import Entry
from harmoclip.data.formats.files import read_json
from harmoclip.errors import DataError, InputError, MissingDependencyError
from harmoclip.evaluate.classification import cosines
from harmoclip.evaluate.coco_boxes import spoken_class
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.proposals import Proposals, ProposedBoxes, read_proposals
from harmoclip.evaluate.records import checked_entries
from harmoclip.evaluate.regions import Regions
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.yardsticks.common import find
from harmoclip.images import open_image
from harmoclip.prompts import Prompts

# the 17 classes of COCO that OV-COCO keeps from training (arXiv 1804.04340)
NOVEL = (
    "airplane", "bus", "cat", "dog", "cow", "elephant", "umbrella", "tie", "snowboard", "skateboard", "cup",
    "knife", "cake", "couch", "keyboard", "sink", "scissors",
)  # fmt: skip
BASE = (
    "person", "bicycle", "car", "motorcycle", "train", "truck", "boat", "bench", "bird", "horse", "sheep",
    "bear", "zebra", "giraffe", "backpack", "handbag", "suitcase", "frisbee", "skis", "kite", "surfboard",
    "bottle", "fork", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "pizza",
    "donut", "chair", "bed", "toilet", "tv", "laptop", "mouse", "remote", "microwave", "oven", "toaster",
    "refrigerator", "book", "clock", "vase", "toothbrush",
)  # fmt: skip
FREQUENCY = {"r": "rare", "c": "common", "f": "frequent"}
_LAYOUT = "COCO's instances_SPLIT.json or lvis_v1_SPLIT.json, in the folder or its annotations/"
_AREAS = ("ap_small", "ap_medium", "ap_large")
_NMS_IOU = 0.5
_CANDIDATES = 2000  # pairs of a box and a class of an image that go into the suppression


class Annotations:
    """COCO's or LVIS's boxes of a split, and where the images are.

    Args:
        path: The JSON file.
        root: The folder that has the images' folders.
        images: The folder of the images, where it is not the usual one.

    Raises:
        DataError: The file is missing or not what it should be.
    """

    def __init__(self, path: Path, root: Path, images: Path | None = None) -> None:
        self.content = read_json(path, "images", "annotations", "categories", expected=_LAYOUT)
        boxes = self.content["annotations"]
        self.content["annotations"] = checked_entries(boxes, BOX_OF_IMAGE, what="annotation", path=path)
        self.lvis = path.name.startswith("lvis")
        self.images = {str(image["id"]): image for image in self.content["images"]}
        self.categories = sorted(self.content["categories"], key=lambda category: category["id"])
        self.class_names = [spoken_class(category["name"]) for category in self.categories]
        self._folder = images or root
        self._split = path.stem.removeprefix("instances_")

    def file(self, image: Entry) -> Path:
        """The file of an image."""
        name = file_name(image)
        places = (self._folder / name, self._folder / self._split / name, self._folder / Path(name).name)
        return next((place for place in places if place.exists()), places[0])

    def groups(self) -> dict[str, list[int]]:
        """The classes of each published group: LVIS's frequencies, or OV-COCO's novel and base."""
        if self.lvis:
            frequencies = [category.get("frequency") for category in self.categories]
            named = {
                name: [i for i, f in enumerate(frequencies) if f == key] for key, name in FREQUENCY.items()
            }
        else:
            sets = {"novel": NOVEL, "base": BASE}
            named = {
                name: [i for i, c in enumerate(self.class_names) if c in own] for name, own in sets.items()
            }
        return {name: rows for name, rows in named.items() if rows}


def detection(
    encoder: Encoder,
    annotations: Annotations,
    proposals: dict[str, Proposals],
    *,
    regions: Regions = "dense",
    prompts: Prompts = "vild",
    weight: float = 0.5,
) -> Metrics:
    """Average precision of proposals that the model names.

    A box's score for a class is `p ** weight * s ** (1 - weight)`: p is the softmax of its cosines times
    CLIP's scale of 100, s the detector's own score; a half is their geometric mean. Boxes of one class that
    overlap at IoU 0.5 are suppressed, and the 100 (LVIS: 300) best of an image count.

    Args:
        encoder: The model.
        annotations: The right boxes.
        proposals: The boxes of each image, by its id, in pixels.
        regions: How a box becomes a vector.
        prompts: The sentences that stand for a class.
        weight: Of the model against the detector, in [0, 1].

    Returns:
        `ap`, `ap50`, `ap75`, `ap_small`, `ap_medium`, `ap_large`, and `ap50_novel`, `ap50_base` (COCO) or
        `ap_rare`, `ap_common`, `ap_frequent` (LVIS).

    Raises:
        InputError: The weight is not in [0, 1].
        DataError: No proposal is of one of the images.
        EvaluationError: Some vectors are not finite or all zeros.
    """
    if not 0 <= weight <= 1:
        raise InputError(f"weight is {weight}: expected a number from 0 (the detector) to 1 (the model).")
    keys = [key for key in annotations.images if key in proposals]
    if not keys:
        raise DataError(
            f"no proposal is of one of the {len(annotations.images)} images: their ids are such as "
            f"{next(iter(annotations.images), '')!r}, those of the proposals such as "
            f"{next(iter(proposals), '')!r}."
        )
    data = ProposedBoxes(keys, lambda i: open_image(annotations.file(annotations.images[keys[i]])), proposals)
    found = encoder.region_vectors(data, regions)
    if not len(found.vectors):
        raise DataError("no proposal has any area in its image: nothing to detect.")
    cosine = cosines(found.vectors, encoder.class_vectors(annotations.class_names, prompts))
    own = torch.cat([proposals[keys[i]].scores for i in range(len(keys))])
    starts = np.cumsum([0, *(len(proposals[key].boxes) for key in keys)])
    kept = found.rows + torch.from_numpy(starts[:-1])[found.sample_index]
    scores = (100 * cosine).softmax(1) ** weight * own[kept][:, None] ** (1 - weight)
    most = 300 if annotations.lvis else 100
    results = []
    for key, sample, part in zip(keys, found.samples, scores.split(found.counts), strict=True):
        size = torch.tensor([*sample.size, *sample.size])
        results += _of_image(annotations, key, sample.boxes * size, part, most)
    left_out = [
        *found.left_out,
        *(f"{key}: the image has no proposals" for key in annotations.images if key not in proposals),
    ]
    return Metrics(average_precision(annotations, results, most), left_out)


def _of_image(annotations: Annotations, key: str, boxes: Tensor, scores: Tensor, most: int) -> list[Entry]:
    """The best boxes of an image with their classes, in COCO's format of results."""
    values, flat = scores.flatten().topk(min(_CANDIDATES, scores.numel()))
    rows, classes = flat // scores.shape[1], flat % scores.shape[1]
    best = batched_nms(boxes[rows], values, classes, _NMS_IOU)[:most]
    corners = boxes[rows[best]]
    sides = torch.cat([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
    return [
        {
            "image_id": annotations.images[key]["id"],
            "category_id": annotations.categories[label]["id"],
            "bbox": box,
            "score": score,
        }
        for box, label, score in zip(
            sides.tolist(), classes[best].tolist(), values[best].tolist(), strict=True
        )
    ]


def average_precision(annotations: Annotations, results: Sequence[Entry], most: int = 100) -> list[Metric]:
    """The measures of results in COCO's format, by pycocotools; those that no class has are left out.

    For LVIS, an image's detections of a class count only where its annotators looked for that class, and
    wrong ones only where they boxed it exhaustively (arXiv 1908.03195).

    Raises:
        MissingDependencyError: pycocotools is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise MissingDependencyError('Detection needs pycocotools: pip install "harmoclip[data]".') from error
    with redirect_stdout(io.StringIO()):  # it prints as it goes
        right = COCO()
        right.dataset = _complete(annotations.content)
        right.createIndex()
        evaluator = COCOeval(right, right.loadRes(_looked_for(annotations, results)), "bbox")
        evaluator.params.maxDets = [1, 10, most]
        if annotations.lvis:
            _ignore_unexhausted(evaluator, annotations)
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval["precision"][..., -1]  # [IoU, recall, class, area]
    chosen = {
        "ap": precision[..., 0],
        "ap50": precision[0, ..., 0],
        "ap75": precision[5, ..., 0],
        **{name: precision[..., i + 1] for i, name in enumerate(_AREAS)},
    }
    first, prefix = (precision, "ap") if annotations.lvis else (precision[:1], "ap50")
    chosen |= {f"{prefix}_{name}": first[:, :, rows, 0] for name, rows in annotations.groups().items()}
    means = {name: values[values > -1] for name, values in chosen.items()}
    return [Metric(name, float(values.mean())) for name, values in means.items() if values.size]


def tasks(request: Request) -> list[Task]:
    """Detection on a split of COCO, `val2017`, or of LVIS, `lvis_v1_val`.

    Raises:
        InputError: There are no proposals.
        DataError: The annotations are not there.
    """
    split = request.split or "val2017"
    if request.proposals is None:
        raise InputError(
            "detection needs a detector's boxes: give --proposals, a file in the format of COCO's results."
        )
    name = f"{split}.json" if split.startswith("lvis") else f"instances_{split}.json"
    path = find(request.path, name)
    if path is None:
        raise DataError(f"{request.path} has no {name}: expected {_LAYOUT}.")
    annotations, proposals = (
        Annotations(path, request.path, request.images),
        read_proposals(request.proposals),
    )
    title = f"detection, {split}, {request.proposals.name}, {request.regions}"
    return [Task(title, "regions", lambda e: detection(e, annotations, proposals, regions=request.regions))]


def _complete(content: Entry) -> Entry:
    """The annotations with what pycocotools asks of each."""
    boxes = [
        {"id": i, "iscrowd": 0, "area": box["bbox"][2] * box["bbox"][3], **box}
        for i, box in enumerate(content["annotations"], 1)
    ]
    return {"info": {}, **content, "annotations": boxes}


def _looked_for(annotations: Annotations, results: Sequence[Entry]) -> list[Entry]:
    """For LVIS, the results of classes that an image's annotators found or knew to be absent; else all."""
    if not annotations.lvis:
        return list(results)
    known = {image["id"]: set(image.get("neg_category_ids", ())) for image in annotations.images.values()}
    for box in annotations.content["annotations"]:
        known[box["image_id"]].add(box["category_id"])
    return [result for result in results if result["category_id"] in known[result["image_id"]]]


def _ignore_unexhausted(evaluator: Any, annotations: Annotations) -> None:
    """Ignore wrong detections of classes that an image was not searched through for."""
    partly = {
        image["id"]: set(image.get("not_exhaustive_category_ids", ()))
        for image in annotations.images.values()
    }
    evaluate = evaluator.evaluateImg

    def evaluate_image(image: int, category: int, area: list[float], most: int) -> Any:
        found = evaluate(image, category, area, most)
        if found is not None and category in partly[image]:
            found["dtIgnore"] = np.logical_or(found["dtIgnore"], found["dtMatches"] == 0)
        return found

    evaluator.evaluateImg = evaluate_image
