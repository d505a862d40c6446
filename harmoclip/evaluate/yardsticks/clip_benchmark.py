"""Any data set of the library clip_benchmark: read by it, encoded and scored here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from harmoclip.errors import DataError, InputError, MissingDependencyError
from harmoclip.evaluate.captioned import Captioned
from harmoclip.evaluate.classification import cosines, macro, micro
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.vectors import unit_vectors
from harmoclip.evaluate.yardsticks.common import retrieval_task
from harmoclip.models import Preprocess
from harmoclip.prompts import mean_vectors
from harmoclip.tensors import l2_normalize

OPTIONS: dict[str, Callable[[str], Any]] = {
    "split": str,
    "task": str,
    "language": str,
    "annotation_file": str,
    "download": lambda text: text == "true",
}
Rows = Sequence[tuple[Any, Any]]


def tasks(request: Request) -> list[Task]:
    """The data set that the split names, by its task in clip_benchmark.

    Raises:
        InputError: No data set is named, or its task is none that a CLIP answers without training.
        DataError: clip_benchmark cannot read it.
        MissingDependencyError: clip_benchmark is not installed.
    """
    if request.split is None:
        raise InputError("no data set is named: expected it as in clip-benchmark:cifar10=FOLDER.")
    builder, told = _builder(), request.read_options(OPTIONS)
    name = request.split
    kind = told.pop("task", None) or builder.get_dataset_default_task(name.removeprefix("wds/"))
    if kind not in _TASKS:
        raise InputError(f"{name} has the task {kind!r}: expected one of {', '.join(_TASKS)}.")
    given = {"split": "test", "download": False, **told, "task": kind}
    try:
        data = builder.build_dataset(name, root=request.source, transform=_as_it_is(name), **given)
        rows = data if hasattr(data, "__getitem__") and hasattr(data, "__len__") else list(data)
    except (AssertionError, KeyError, OSError, RuntimeError, ValueError, TypeError) as error:
        raise DataError(f"clip_benchmark cannot read {name} in {request.source}: {error!r:.300}.") from error
    return [_TASKS[kind](f"{name}, {given['split']}", rows, data)]


def _classification(name: str, rows: Rows, data: Any) -> Task:
    return Task(
        f"zero-shot, {name}",
        "whole",
        lambda encoder: classify(encoder, rows, list(data.classes), data.templates),
    )


def classify(
    encoder: Encoder, rows: Rows, classes: Sequence[str], templates: Sequence[str] | Mapping[str, list[str]]
) -> Metrics:
    """Zero-shot classification, under the names that clip_benchmark gives its measures.

    Args:
        encoder: The model.
        rows: Images, each with its class, or with a 0 or 1 for every class.
        classes: Their names.
        templates: Sentences with `{c}` for the name, or the sentences of each class.

    Returns:
        `acc1`, `acc5` where there are that many classes, `mean_per_class_recall`; or
        `mean_average_precision` where an image has several classes.

    Raises:
        EvaluationError: Some vectors are not finite or all zeros.
    """
    texts = [
        list(templates[name]) if isinstance(templates, Mapping) else [t.format(c=name) for t in templates]
        for name in classes
    ]
    names = l2_normalize(mean_vectors(texts, encoder.text_vectors))
    scores = cosines(encoder.image_vectors(lambda i: rows[i][0], len(rows)), names)
    targets = torch.stack([torch.as_tensor(rows[i][1]) for i in range(len(rows))])
    if targets.ndim == 2:
        return Metrics([Metric("mean_average_precision", _mean_average_precision(scores, targets))])
    found = []
    for k in (1, 5):
        if k <= len(classes):
            right = (scores.topk(k, 1).indices == targets[:, None]).any(1)
            found.append(Metric(f"acc{k}", micro(right), chance=k / len(classes)))
    recall = macro(scores.argmax(1) == targets, targets)
    return Metrics([*found, Metric("mean_per_class_recall", recall, chance=1 / len(classes))])


def _retrieval(name: str, rows: Rows, data: Any) -> Task:
    captions = [[rows[i][1]] if isinstance(rows[i][1], str) else list(rows[i][1]) for i in range(len(rows))]
    return retrieval_task(name, Captioned.of(lambda i: rows[i][0], captions))


def _selection(name: str, rows: Rows, data: Any) -> Task:
    return Task(f"selection, {name}", "whole", lambda encoder: select(encoder, rows))


def select(encoder: Encoder, rows: Rows) -> Metrics:
    """Which of an example's captions belongs to each of its images, and the other way round.

    Args:
        encoder: The model.
        rows: One or several images, with the captions in the same order; further captions are wrong.

    Returns:
        `text_acc`, every image is most similar to its caption; `image_acc`, every caption to its image; and
        `acc`, both. A tie is no success.

    Raises:
        EvaluationError: Some vectors are not finite or all zeros.
    """
    examples = [rows[i] for i in range(len(rows))]
    images = [list(own) if isinstance(own, list | tuple) else [own] for own, _ in examples]
    flat = [image for own in images for image in own]
    texts = [list(captions) for _, captions in examples]
    image = unit_vectors(encoder.image_vectors(flat.__getitem__, len(flat)), "image vectors")
    text = unit_vectors(encoder.text_vectors([t for own in texts for t in own]), "text vectors")
    parts = zip(image.split(list(map(len, images))), text.split(list(map(len, texts))), strict=True)
    similar = [own @ captions.T for own, captions in parts]
    by_text = torch.tensor([_own_is_best(each) for each in similar])
    by_image = torch.tensor([_own_is_best(each.T) for each in similar])
    scores = {"text_acc": by_text, "image_acc": by_image, "acc": by_text & by_image}
    return Metrics([Metric(name, micro(right)) for name, right in scores.items()])


def _own_is_best(similar: Tensor) -> bool:
    """Whether row i of a similarity `[N, M]` is highest at column i, for all that have one."""
    own = similar.diagonal()
    others = similar[: len(own)].clone().fill_diagonal_(-torch.inf)
    return bool((own > others.amax(1)).all())


def _mean_average_precision(scores: Tensor, targets: Tensor) -> float:
    """The mean over classes of the mean precision at each right image; a class of no image counts as 0."""
    order = scores.argsort(dim=0, descending=True, stable=True)
    right = targets.gather(0, order).double()
    precision = right.cumsum(0) / torch.arange(1, len(right) + 1)[:, None]
    return ((precision * right).sum(0) / right.sum(0).clamp(min=1)).mean().item()


def _as_it_is(name: str) -> Preprocess | None:
    """The transform of a data set that leaves its images as they are; Winoground stacks what one gives."""
    return None if name == "winoground" else _unchanged


def _unchanged(image: Any) -> Any:
    return image


def _builder() -> Any:
    try:
        return import_module("clip_benchmark.datasets.builder")
    except ImportError as error:
        raise MissingDependencyError(
            f"this yardstick needs clip_benchmark ({error}): pip install clip-benchmark."
        ) from error


_TASKS: dict[str, Callable[[str, Rows, Any], Task]] = {
    "zeroshot_classification": _classification,
    "zeroshot_retrieval": _retrieval,
    "image_caption_selection": _selection,
}
