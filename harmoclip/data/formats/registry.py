"""Every format by name: what opens it, the options it has, and the files that tell it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from harmoclip.data.dataset import SampleDataset, SampleStream
from harmoclip.data.formats.entries import OnBroken
from harmoclip.errors import DataError, InputError, unknown_name

Open = Callable[..., SampleDataset | SampleStream]
_BUILT_IN = (
    "coco", "panoptic", "lvis", "flickr30k", "refcoco", "visual_genome", "json_lines", "shards", "grit",
    "hugging_face", "fine_hard", "dci", "docci", "localized_narratives", "sharegpt4v", "detection",
)  # fmt: skip
"""Modules that each register a format of their name; a folder with signs of several is of the first."""


class Format(NamedTuple):
    """How one format is opened and told."""

    open: Open
    options: Mapping[str, object]  # the type of each
    needed: tuple[str, ...]
    signs: tuple[str, ...]
    endings: tuple[str, ...]


_FORMATS: dict[str, Format] = {}


def register_format(
    name: str,
    open: Open,
    *,
    passes_to: Callable[..., object] | None = None,
    signs: tuple[str, ...] = (),
    endings: tuple[str, ...] = (),
) -> None:
    """Add a format, which `open_dataset` and every command then know, with all its options.

    Args:
        name: Of the format.
        open: Takes the path and, by name, options: its signature says which, of what types, and which are
            needed.
        passes_to: What `open` hands its `**options` to, where it has any; its parameters are options too.
        signs: Patterns of files that tell the format of a folder, such as `annotations/instances_*.json`.
        endings: What the name of a file of this format ends in, such as `.jsonl`.

    Example:
        >>> from harmoclip.data.scenes import Scenes
        >>> register_format("drawn", lambda path, *, seed=0: Scenes(str(path), 10, seed=seed))
        >>> len(open_dataset("train", "drawn", seed=1))
        10
    """
    _, *parameters = _parameters(open)
    parameters += [] if passes_to is None else _parameters(passes_to)
    named = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
    options = {p.name: str if p.annotation is p.empty else p.annotation for p in named}
    needed = tuple(p.name for p in named if p.default is p.empty)
    _FORMATS[name] = Format(open, options, needed, signs, endings)


def _parameters(function: Callable[..., object]) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())


def known_formats() -> Mapping[str, Format]:
    """Every format by name, those that come with the library first."""
    for module in _BUILT_IN:
        importlib.import_module(f"harmoclip.data.formats.{module}")
    return {name: _FORMATS[name] for name in (*_BUILT_IN, *_FORMATS)}


def options_of(format: str) -> tuple[str, ...]:
    """The options that a format has; `cache` where a segmenter finds its phrases.

    Raises:
        InputError: There is no such format.
    """
    formats = known_formats()
    if format not in formats:
        raise InputError(unknown_name("format is", format, formats))
    options = tuple(option for option in formats[format].options if option != "on_broken")
    return (*options, "cache") if "segment" in options else options


def read_options(format: str, given: Iterable[str]) -> dict[str, Any]:
    """Options of a format from text, such as `descriptions=2` or `suffixes=jpg,json`.

    Raises:
        InputError: The format has no such option, or one of another type.

    Example:
        >>> read_options("visual_genome", ["descriptions=2", "upright=false"])
        {'descriptions': 2, 'upright': False}
    """
    known = options_of(format)
    annotations = {"cache": str, **known_formats()[format].options}
    read: dict[str, Any] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if name not in known:
            raise InputError(unknown_name(f"{format} has no option", name, known))
        kind = _text_type(annotations[name])
        if kind is None:
            raise InputError(f"option {text!r} of {format}: {name} is no text: give it from Python.")
        if not sign:
            wanted = f"{name}=VALUE, of the type {kind.__name__}"
            raise InputError(f"option {text!r} of {format}: expected {wanted}.")
        read[name] = _value(kind, value, text)
    return read


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


_READERS: dict[type, Callable[[str], object]] = {
    str: str,
    Path: Path,
    int: int,
    float: float,
    bool: {"true": True, "false": False}.__getitem__,
    tuple: _parts,
}
"""What makes a value of each type that can be written as text."""


def _text_type(annotation: object) -> type | None:
    """The first type of an annotation that can be written as text; None where there is none."""
    union = get_origin(annotation) in (Union, UnionType)
    for one in get_args(annotation) if union else (annotation,):
        if isinstance(one, type) and one in _READERS:
            return one
        if get_origin(one) is Literal:
            return str
        if get_origin(one) in (tuple, Sequence) and _text_type(get_args(one)[0]) is str:
            return tuple
    return None


def _value(kind: type, value: str, text: str) -> object:
    """A value of a type of `_READERS`, from text."""
    try:
        return _READERS[kind](value)
    except (KeyError, ValueError) as error:
        expected = "true or false" if kind is bool else kind.__name__
        raise InputError(f"option {text!r}: expected {expected}.") from error


def open_dataset(
    path: str | Path,
    format: str | None = None,
    *,
    cache: str | Path | None = None,
    on_broken: OnBroken | None = None,
    **options: Any,
) -> SampleDataset | SampleStream:
    """The data set in a folder or file, read by what knows its format.

    Args:
        path: A folder, a file of JSON lines, a pattern of shards such as `grit-{000..009}.tar`, or, with
            `format="hugging_face"`, what `datasets` loads.
        format: One of those known; None looks at the files. A COCO folder that also has panoptic or LVIS
            annotations counts as `coco`.
        cache: The file of a `PhraseCache` for formats that a segmenter finds the phrases of.
        on_broken: Called with an error for each entry of the data set's files that cannot be used, which is
            then left out; None raises them together.
        options: `split`, `images` and others of the format; None leaves its default.

    Raises:
        DataError: There is nothing at the path, or nothing whose format is known.
        InputError: The format is not known, has no such option, or needs one that is missing.

    Example:
        >>> open_dataset("coco", split="val2017")  # doctest: +SKIP
        <harmoclip.data.formats.coco.CocoCaptions object at 0x7f3b>
    """
    format = format or recognize(path)
    known, given = options_of(format), {key: value for key, value in options.items() if value is not None}
    if cache is not None:
        given["cache"] = cache
    for option in given:
        if option not in known:
            raise InputError(unknown_name(f"{format} has no option", option, known))
    found = known_formats()[format]
    for option in found.needed:
        if option not in given:
            raise InputError(f"{format} needs {option}: give it as an option.")
    if "cache" in given:
        from harmoclip.data.tools.phrase_cache import PhraseCache

        given["segment"] = PhraseCache(given.pop("cache"))
    if on_broken is not None and "on_broken" in found.options:
        given["on_broken"] = on_broken
    return found.open(path, **given)


def recognize(path: str | Path) -> str:
    """The name of the format that the files at a path tell.

    Raises:
        DataError: There is nothing at the path, or nothing whose format is known.
    """
    path, formats = Path(path), known_formats()
    for name, found in formats.items():
        if path.name.endswith(found.endings or ("\0",)):
            return name
    if not path.is_dir():
        endings = ", ".join(ending for found in formats.values() for ending in found.endings)
        raise DataError(f"{path} does not exist: expected a folder, or files that end in {endings}.")
    for name, found in formats.items():
        if any(next(path.glob(sign), None) for sign in found.signs):
            return name
    signs = "; ".join(f"{name}: {' or '.join(f.signs)}" for name, f in formats.items() if f.signs)
    raise DataError(f"{path} has no files of a format that is known. Looked for {signs}.")
