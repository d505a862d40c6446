"""Every yardstick by name. A new one is a module with `tasks(request)` and an entry here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from harmoclip.errors import InputError, unknown_name
from harmoclip.evaluate.task import Request, Task


class Yardstick(NamedTuple):
    """Where a yardstick's tasks are made, and what a user has to know of it."""

    module: str
    paper: str
    measures: str
    layout: str
    options: str = ""
    """What `--option` can tell it; empty where there is nothing to tell."""
    uses: tuple[str, ...] = ("split", "images")
    """Parts of a `Request` that mean something to it, beside the options."""

    def takes(self, part: str) -> bool:
        """Whether a part of a `Request` means something to it."""
        return bool(self.options) if part == "options" else part in self.uses

    @property
    def tasks(self) -> Callable[[Request], list[Task]]:
        """What makes its tasks."""
        found: Callable[[Request], list[Task]] = importlib.import_module(self.module).tasks
        return found


_HERE = "harmoclip.evaluate.yardsticks"

YARDSTICKS: dict[str, Yardstick] = {
    "scenes": Yardstick(
        f"{_HERE}.scenes",
        "generated here",
        "retrieval, boxes of seen and of held-out pairs, expressions and pointing",
        "a number of scenes; nothing is downloaded",
        uses=("phrase_share",),
    ),
    "own": Yardstick(
        f"{_HERE}.own",
        "data of your own",
        "what the data says: retrieval; boxes among their classes, or among all phrases; the right box for a "
        "phrase; pointing; a phrase among its negatives",
        "JSON lines, shards, or any other format that training reads",
        options="format, and those of the format, as `harmoclip data check` has them: unit, box_format, ...",
        uses=("split", "images", "phrase_share"),
    ),
    "coco": Yardstick(
        f"{_HERE}.coco",
        "1405.0312, 2310.01403, 2401.07199, 2505.05071",
        "retrieval of captions; boxes by CLIPSelf's, FineCLIP's and FG-CLIP's definitions",
        "COCO's own: annotations/*_SPLIT.json, SPLIT/, dataset_coco.json",
        uses=("split", "images", "phrase_share"),
    ),
    "flickr30k": Yardstick(
        f"{_HERE}.flickr30k",
        "1505.04870",
        "retrieval on Karpathy's test split",
        "dataset_flickr30k.json beside flickr30k-images/",
        uses=("split", "images", "phrase_share"),
    ),
    "flickr-entities": Yardstick(
        f"{_HERE}.flickr_entities",
        "1505.04870",
        "retrieval; the right one of the image's boxes for a phrase; pointing; grounding among --proposals",
        "Annotations/, Sentences/, SPLIT.txt and flickr30k-images/",
        uses=("split", "images", "proposals", "phrase_share"),
    ),
    "fg-ovd": Yardstick(
        f"{_HERE}.fg_ovd",
        "2311.17518",
        "the right caption of a box among ten that are nearly right, by level and by attribute",
        "1_attributes.json, 2_attributes.json, ..., with COCO's val2017/",
    ),
    "segmentation": Yardstick(
        f"{_HERE}.segmentation",
        "2112.01071, 2312.01597, 2407.12442",
        "mean IoU of voc21, voc20, context60, context59, ade20k, cityscapes, coco-stuff, coco-stuff171 or "
        "coco-object, by any --dense",
        "the release's own; the split is the data set: segmentation:voc20=DIR",
        options="names=FILE with a class a line; prompts, short_side, window, stride",
    ),
    "detection": Yardstick(
        f"{_HERE}.detection",
        "1405.0312, 1804.04340, 1908.03195",
        "AP of a detector's --proposals named by the model: COCO with novel and base, LVIS by frequency",
        "instances_SPLIT.json or lvis_v1_val.json, val2017/; detection:lvis_v1_val=DIR for LVIS",
        uses=("split", "images", "proposals"),
    ),
    "lvis": Yardstick(
        f"{_HERE}.lvis",
        "1908.03195",
        "boxes named among 1,203 classes: rare, common and frequent ones",
        "lvis_v1_val.json, train2017/ and val2017/",
    ),
    "boxes": Yardstick(
        f"{_HERE}.box_classes",
        "2412.06244, 1612.03716, 2304.03752, 2510.10921",
        "boxes or masks among the classes of ade20k, coco-stuff, objects365, v3det, boxclass, or of a file",
        "the release's own; the split is the data set: boxes:ade20k=DIR; or a file in COCO's format",
        options="prompts: name, photo, vild or imagenet",
    ),
    "refcoco": Yardstick(
        f"{_HERE}.refcoco",
        "1608.00272, 1511.02283",
        "the best of all objects of the image for an expression, and pointing",
        "refs(*).p and instances.json; the images by --images",
    ),
    "long-captions": Yardstick(
        f"{_HERE}.long_captions",
        "2403.15378, 2404.19753, 2312.08578, 2405.02793",
        "retrieval of long captions: Urban1k, DOCCI, DCI, IIW, ShareGPT4V-1k, or pairs of one's own",
        "the release's own, or captions.jsonl; --context N stretches what a model reads",
        uses=("split", "images", "phrase_share"),
    ),
    "sugarcrepe": Yardstick(
        f"{_HERE}.sugarcrepe",
        "2306.14610, 2406.11171",
        "an image's caption against a small change of it; two captions in SugarCrepe++",
        "replace_att.json and others, with COCO's val2017/",
    ),
    "aro": Yardstick(
        f"{_HERE}.aro",
        "2210.01936",
        "relations and attributes with their order exchanged",
        "visual_genome_relation.json, visual_genome_attribution.json, images/",
        uses=("images",),
    ),
    "valse": Yardstick(
        f"{_HERE}.valse",
        "2112.07566",
        "a caption against a foil that changes one linguistic phenomenon: existence, number, relations, ...",
        "existence.json and others, and all images below images/",
    ),
    "winoground": Yardstick(
        f"{_HERE}.winoground",
        "2204.03162",
        "two images and two captions of the same words: text, image and group score",
        "examples.jsonl and images/",
        uses=("images",),
    ),
    "clip-benchmark": Yardstick(
        f"{_HERE}.clip_benchmark",
        "2212.07143",
        "any data set of clip_benchmark: zero-shot classification, retrieval, selection of captions",
        "what clip_benchmark reads; the split is the data set: clip-benchmark:cifar10=DIR",
        options="split, task, language, annotation_file, download=true",
        uses=("split",),
    ),
    "class-folders": Yardstick(
        f"{_HERE}.class_folders",
        "2103.00020",
        "zero-shot classification",
        "one folder of images a class, class_names.txt if names differ",
        uses=(),
    ),
}


def tasks_of(name: str, request: Request) -> list[Task]:
    """The tasks of a yardstick on the data that a request names.

    Raises:
        InputError: No yardstick has that name.
        DataError: The data is not in its layout.

    Example:
        >>> [task.side for task in tasks_of("scenes", Request("4"))]
        ['whole', 'regions', 'regions', 'regions', 'regions']
    """
    yardstick = _known(name)
    for part, given in _given(request).items():
        if not yardstick.takes(part):
            raise InputError(f"{name} takes no {part}, but {given} is given.")
    return yardstick.tasks(request)


def tasks_on(asked: Sequence[str], request: Request) -> list[Task]:
    """The tasks of several yardsticks, each named as `YARDSTICK=SOURCE` or `YARDSTICK:SPLIT=SOURCE`.

    Args:
        asked: What to measure on.
        request: The rest of each request; its options go to the yardsticks that have some.

    Raises:
        InputError: One is not of this form or no yardstick has its name, or nothing takes the options.
        DataError: Some data is not in its layout.

    Example:
        >>> [task.key for task in tasks_on(["scenes=4"], Request(""))][:2]
        ['retrieval-scenes', 'boxes-scenes-dense']
    """
    parsed = [_parse(text) for text in asked]
    for part, given in _given(request).items():
        if not any(_known(name).takes(part) for name, _, _ in parsed):
            raise InputError(f"none of {', '.join(asked)} takes {part}, but {given} is given.")
    found = []
    for name, split, source in parsed:
        yardstick = _known(name)
        own = {part: getattr(request, part) for part in _given(request) if yardstick.takes(part)}
        found += tasks_of(name, Request(source, split, regions=request.regions, **own))
    return found


def _given(request: Request) -> dict[str, str]:
    """The parts of a request that not every yardstick takes and that are given, as text."""
    texts = {
        "split": request.split or "",
        "images": str(request.images or ""),
        "proposals": str(request.proposals or ""),
        "phrase_share": "" if request.phrase_share is None else str(request.phrase_share),
        "options": ", ".join(request.options),
    }
    return {part: text for part, text in texts.items() if text}


def _known(name: str) -> Yardstick:
    if name not in YARDSTICKS:
        raise InputError(unknown_name("no yardstick is called", name, YARDSTICKS))
    return YARDSTICKS[name]


def _parse(asked: str) -> tuple[str, str | None, str]:
    """The name, the split and the source of `NAME[:SPLIT]=SOURCE`."""
    name, sign, source = asked.partition("=")
    name, _, split = name.partition(":")
    if not (name and sign and source):
        raise InputError(
            f"{asked!r} says not where to measure: expected YARDSTICK=FOLDER or YARDSTICK:SPLIT=FOLDER."
        )
    return name, split or None, source
