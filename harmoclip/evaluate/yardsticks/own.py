"""Data of one's own, in any format that training reads: whatever it says is asked of the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from harmoclip.data import Sample, open_dataset
from harmoclip.data.dataset import Indexed, MaskedDataset
from harmoclip.data.formats.registry import read_options, recognize
from harmoclip.errors import DataError
from harmoclip.evaluate.both_sides import region_side
from harmoclip.evaluate.boxes import box_scores, size_scores
from harmoclip.evaluate.captioned import Captioned
from harmoclip.evaluate.choices import choices
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metrics
from harmoclip.evaluate.referring import linked_boxes
from harmoclip.evaluate.regions import Regions
from harmoclip.evaluate.samples import Samples, without_pixels
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.yardsticks.common import boxes_task, expression_tasks, retrieval_tasks

_FORMAT = "format="


class Chosen:
    """Some of a data set's samples, or a stream read into memory, with the classes of the whole.

    Args:
        samples: The data set.
        rows: Which of its samples; None takes all.
    """

    def __init__(self, samples: Samples, rows: Sequence[int] | None = None) -> None:
        self._samples = samples
        self._rows = range(len(samples)) if rows is None else rows
        self.class_names: Sequence[str] = getattr(samples, "class_names", ())
        if isinstance(samples, MaskedDataset):
            self.masks = lambda index: samples.masks(self._rows[index])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[self._rows[index]]


def tasks(request: Request) -> list[Task]:
    """Every measurement that the data can answer.

    Raises:
        InputError: The format or one of the options is not known.
        DataError: The data cannot be read, or says nothing that could be asked.
    """
    samples = _opened(request)
    seen = [without_pixels(samples[i]) for i in range(len(samples))]
    name, regions = Path(request.source).name, request.regions
    found = [
        task
        for kind, captioned in enumerate(_captioned(samples, seen))
        for task in retrieval_tasks(
            name if kind == 0 else f"{name}, further captions {kind}", captioned, request.phrase_share
        )
    ]
    boxes = Chosen(samples, _distinct(seen))
    if boxes.class_names and any(s.labels is not None and len(s.labels) for s in seen):
        found.append(boxes_task(name, boxes, "imagenet", regions, box_scores, size_scores))
    elif any(sample.links for sample in seen):
        found.append(
            Task(
                f"phrases of boxes, {name}, {regions}",
                "regions",
                lambda encoder: region_side(encoder, samples, None, regions),
            )
        )
    expressions, pointing = expression_tasks(name, samples, regions)
    if any((~linked_boxes(sample)).any() for sample in seen):
        found.append(expressions)
    if any(sample.links for sample in seen):
        found.append(pointing)
    if any(_with_negatives(sample) for sample in seen):
        title = f"phrases and negatives, {name}, {regions}"
        found.append(Task(title, "regions", lambda encoder: among_negatives(encoder, samples, regions)))
    if not found:
        raise DataError(
            f"{request.source} has {len(seen)} samples, without a caption, a class of a box or a link of a "
            "box to a phrase: nothing can be measured on it."
        )
    return found


def among_negatives(encoder: Encoder, samples: Samples, regions: Regions = "dense") -> Metrics:
    """How often a box is more similar to its phrase than to every phrase that is known to be wrong for it.

    Args:
        encoder: The model.
        samples: With links and negatives.
        regions: How a box becomes a vector.

    Raises:
        DataError: No box has both.
        EvaluationError: Some vectors are not finite or all zeros.
    """
    found = encoder.region_vectors(samples, regions)
    starts = accumulate(found.counts, initial=0)
    asked = [
        (start + row, texts)
        for start, sample in zip(starts, found.samples, strict=False)  # the last start is the end
        for row, texts in _with_negatives(sample)
    ]
    rows = [row for row, _ in asked]
    return choices(encoder, found.vectors[rows], [texts for _, texts in asked], "negatives", found.left_out)


def _opened(request: Request) -> Chosen:
    """The data set; a stream is read whole."""
    said = [text.removeprefix(_FORMAT) for text in request.options if text.startswith(_FORMAT)]
    form = said[0] if said else recognize(request.source)
    options = read_options(form, [text for text in request.options if not text.startswith(_FORMAT)])
    given = {"split": request.split, "images": request.images, **options}
    opened = open_dataset(request.source, form, **given)
    if isinstance(opened, Indexed):
        return Chosen(opened)
    whole = Chosen(list(opened))
    whole.class_names = getattr(opened, "class_names", ())
    return whole


def _captioned(samples: Samples, seen: Sequence[Sample]) -> Iterator[Captioned]:
    """The captions with their images; and apart from them each kind of further captions."""
    for kind in range(1 + max((len(sample.more_captions) for sample in seen), default=0)):
        own = [(s.image_id, ((s.caption, *s.more_captions)[kind : kind + 1] or ("",))[0]) for s in seen]
        if any(caption.strip() for _, caption in own):
            yield Captioned.by_image(samples, own)


def _distinct(seen: Sequence[Sample]) -> list[int]:
    """The first of the samples that have the same image, boxes and classes, as several captions of one do."""
    first: dict[object, int] = {}
    for row, sample in enumerate(seen):
        labels = () if sample.labels is None else tuple(sample.labels.tolist())
        image = f"sample {row}" if sample.image_id is None else sample.image_id
        first.setdefault((image, str(sample.boxes.tolist()), labels), row)
    return list(first.values())


def _with_negatives(sample: Sample) -> list[tuple[int, list[str]]]:
    """Each linked phrase of a box that has negatives: the box, and the phrase before these."""
    texts = sample.phrase_texts
    wrong: dict[int, list[str]] = {}
    for region, phrase in sample.negatives:
        wrong.setdefault(region, []).append(texts[phrase])
    return [(region, [texts[phrase], *wrong[region]]) for region, phrase in sample.links if region in wrong]
