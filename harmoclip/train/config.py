"""The configuration of a run: YAML in, every default visible, unknown keys refused."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from harmoclip.errors import InputError


def _key(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


def _objective() -> dict[str, Any]:
    """The options of `harmonize` with their defaults."""
    from harmoclip.options import Options

    return dataclasses.asdict(Options())


@dataclass(frozen=True)
class ModelConfig:
    """What is trained."""

    name: str = _key("ViT-B-32", "an open_clip architecture, hf:NAME, or a folder")
    pretrained: str | None = _key(None, "open_clip's tag of the weights, or a file")


@dataclass(frozen=True)
class DataConfig:
    """What it is trained on."""

    format: str | None = _key(
        None, "how the data is stored, or scenes, which are generated; null: its files tell"
    )
    path: str | None = _key(None, "the folder, the file, or a pattern of shards; none for scenes")
    split: str | None = _key(None, "the part that is trained on; null: the only one, or train")
    images: str | None = _key(None, "the folder of the pictures, where it is another")
    unit: Literal["fraction", "pixel"] | None = _key(None, "of boxes in a .jsonl file; null: fraction")
    box_format: Literal["xyxy", "xywh", "cxcywh"] | None = _key(
        None, "of a .jsonl file (null: xyxy) or of Hugging Face rows (null: xywh)"
    )
    cache: str | None = _key(None, "a file that keeps the phrases that were found")
    shuffle: int = _key(1000, "samples that wait to be drawn from, for shards")
    size: int = _key(8000, "how many scenes, for format scenes")
    crop: float | None = _key(None, "random crops of at least this share of the area; null: the model's own")
    flip: float = _key(0.0, "how likely an image is mirrored, unless its caption says left or right")
    batch_size: int = _key(64, "samples a step and process")
    workers: int = _key(0, "loader processes, for each process")


@dataclass(frozen=True)
class OptimizerConfig:
    """How it is trained (AdamW)."""

    learning_rate: float = _key(1e-5, "at its highest")
    schedule: Literal["cosine", "linear", "constant"] = _key("cosine", "after the warm-up")
    warmup: int = _key(100, "steps of linear warm-up")
    weight_decay: float = _key(0.1, "for matrices; norms, biases and scales have none")
    beta1: float = _key(0.9, "AdamW")
    beta2: float = _key(0.98, "AdamW")
    epsilon: float = _key(1e-6, "AdamW")
    max_norm: float | None = _key(1.0, "gradients are clipped to this norm")
    accumulate: int = _key(1, "batches whose gradients a step adds up; each is contrasted within itself")
    layer_decay: float = _key(1.0, "learning rate factor from each block to the one below")
    image_blocks: int | None = _key(
        None, "train the last n blocks of the image tower, 0 locks it, null trains all"
    )
    text_blocks: int | None = _key(None, "the same for the text tower")
    unlock_at: int | None = _key(None, "step at which the locked blocks join in; null: never")


@dataclass(frozen=True)
class EvaluationConfig:
    """How both sides are watched; the weights with the best trade-off are kept."""

    path: str | None = _key(None, "held-out data of the same format; null: the same path")
    split: str | None = _key(None, "the held-out part; no path and no split: no evaluation")
    every: int = _key(500, "steps")
    samples: int = _key(1000, "at most so many")


@dataclass(frozen=True)
class CheckpointConfig:
    """How often the whole state is kept."""

    every: int = _key(500, "steps")
    keep: int = _key(3, "the newest so many")


@dataclass(frozen=True)
class Config:
    """Everything that decides a run; the same configuration gives the same losses."""

    out: str = _key("runs/harmoclip", "the run's folder; an unfinished run there is taken up again")
    steps: int = _key(1000, "optimiser steps")
    seed: int = _key(0, "of the order of the data, augmentation and new weights")
    log_every: int = _key(10, "steps between status lines and TensorBoard points")
    model: ModelConfig = field(default_factory=ModelConfig)
    objective: dict[str, Any] = field(default_factory=_objective, metadata={"meaning": "harmonize's options"})
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)

    def __post_init__(self) -> None:
        whole = {
            "steps": self.steps,
            "log_every": self.log_every,
            "data.size": self.data.size,
            "data.batch_size": self.data.batch_size,
            "optimizer.accumulate": self.optimizer.accumulate,
            "evaluation.every": self.evaluation.every,
            "evaluation.samples": self.evaluation.samples,
            "checkpoint.every": self.checkpoint.every,
            "checkpoint.keep": self.checkpoint.keep,
        }
        for key, value in whole.items():
            if value < 1:
                raise InputError(f"{key} is {value}: expected 1 or more.")
        if not 0 < self.optimizer.layer_decay <= 1:
            raise InputError(f"optimizer.layer_decay is {self.optimizer.layer_decay}: expected (0, 1].")


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but `1e-5` is a number, as in YAML 1.2."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def load_config(path: str | Path | None, overrides: Iterable[str] = ()) -> Config:
    """Read a YAML file and apply `KEY=VALUE` overrides, such as `optimizer.learning_rate=1e-4`.

    Args:
        path: The file; None takes the defaults.
        overrides: Dotted keys with values in YAML.

    Raises:
        InputError: The file is missing or not YAML, a key is unknown (the nearest is named), or a value
            has the wrong type.

    Example:
        >>> load_config(None, ["steps=5", "optimizer.learning_rate=1e-4"]).optimizer.learning_rate
        0.0001
    """
    tree = _read(Path(path)) if path is not None else {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise InputError(
                f"override {override!r}: expected KEY=VALUE, such as optimizer.learning_rate=1e-4."
            )
        _put(tree, key.split("."), _parse(value, f"override {override!r}"))
    return cast(Config, _build(Config, tree, ""))


def as_tree(config: Config) -> dict[str, Any]:
    """The configuration as plain nested dicts."""
    return dataclasses.asdict(config)


def differences(before: Config, after: Config) -> list[str]:
    """What differs between two configurations, such as `steps was 5 and is 6`.

    Example:
        >>> differences(Config(), load_config(None, ["steps=5", "data.flip=0.5"]))
        ['steps was 1000 and is 5', 'data.flip was 0.0 and is 0.5']
    """
    old, new = dict(_leaves(as_tree(before))), dict(_leaves(as_tree(after)))
    return [
        f"{key} was {old.get(key)!r} and is {new.get(key)!r}"
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    ]


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def to_yaml(config: Config) -> str:
    """The configuration as YAML with what each key means."""
    return "\n".join(_lines(config, "")) + "\n"


def _lines(section: Any, indent: str) -> Iterable[str]:
    for item in dataclasses.fields(section):
        value = getattr(section, item.name)
        meaning = item.metadata.get("meaning")
        note = f"  # {meaning}" if meaning else ""
        if dataclasses.is_dataclass(value):
            yield f"{indent}{item.name}:"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, Mapping):
            yield f"{indent}{item.name}:{note}"
            text = yaml.safe_dump(dict(value), sort_keys=False)
            yield from (f"{indent}  {line}" for line in text.splitlines())
        else:
            yield f"{indent}{item.name}: {_scalar(value)}{note}"


def _scalar(value: Any) -> str:
    return yaml.safe_dump(value).removesuffix("...\n").strip()


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(
            f"there is no configuration file {path}. `harmoclip train --print-config` prints one."
        )
    tree = _parse(path.read_text(encoding="utf-8"), str(path))
    if not isinstance(tree, dict | None):
        raise InputError(f"{path} holds a {type(tree).__name__}: expected keys and values.")
    return tree or {}


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{where} is not YAML: {error}") from error


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        tree[name] = tree.get(name) or {}
        if not isinstance(tree[name], dict):
            raise InputError(f"{'.'.join(path)}: {name} is a value, not a section.")
        tree = tree[name]
    tree[path[-1]] = value


def _build(section: type, tree: Any, prefix: str) -> Any:
    if not isinstance(tree, dict):
        raise InputError(f"{prefix.rstrip('.')} is {tree!r}: expected keys and values.")
    hints = typing.get_type_hints(section)
    known = [item.name for item in dataclasses.fields(section)]
    values = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if name not in known:
            raise unknown_key(key, known, prefix)
        if dataclasses.is_dataclass(hints[name]):
            values[name] = _build(hints[name], value or {}, f"{key}.")
        elif name == "objective":
            values[name] = _overlay(_objective(), value or {}, f"{key}.")
        else:
            values[name] = _typed(value, hints[name], key)
    return section(**values)


def _overlay(defaults: Mapping[str, Any], tree: Any, prefix: str) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise InputError(f"{prefix.rstrip('.')} is {tree!r}: expected keys and values.")
    merged = dict(defaults)
    for name, value in tree.items():
        if name not in defaults:
            raise unknown_key(f"{prefix}{name}", list(defaults), prefix)
        if isinstance(defaults[name], Mapping):
            merged[name] = _overlay(defaults[name], value or {}, f"{prefix}{name}.")
        else:
            merged[name] = value
    return merged


def unknown_key(key: str, known: list[str], prefix: str) -> InputError:
    """The error for a key that does not exist; it names the nearest that does."""
    everywhere = {f"{prefix}{name}": 1 for name in known} | dict.fromkeys(_all_keys(Config), 1)
    last = key.rsplit(".", 1)[-1]
    near = difflib.get_close_matches(key, everywhere, 1, 0.6) or [
        full for full in everywhere if difflib.get_close_matches(last, [full.rsplit(".", 1)[-1]], 1, 0.6)
    ]
    hint = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}."
    return InputError(f"the configuration has no key {key}. {hint}")


def _all_keys(section: type, prefix: str = "") -> Iterable[str]:
    hints = typing.get_type_hints(section)
    for item in dataclasses.fields(section):
        yield f"{prefix}{item.name}"
        if dataclasses.is_dataclass(hints[item.name]):
            yield from _all_keys(hints[item.name], f"{prefix}{item.name}.")


def _typed(value: Any, wanted: Any, key: str) -> Any:
    """The value, an integer taken for a float where one is wanted."""
    union = typing.get_origin(wanted) in (types.UnionType, typing.Union)
    options = typing.get_args(wanted) if union else (wanted,)
    for option in options:
        if option is float and type(value) in (int, float):
            return float(value)
        if type(value) is option or value in _choices(option):
            return value
    expected = " or ".join(" or ".join(_choices(option)) or option.__name__ for option in options)
    raise InputError(f"{key} is {value!r}: expected {expected.replace('NoneType', 'null')}.")


def _choices(option: Any) -> tuple[str, ...]:
    return typing.get_args(option) if typing.get_origin(option) is Literal else ()
