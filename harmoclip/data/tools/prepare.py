"""Boxes and captions made ready for training: phrases found, linked to boxes, and written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from harmoclip.data.dataset import Indexed, Shown
from harmoclip.data.formats.rows import to_row, write_class_names
from harmoclip.data.linking.by_similarity import link, model_similarity
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError, InputError
from harmoclip.files import PARTIAL

if TYPE_CHECKING:
    from harmoclip.harmonized import Harmonized
    from harmoclip.tokenizers import Tokenizer

Step = Callable[[Sample], Sample]


class Prepared(Shown, Dataset[Sample]):
    """A data set whose samples go through steps, such as a `GroundingFinder` and a `SimilarityLinker`.

    Args:
        dataset: With `len` and samples by number.
        steps: One after another.
        rows: Which of its samples, in this order, such as those that are not held out; None takes all.

    Example:
        >>> from harmoclip.data.scenes import Scenes
        >>> scenes = Scenes("train", 10)
        >>> len(Prepared(scenes, rows=range(8))), len(Prepared(scenes, rows=[8, 9]))
        (8, 2)
    """

    def __init__(self, dataset: Indexed[Sample], *steps: Step, rows: Sequence[int] | None = None) -> None:
        self.dataset, self.steps = dataset, steps
        self.rows = range(len(dataset)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[self.rows[index]]
        for step in self.steps:
            sample = step(sample)
        return sample

    @property
    def class_names(self) -> Sequence[str]:
        """The name of each class, as the data set says."""
        return getattr(self.dataset, "class_names", ())

    @property
    def is_thing(self) -> Sequence[bool]:
        """For each class whether it is of things, as the data set says."""
        return getattr(self.dataset, "is_thing", (True,) * len(self.class_names))

    @property
    def image_ids(self) -> Sequence[int]:
        """Which image each sample is of, as the data set says; without it, each its own."""
        ids = getattr(self.dataset, "image_ids", range(len(self.dataset)))
        return [ids[row] for row in self.rows]


class SimilarityLinker:
    """A step that links phrases to boxes by what a model finds similar, where a sample has no links.

    What was linked once is remembered, so that reading the data again asks no model.

    Args:
        harmo: A harmonized model.
        tokenizer: The model's own.
        transform: Such as `transform_for(model)`.
        threshold: Pairs with less confidence are left out, 0 to 1.
    """

    def __init__(
        self, harmo: Harmonized, tokenizer: Tokenizer, transform: Step, threshold: float = 0.5
    ) -> None:
        self.harmo, self.tokenizer, self.transform, self.threshold = harmo, tokenizer, transform, threshold
        self._links: dict[tuple[object, ...], tuple[tuple[int, int], ...]] = {}

    def __call__(self, sample: Sample) -> Sample:
        """The sample with its links."""
        if sample.links or not len(sample.boxes) or not sample.phrases:
            return sample
        asked = (sample.image_id, sample.caption, sample.phrase_texts, sample.boxes.numpy().tobytes())
        if sample.image_id is None or asked not in self._links:
            similarity: Tensor = model_similarity(self.harmo, self.tokenizer, self.transform, sample)
            self._links[asked] = link(sample, similarity, threshold=self.threshold)[0].links
        return sample.replace(links=self._links[asked])


def write_lines(
    dataset: Indexed[Sample], path: str | Path, *, progress: Callable[[int], None] = lambda done: None
) -> list[str]:
    """Write the samples of a data set as JSON lines; `JsonLines` reads them back, with boxes as fractions.

    Images that come from a file stay there, named from the folder of the lines; others are written beside
    the lines, as PNG, in a folder of their name; names of classes are written to `class_names.txt`. The file
    is there in full or not at all.

    Args:
        dataset: With `len` and samples by number.
        path: A name in `.jsonl`; what is there is replaced.
        progress: Called with how many samples are done.

    Returns:
        A message for each sample that cannot be read and was left out.

    Raises:
        InputError: The name does not end in `.jsonl`.
        DataError: No sample can be read, or the folder names the classes of other rows.

    Example:
        >>> from harmoclip.data.scenes import Scenes
        >>> write_lines(Scenes("train", 3), "scenes.jsonl")  # doctest: +SKIP
        []
    """
    path, broken = Path(path), list[str]()
    if path.suffix != ".jsonl":
        raise InputError(f"{path} is no name of JSON lines: expected one that ends in .jsonl.")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_class_names(dataset, path.parent)
    partial = path.with_name(path.name + PARTIAL)
    with partial.open("w", encoding="utf-8") as file:
        for index in range(len(dataset)):
            try:
                sample = dataset[index]
            except DataError as error:
                broken.append(" ".join(str(error).split()))
            else:
                row = {"image": _image_name(sample, path, index), **to_row(sample)}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            progress(index + 1)
    if len(broken) == len(dataset):
        partial.unlink()
        raise DataError(f"none of {len(dataset)} samples can be read. The first: {broken[:1]}")
    os.replace(partial, path)
    return broken


def _image_name(sample: Sample, path: Path, index: int) -> str:
    """The file of a sample's image, from the folder of the lines; written where there is none."""
    source = Path(getattr(sample.image, "filename", ""))
    if source.is_file():
        return os.path.relpath(source, path.parent)
    if not isinstance(sample.image, Image.Image):
        raise DataError(
            f"sample {sample.key!r} has a {type(sample.image).__name__} for an image: expected PIL's."
        )
    target = path.with_suffix("") / f"{index:08}.png"
    target.parent.mkdir(exist_ok=True)
    sample.image.save(target)
    return os.path.relpath(target, path.parent)
