"""The tasks that several yardsticks have."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from pathlib import Path

from harmoclip.evaluate.boxes import NamedBoxes, name_boxes
from harmoclip.evaluate.captioned import Captioned
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.phrase_retrieval import phrase_ranking
from harmoclip.evaluate.referring import pointing, referring
from harmoclip.evaluate.regions import Regions
from harmoclip.evaluate.retrieval import mean_recall, retrieval
from harmoclip.evaluate.samples import Samples
from harmoclip.evaluate.task import Task
from harmoclip.prompts import Prompts


def retrieval_tasks(name: str, captioned: Captioned, phrase_share: float | None = None) -> list[Task]:
    """Both directions of retrieval on one set, and the same by phrases where their share is given."""
    plain = retrieval_task(name, captioned)
    return [plain] if phrase_share is None else [plain, phrase_retrieval_task(name, captioned, phrase_share)]


def retrieval_task(name: str, captioned: Captioned) -> Task:
    """Both directions of retrieval on one set."""

    def run(encoder: Encoder) -> Metrics:
        image = encoder.image_vectors(captioned.read, captioned.images)
        found = retrieval(image, encoder.text_vectors(captioned.captions), captioned.image_of_text)
        sizes = {"images": captioned.images, "captions": len(captioned.captions)}
        return found | Metrics([Metric(key, value, "count") for key, value in sizes.items()])

    return Task(f"retrieval, {name}", "whole", run, mean_recall)


def phrase_retrieval_task(name: str, captioned: Captioned, share: float) -> Task:
    """Both directions of retrieval in which the phrases of a caption have this share."""
    return Task(
        f"retrieval by phrases, {name}",
        "whole",
        lambda encoder: phrase_ranking(encoder, captioned).metrics(share),
        lambda found: mean_recall(found, prefix="phrase_"),
    )


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

    return Task(f"boxes, {name}, {regions}", "regions", run, boxes=boxes)


def expression_tasks(name: str, samples: Samples, regions: Regions) -> list[Task]:
    """The best of an image's boxes for a phrase, and pointing."""
    return [
        Task(
            f"expressions, {name}, {regions}", "regions", lambda encoder: referring(encoder, samples, regions)
        ),
        Task(f"pointing, {name}", "regions", lambda encoder: pointing(encoder, samples)),
    ]


def find(root: Path, name: str) -> Path | None:
    """A file in a folder or in its `annotations/`."""
    return next((p for p in (root / name, root / "annotations" / name) if p.exists()), None)
