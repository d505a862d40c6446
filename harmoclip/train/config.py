"""The configuration of a run: every key with its default, what it means, and whether a run may change it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar, get_type_hints

from harmoclip.errors import InputError
from harmoclip.options import Options

T = TypeVar("T")


def key(default: T, meaning: str, *, may_change: bool = False, least: float | None = None) -> T:
    """A field of a section.

    Args:
        default: Its value where the configuration does not say.
        meaning: One line for `--print-config`.
        may_change: Whether another value is taken when a run is taken up again: it decides how the run is
            watched and kept, not what is learned.
        least: The smallest value there is.
    """
    return field(default=default, metadata={"meaning": meaning, "may_change": may_change, "least": least})


@dataclass(frozen=True)
class ModelConfig:
    """What is trained."""

    name: str = key("ViT-B-32", "an open_clip architecture, hf:NAME, or a folder")
    pretrained: str | None = key(None, "open_clip's tag of the weights, or a file; null: random weights")
    context_length: int | None = key(
        None,
        "tokens of a text, such as 248 for long captions: positions are stretched as Long-CLIP does, and the "
        "tokenizer follows; null: the model's own",
        least=1,
    )


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank adapters (Hu et al., arXiv 2106.09685) in place of whole weights, by the library peft."""

    rank: int | None = key(None, "of the adapters, such as 8; null trains the weights themselves", least=1)
    alpha: float = key(16.0, "adapters are scaled by alpha / rank")
    targets: tuple[str, ...] | None = key(
        None, "ends of the names of the modules that get one; null: every projection of every block"
    )


@dataclass(frozen=True)
class DataConfig:
    """What it is trained on."""

    format: str | None = key(
        None, "how the data is stored, or scenes, which are generated; null: its files tell"
    )
    path: str | None = key(None, "the folder, the file, or a pattern of shards; none for scenes")
    split: str | None = key(None, "the part that is trained on; null: the only one, or train")
    images: str | None = key(None, "the folder of the images, where it is another")
    unit: Literal["fraction", "pixel"] | None = key(None, "of boxes in a .jsonl file; null: fraction")
    box_format: Literal["xyxy", "xywh", "cxcywh"] | None = key(
        None, "corners, corner and size, or center and size; null: xyxy in a .jsonl file, xywh in rows"
    )
    upright: bool | None = key(
        None, "turn images as their EXIF orientation says, as boxes were drawn; null: the format's own way"
    )
    options: tuple[str, ...] = key(
        (), "more options of the format, as [KEY=VALUE, ...], such as [descriptions=20]; see the page on data"
    )
    one_caption: bool = key(
        False, "take one caption an image and pass, drawn anew, where a data set has several"
    )
    captions: int = key(
        1,
        "captions of an image in one sample, drawn anew each time, where a data set has several",
        least=1,
    )
    phrases_of: int | None = key(
        None, "from how many of these captions phrases and boxes are taken; null: from all", least=1
    )
    segment: bool = key(False, "find the phrases of captions that come without")
    link: Literal["words", "similarity"] | None = key(
        None,
        "link phrases to boxes where the data does not: by the words for the boxes' classes, or by what the "
        "model finds similar at the start of the run",
    )
    names: tuple[str, ...] | None = key(
        None, "of the boxes' classes, in their order, for links by words; null: the data's own"
    )
    link_threshold: float = key(0.5, "confidence in [0, 1] from which a link by similarity counts", least=0)
    cache: str | None = key(None, "a file that keeps the phrases that were found", may_change=True)
    crops: str | None = key(
        None,
        "a folder that keeps the teacher's vectors of boxes cut out for objective.global_region=crops: later "
        "epochs compute none; of use without random crops and flips",
        may_change=True,
    )
    on_broken: Literal["error", "skip"] = key(
        "error",
        "an image or row that cannot be read ends the run, or is left out, named and counted",
        may_change=True,
    )
    shuffle: int = key(1000, "samples that wait to be drawn from, for shards", least=0)
    size: int = key(8000, "how many scenes, for format scenes", least=1)
    crop: float | None = key(None, "random crops of at least this share of the area; null: the model's own")
    flip: float = key(0.0, "how likely an image is mirrored, unless its caption says left or right", least=0)
    batch_size: int = key(64, "samples a step and process; at least 2 over all processes", least=1)
    workers: int = key(
        0, "loader processes, for each process (over shards it decides the order)", may_change=True, least=0
    )


@dataclass(frozen=True)
class OptimizerConfig:
    """How it is trained (AdamW)."""

    learning_rate: float = key(1e-5, "at its highest")
    schedule: Literal["cosine", "linear", "constant"] = key(
        "cosine", "how the rate falls to 0 over the steps after the warm-up, or that it stays"
    )
    warmup: int = key(100, "steps of linear warm-up", least=0)
    weight_decay: float = key(0.1, "for matrices; norms, biases and scales have none")
    beta1: float = key(0.9, "of AdamW: how slowly the mean of the gradients moves")
    beta2: float = key(0.98, "of AdamW: how slowly the mean of their squares moves")
    epsilon: float = key(1e-6, "of AdamW: added to the root of the squares")
    max_norm: float | None = key(1.0, "gradients are clipped to this norm; null: not at all")
    accumulate: int = key(
        1, "batches whose gradients a step adds up; each is contrasted within itself", least=1
    )
    layer_decay: float = key(1.0, "factor on the learning rate from each block to the one below, in (0, 1]")
    image_blocks: int | None = key(
        None, "train the last n blocks of the image tower, 0 locks it, null trains all", least=0
    )
    text_blocks: int | None = key(None, "the same for the text tower", least=0)
    unlock_at: int | None = key(None, "step at which the locked blocks join in; null: never", least=0)


@dataclass(frozen=True)
class EvaluationConfig:
    """How both sides are watched; the weights with the best trade-off are kept."""

    path: str | None = key(None, "held-out data of the same format; null: the same path")
    split: str | None = key(None, "the held-out part; no path and no split: it is not measured")
    yardsticks: tuple[str, ...] = key(
        (),
        "yardsticks to measure as well, before the first step too, as `harmoclip evaluate --on` has them: "
        "[YARDSTICK=FOLDER, YARDSTICK:SPLIT=FOLDER]",
    )
    options: tuple[str, ...] = key((), "what else these are told, as [KEY=VALUE, ...]")
    phrase_share: float | None = key(
        None,
        "the share of phrases in their retrieval by phrases, such as 0.4; null: none is measured",
        least=0,
    )
    best: tuple[str, ...] = key(
        (),
        "the measures whose harmonic mean is the trade-off, such as [retrieval-coco-val2017, "
        "fg-ovd-hard-dense/fg_ovd_top1]; none: trade_off, or the first yardstick of each side",
    )
    every: int = key(500, "steps", may_change=True, least=1)
    samples: int = key(1000, "at most so many", least=1)


@dataclass(frozen=True)
class CheckpointConfig:
    """How often the whole state is kept."""

    every: int = key(500, "steps", may_change=True, least=1)
    keep: int = key(3, "the newest so many", may_change=True, least=1)


@dataclass(frozen=True)
class Config:
    """Everything that decides a run; the same configuration gives the same losses.

    Raises:
        InputError: A number is out of its range.
    """

    out: str = key(
        "runs/harmoclip", "the run's folder; an unfinished run there is taken up again", may_change=True
    )
    steps: int = key(
        1000, "optimizer steps; more make a run longer, whose rate goes on as in a run of that length",
        may_change=True, least=1,
    )  # fmt: skip
    seed: int = key(0, "of the order of the data, augmentation and new weights")
    log_every: int = key(10, "steps between status lines and points of the tracker", may_change=True, least=1)
    tracker: Literal["tensorboard", "wandb", "mlflow", "none"] = key(
        "tensorboard", "where curves are drawn, beside the run's own files", may_change=True
    )
    model: ModelConfig = field(default_factory=ModelConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    objective: Options = field(default_factory=Options)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)

    def __post_init__(self) -> None:
        for found in keys(self):
            if found.least is not None and found.value is not None and not found.value >= found.least:
                raise InputError(f"{found.name} is {found.value}: expected {found.least} or more.")
        for name, value in (
            ("optimizer.layer_decay", self.optimizer.layer_decay),
            ("data.crop", self.data.crop),
        ):
            if value is not None and not 0 < value <= 1:
                raise InputError(f"{name} is {value}: expected more than 0 and at most 1.")
        for name, value in (("data.flip", self.data.flip), ("data.link_threshold", self.data.link_threshold)):
            if value > 1:
                raise InputError(f"{name} is {value}: expected at most 1.")


class Key(NamedTuple):
    """One value of a configuration, under its full name."""

    name: str
    value: Any
    kind: object  # its type
    meaning: str
    may_change: bool
    least: float | None

    @property
    def depth(self) -> int:
        """How many sections it lies in."""
        return self.name.count(".")


def keys(tree: object, prefix: str = "", *, sections: bool = False) -> Iterator[Key]:
    """Every value of a section and of those in it, in their order; with `sections`, these too.

    Example:
        >>> [key.name for key in keys(CheckpointConfig(), "checkpoint.")]
        ['checkpoint.every', 'checkpoint.keep']
    """
    for name, value, kind, metadata in _members(tree):
        meaning = metadata.get("meaning", "")
        if dataclasses.is_dataclass(value) and not meaning:
            meaning = (value.__doc__ or "").partition("\n")[0]
        told = meaning, metadata.get("may_change", False), metadata.get("least")
        if sections or not _members(value):
            yield Key(f"{prefix}{name}", value, kind, *told)
        yield from keys(value, f"{prefix}{name}.", sections=sections)


def _members(value: object) -> list[tuple[str, Any, object, Mapping[str, Any]]]:
    """Name, value, type and metadata of what a section holds; nothing for a plain value."""
    if dataclasses.is_dataclass(value):
        kinds = get_type_hints(type(value))
        return [
            (item.name, getattr(value, item.name), kinds[item.name], item.metadata)
            for item in dataclasses.fields(value)
        ]
    if isinstance(value, Mapping):
        return [(name, part, type(part), {}) for name, part in value.items()]
    return []
