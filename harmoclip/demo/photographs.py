"""The demo on photographs: two pretrained towers that have never met learn from captions with boxes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from harmoclip.data import Collator, Sample, transform_for
from harmoclip.data.dataset import IdentifiedDataset, SampleDataset, rows_of_images
from harmoclip.demo.study import Settings, Split, Subject, is_asked
from harmoclip.errors import DataError
from harmoclip.harmonized import Harmonized
from harmoclip.images import each_image_once
from harmoclip.losses import Positives
from harmoclip.prompts import with_article
from harmoclip.segment import CaptionSegmenter
from harmoclip.starter import cut_image_tower, cut_text_tower, starter_model, starter_tokenizer

SETTINGS = Settings(
    steps=110,
    batch_size=32,
    train=1600,
    test=300,
    learning_rate=1e-3,
    warmup=11,
    curve_points=2,
    share=0.8,
)
BLOCKS = 3
"""Of the image tower that are trained; what the others give is computed once."""
CAPTIONS = 3
"""Read of each photograph, at most."""
NAMES = 60
"""That boxes are called by most often, where the data has no classes."""
FEWEST = 50
"""Photographs from which something can be learned."""
_AT_ONCE = 8  # of more, the maps of the first layers take new memory each time


def photographs_subject(
    dataset: SampleDataset, settings: Settings, progress: Callable[[int], None]
) -> Subject:
    """Photographs of a data set, read now, and the starter without its lower layers.

    Args:
        dataset: With captions, boxes, and links between phrases and boxes.
        settings: How many photographs are learned from and held out; fewer, where there are fewer.
        progress: Told how far the reading is.

    Raises:
        DataError: There are too few photographs, or no box that was held out has a name.
    """
    model = starter_model(settings.seed)
    cut_text_tower(model)
    reader = _Reader(dataset, model, progress)
    learned, held_out = _parts(dataset, settings)
    train, test = reader.read(learned), reader.read([rows[:1] for rows in held_out])
    names, named = _named(dataset, test.samples, train.samples)
    if not any(len(sample.boxes) for sample in named):
        raise DataError(
            "no box of the photographs that were held out has a name: expected classes, or phrases that are "
            "linked to boxes. `harmoclip data check` says what the data holds."
        )
    tokenizer = starter_tokenizer()
    collator = Collator(tokenizer)
    return Subject(
        train=Split(train.samples, train.features, collator, train.image_of),
        test=Split(test.samples, test.features, collator, test.image_of),
        named=named,
        names=[with_article(name) for name in names],
        tokenizer=tokenizer,
        start=partial(deepcopy, model),  # the reader took its lower layers
        to_input=_to_input,
        # the text tower knows synonyms, and the average keeps the retrieval that a greater weight costs
        options={"positives": Positives(synonyms=0.6), "weights": {"lexeme_region": 2.0}},
        groups=partial(_groups, rate=settings.learning_rate),
        asks="phrases" if any(map(is_asked, test.samples)) and not dataset.class_names else "names",
    )


class _Read:
    """Samples of one part, and the features of their images."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.image_of: list[int] = []
        self._features: list[Tensor] = []

    @property
    def features(self) -> Tensor:
        """`[N, C, H, W]` in half precision."""
        return torch.cat(self._features)

    def add(self, samples: Iterable[Sample], image_of: Iterable[int], features: Tensor) -> None:
        """Take what was read of some photographs."""
        self.samples += samples
        self.image_of += image_of
        self._features.append(features)


class _Reader:
    """Reads photographs: what the model's lower layers give, and small images to draw."""

    def __init__(self, dataset: SampleDataset, model: nn.Module, progress: Callable[[int], None]) -> None:
        self.dataset, self.progress = dataset, progress
        self.transform = transform_for(model)
        self.lower = cut_image_tower(model, BLOCKS)
        self.done = 0

    @torch.no_grad()
    def read(self, photographs: Sequence[Sequence[int]]) -> _Read:
        """The samples in these rows, a list of rows for each photograph."""
        found = _Read()
        for first in range(0, len(photographs), _AT_ONCE):
            some = photographs[first : first + _AT_ONCE]
            samples = [self._captions_of(rows) for rows in some]
            pixels = torch.stack([torch.as_tensor(own[0].image) for own in samples])
            features = self.lower(pixels.contiguous(memory_format=torch.channels_last)).half()
            drawn = ((pixels + 1) * 127.5).round().byte()
            owners = [first + i for i, own in enumerate(samples) for _ in own]
            flat = (s.replace(image=image) for own, image in zip(samples, drawn, strict=True) for s in own)
            found.add(flat, owners, features)
            self.done += len(some)
            self.progress(self.done)
        return found

    def _captions_of(self, rows: Sequence[int]) -> list[Sample]:
        """The samples of one photograph; the first alone has its pixels, which take long to read."""
        with each_image_once():
            first, *more = (self.dataset[row] for row in rows)
        blank = Image.new("RGB", first.size)
        return [self.transform(s) for s in (first, *(s.replace(image=blank) for s in more))]


def _parts(dataset: SampleDataset, settings: Settings) -> tuple[list[list[int]], list[list[int]]]:
    """The rows of each photograph that is learned from, and of each that is held out, one in so many."""
    alone = ([row] for row in range(len(dataset)))
    rows = rows_of_images(dataset).values() if isinstance(dataset, IdentifiedDataset) else alone
    photographs = [own[:CAPTIONS] for own in rows][: settings.train + settings.test]
    if len(photographs) < FEWEST:
        raise DataError(f"{len(photographs)} photographs: expected at least {FEWEST} to learn from.")
    every = math.ceil((settings.train + settings.test) / settings.test)
    return [own for i, own in enumerate(photographs) if i % every], photographs[::every]


def _named(
    dataset: SampleDataset, test: Sequence[Sample], train: Sequence[Sample]
) -> tuple[list[str], list[Sample]]:
    """The names that a box may have, and the samples with the boxes that have one, by number."""
    if dataset.class_names:
        return list(dataset.class_names), [s if s.labels is not None else _without_boxes(s) for s in test]
    heads = _heads(text for samples in (train, test) for s in samples for text in s.phrase_texts)
    said = Counter(heads[s.phrase_texts[phrase]] for s in train for _, phrase in s.links)
    names = [name for name, _ in said.most_common(NAMES)]
    number = {name: i for i, name in enumerate(names)}
    return names, [_labelled(s, heads, number) for s in test]


def _heads(texts: Iterable[str]) -> dict[str, str]:
    """The noun that each phrase is about: "dog" of "two small dogs"."""
    distinct = list(dict.fromkeys(texts))
    found = CaptionSegmenter().pipe(distinct)
    return {
        text: phrases[0].head.lemma if phrases else text.lower()
        for text, phrases in zip(distinct, found, strict=True)
    }


def _labelled(sample: Sample, heads: dict[str, str], number: dict[str, int]) -> Sample:
    """The sample with the boxes alone that a linked phrase gives one of the names."""
    calls = {box: number.get(heads[sample.phrase_texts[phrase]], -1) for box, phrase in sample.links}
    labels = torch.tensor([calls.get(row, -1) for row in range(len(sample.boxes))], dtype=torch.int64)
    nameless = {row: "without a frequent name" for row, label in enumerate(labels.tolist()) if label < 0}
    return sample.replace(labels=labels).drop_boxes(nameless)


def _without_boxes(sample: Sample) -> Sample:
    return sample.drop_boxes(dict.fromkeys(range(len(sample.boxes)), "without a class"))


def _to_input(features: Any) -> Tensor:
    values: Tensor = features.float()
    return values.contiguous(memory_format=torch.channels_last) if values.ndim == 4 else values


def _groups(harmo: Harmonized, rate: float) -> list[dict[str, Any]]:
    """The upper blocks of both towers at a third of the rate; the projections, which are random, at all."""
    text = harmo.towers.text
    for parameter, depth in text.depths().items():
        parameter.requires_grad_(depth >= len(text.blocks))
    learned = [(name, p) for name, p in harmo.named_parameters() if p.requires_grad]
    return [
        {"params": [p for name, p in learned if ("proj.weight" in name) == random], "lr": rate * share}
        for random, share in ((False, 0.3), (True, 1.0))
    ]
