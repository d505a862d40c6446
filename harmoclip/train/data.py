"""The data of a run: opened as its configuration says, in batches without end, and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from accelerate import Accelerator
from accelerate.utils import gather_object

from harmoclip.data import (
    Batch,
    Collator,
    Loader,
    PhraseCache,
    Sample,
    SeveralCaptions,
    Shards,
    open_dataset,
    transform_for,
)
from harmoclip.data.dataset import Indexed, SampleStream
from harmoclip.data.formats.entries import OnBroken
from harmoclip.data.formats.registry import options_of, read_options, recognize
from harmoclip.data.linking.grounding_finder import GroundingFinder
from harmoclip.data.scenes import Scenes
from harmoclip.errors import DataError, InputError, TrainingError
from harmoclip.evaluate.both_sides import check_both_sides
from harmoclip.losses.hard_negative import HardNegativeTerm
from harmoclip.models import LoadedModel
from harmoclip.options import Options
from harmoclip.segment import CaptionSegmenter
from harmoclip.train.config import Config, DataConfig


class Counts(NamedTuple):
    """How much of everything there was."""

    samples: int = 0
    boxes: int = 0
    dropped: int = 0
    """Boxes that the transform dropped, as impossible, too small or outside the crop."""
    phrases: int = 0
    links: int = 0
    negatives: int = 0

    def __add__(self, other: tuple[int, ...]) -> Counts:  # type: ignore[override]
        return Counts(*(mine + its for mine, its in zip(self, other, strict=True)))


class Counted(NamedTuple):
    """A batch, what is in it, and what could not be read."""

    batch: Batch
    counts: Counts
    broken: list[str]


class Batches:
    """This rank's endless batches of a configuration's data.

    Register it for checkpointing: its state holds where each rank is.

    Args:
        config: What to read, and how.
        loaded: The model with its tokenizer and preprocessing.
        accelerator: Says which rank this is.

    Raises:
        InputError: There is one sample in a batch of all ranks, or an option has an unknown value.
        DataError: The data is not what it should be.
    """

    def __init__(self, config: Config, loaded: LoadedModel, accelerator: Accelerator) -> None:
        data, ranks = config.data, accelerator.num_processes
        if data.batch_size * ranks == 1:
            raise InputError(
                "data.batch_size is 1 in one process: expected at least 2 samples in a batch of all "
                "processes, for an image learns by being told from the others of its batch, and "
                "optimizer.accumulate adds no others to it. Give data.batch_size=2 or more."
            )
        self._broken: list[str] = []
        on_broken = _Noted(self._broken) if data.on_broken == "skip" else None
        dataset = _open(config, data.path, data.split, data.size, data.shuffle, on_broken)
        finder: Callable[[Sample], Sample] | None = _finder(data, dataset)
        if data.captions > 1 or data.phrases_of is not None:
            dataset, finder = SeveralCaptions(dataset, data.captions, data.phrases_of, finder), None
        transform = transform_for(loaded, crop=_crop(data.crop), flip=data.flip)
        self.loader: Loader[Counted] = Loader(
            dataset,
            _Counting(Collator(loaded.tokenizer)),
            transform=_Steps(finder, transform),
            batch_size=data.batch_size,
            workers=data.workers,
            seed=config.seed,
            rank=accelerator.process_index,
            ranks=ranks,
            one_caption=data.one_caption,
            on_broken=on_broken,
            pin_memory=accelerator.device.type == "cuda",
        )

    def __iter__(self) -> Iterator[Counted]:
        for counted in self.loader.endless():
            broken = list(self._broken)
            self._broken.clear()
            yield counted._replace(broken=broken)

    def state_dict(self) -> dict[str, Any]:
        """Where every rank is; all ranks have to ask."""
        return {"ranks": gather_object([self.loader.state_dict()])}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there.

        Raises:
            InputError: The state is of another number of ranks, batch size or seed.
        """
        places, ranks = state["ranks"], self.loader.ranks
        if len(places) != ranks:
            raise InputError(
                f"the checkpoint is of {len(places)} processes, this run has {ranks}: expected the same "
                "number, or the order of the data would be another. Give another `out` to begin anew."
            )
        self.loader.load_state_dict(places[self.loader.rank])

    def samples(self) -> int | None:
        """How many samples the data has; None for shards, which do not say."""
        dataset = self.loader.dataset
        return None if isinstance(dataset, Shards) else len(dataset)

    def about(self) -> str:
        """How much data there is."""
        dataset = self.loader.dataset
        return f"{len(dataset.urls)} shards" if isinstance(dataset, Shards) else f"{len(dataset)} samples"


def check_grounding(seen: Counts, objective: Options) -> None:
    """See that samples hold what the terms of an objective learn from.

    Raises:
        TrainingError: A term judges regions and there is no box, phrases and there is no link, or hard
            negatives and there are none.
    """
    terms = [term for term in objective.terms() if term.of_regions]
    without = " ".join(f"objective.weights.{term.name}=0" for term in terms)
    held = (
        f"{seen.samples} samples held {seen.boxes} boxes, {seen.phrases} phrases and {seen.links} links of a "
        "phrase to a box"
    )
    if terms and not seen.boxes:
        mend = "Give data with boxes"
        if seen.dropped:
            mend = (
                f"All {seen.dropped} boxes were dropped as impossible or too small: data.unit and "
                "data.box_format say what their numbers mean, and `harmoclip data check` shows them"
            )
        raise TrainingError(f"{held}: no region loss has anything to learn from. {mend}, or give {without}.")
    if any("phrases" in term.judges for term in terms) and not seen.links:
        raise TrainingError(
            f"{held}: no loss between regions and phrases has anything to learn from. Find phrases with "
            "data.segment=true and link them with data.link=words or data.link=similarity, or give "
            "objective.weights.lexeme_region=0."
        )
    if any(isinstance(term, HardNegativeTerm) for term in terms) and not seen.negatives:
        raise TrainingError(
            f"{held}, and no hard negatives: objective.weights.hard_negative has nothing to teach. "
            "Write some by `harmoclip data prepare --negatives 3`, or give objective.weights.hard_negative=0."
        )


class HeldOut(NamedTuple):
    """What a run is measured on."""

    samples: Sequence[Sample]
    class_names: Sequence[str] | None
    broken: list[str]
    """What could not be read, and was left out."""


def held_out(config: Config, loaded: LoadedModel) -> HeldOut | None:
    """The samples to measure on, or None where there is no evaluation."""
    chosen = config.evaluation
    if chosen.path is None and chosen.split is None:
        return None
    broken: list[str] = []
    on_broken = _Noted(broken) if config.data.on_broken == "skip" else None
    try:
        dataset = _open(config, chosen.path or config.data.path, chosen.split, chosen.samples, 0, on_broken)
    except InputError as error:
        raise InputError(f"evaluation: {error}") from error
    transform = _Steps(_finder(config.data, dataset), transform_for(loaded))
    samples = [transform(sample) for sample in islice(_in_order(dataset, on_broken), chosen.samples)]
    names = getattr(dataset, "class_names", None) or None
    try:
        check_both_sides(samples, names)
    except DataError as error:
        raise DataError(
            f"evaluation: {error} Give evaluation.path or evaluation.split with captions and with boxes that "
            "have a class or a linked phrase, or leave both out."
        ) from error
    return HeldOut(samples, names, broken)


def _open(
    config: Config,
    path: str | None,
    split: str | None,
    size: int,
    shuffle: int,
    on_broken: OnBroken | None,
) -> Any:
    data = config.data
    if data.format == "scenes":
        return Scenes(split or "train", size, seed=config.seed)
    if path is None:
        raise InputError(
            "data.path is null: expected where the data is; data.format=scenes needs none, it is generated."
        )
    form = data.format or recognize(path)
    options = options_of(form)
    given: dict[str, Any] = {
        "split": split,
        "images": data.images,
        "unit": data.unit,
        "box_format": data.box_format,
        "upright": data.upright,
        "cache": None if data.segment and "segment" not in options else data.cache,
    }
    if "shuffle" in options:
        given |= {"shuffle": shuffle, "seed": config.seed}
    given |= read_options(form, data.options)
    return open_dataset(path, form, on_broken=on_broken, **given)


def _finder(data: DataConfig, dataset: object) -> Callable[[Sample], Sample] | None:
    """What finds the phrases and links that the data lacks; those by similarity the loop finds."""
    if not data.segment and data.link != "words":
        return None
    names = None
    if data.link == "words":
        names = data.names or getattr(dataset, "class_names", None)
        if not names:
            raise InputError(
                "data.link is words, but the data does not name the classes of its boxes: expected "
                "data.names=[dog,cat,...]. data.link=similarity needs none."
            )
    segment = None
    if data.segment:
        segment = CaptionSegmenter() if data.cache is None else PhraseCache(data.cache)
    return GroundingFinder(segment, names)


class _Noted:
    """Keeps what is told of samples that cannot be read."""

    def __init__(self, broken: list[str]) -> None:
        self.broken = broken

    def __call__(self, error: DataError) -> None:
        self.broken.append(str(error))


class _Steps:
    """One transform after another."""

    def __init__(self, *steps: Callable[[Sample], Sample] | None) -> None:
        self.steps = [step for step in steps if step is not None]

    def __call__(self, sample: Sample) -> Sample:
        for step in self.steps:
            sample = step(sample)
        return sample


class _Counting:
    """A collator that counts."""

    def __init__(self, collate: Callable[[Sequence[Sample]], Batch]) -> None:
        self.collate = collate

    def __call__(self, samples: Sequence[Sample]) -> Counted:
        batch = self.collate(samples)
        counts = Counts(
            len(samples),
            len(batch.grounding.boxes),
            sum(sum(sample.dropped.values()) for sample in samples),
            len(batch.grounding.spans),
            len(batch.grounding.links),
            len(batch.grounding.negatives),
        )
        return Counted(batch, counts, [])


def _in_order(dataset: Indexed[Sample] | SampleStream, on_broken: OnBroken | None) -> Iterator[Sample]:
    """The samples of a data set as they come, without those that cannot be read where these are told."""
    if not isinstance(dataset, Indexed):
        yield from dataset
        return
    for row in range(len(dataset)):
        try:
            sample = dataset[row]
        except DataError as error:
            if on_broken is None:
                raise
            on_broken(error)
            continue
        yield sample


def _crop(smallest: float | None) -> tuple[float, float] | None:
    return None if smallest is None else (smallest, 1.0)
