"""A configuration from YAML and the command line, and back to YAML with what every key means."""

from __future__ import annotations

import difflib
from argparse import ArgumentError
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Literal, get_args, get_origin

import yaml

from harmoclip.errors import InputError, MissingDependencyError
from harmoclip.train.config import Config, Key, keys

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

_HEAD = "# Values of keys marked with * may be changed when a run is taken up again.\n"


def load_config(path: str | Path | None, overrides: Iterable[str] = ()) -> Config:
    """Read a YAML file and apply `KEY=VALUE` overrides, such as `optimizer.learning_rate=1e-4`.

    Args:
        path: The file; None takes the defaults.
        overrides: Dotted keys with values in YAML.

    Raises:
        InputError: The file is missing or not YAML, a key is unknown (the nearest is named), or a value
            has the wrong type or is out of range.

    Example:
        >>> load_config(None, ["steps=5", "optimizer.learning_rate=1e-4"]).optimizer.learning_rate
        0.0001
    """
    tree = {} if path is None else _without_empty_sections(_read(Path(path)))
    given = dict(_paths(tree)) | dict(map(_split, overrides))
    for name, value in given.items():
        _check(name, value)
    parser = _parser()
    try:
        values = parser.parse_object(tree)
        values = parser.parse_args([f"--{override}" for override in overrides], namespace=values)
    except ArgumentError as error:
        raise _fault(given) or InputError(" ".join(str(error).split())) from error
    return _instantiate(values)


def to_yaml(config: Config) -> str:
    """The configuration as YAML, with what each key means and which values there are to choose from."""
    lines = []
    for found in keys(config, sections=True):
        value = "" if _is_section(found) else f" {_scalar(found.value)}"
        about = _about(found)
        indent, name = "  " * found.depth, found.name.rsplit(".", 1)[-1]
        lines.append(f"{indent}{name}:{value}{f'  # {about}' if about else ''}")
    return _HEAD + "\n".join(lines) + "\n"


def differences(before: Config, after: Config, *, fixed_only: bool = False) -> list[str]:
    """What differs between two configurations, such as `steps was 5 and is 6`.

    Args:
        before: The one.
        after: The other.
        fixed_only: Leave out the keys that may be changed when a run is taken up again.

    Example:
        >>> differences(Config(), load_config(None, ["steps=5", "data.flip=0.5"]))
        ['steps was 1000 and is 5', 'data.flip was 0.0 and is 0.5']
    """
    old, new = ({found.name: found for found in keys(config)} for config in (before, after))
    return [
        f"{name} was {_value(old, name)!r} and is {_value(new, name)!r}"
        for name in {**old, **new}
        if _value(old, name) != _value(new, name)
        and not (fixed_only and (old.get(name) or new[name]).may_change)
    ]


def _value(found: Mapping[str, Key], name: str) -> object:
    return found[name].value if name in found else None


# ---------------------------------------------------------------------- reading


def _read(path: Path) -> dict[str, object]:
    if not path.is_file():
        raise InputError(
            f"there is no configuration file {path}. `harmoclip train --print-config` prints one."
        )
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    if not isinstance(tree, dict | None):
        raise InputError(f"{path} holds a {type(tree).__name__}: expected keys and values.")
    return tree or {}


def _without_empty_sections(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """The tree without sections in which nothing is said."""
    values, known = _known()
    return {
        name: _without_empty_sections(value, f"{prefix}{name}.") if isinstance(value, Mapping) else value
        for name, value in tree.items()
        if value is not None or f"{prefix}{name}" in values or f"{prefix}{name}" not in known
    }


def _split(override: str) -> tuple[str, str]:
    name, equals, value = override.partition("=")
    if not equals:
        raise InputError(f"override {override!r}: expected KEY=VALUE, such as optimizer.learning_rate=1e-4.")
    return name, value


def _paths(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """The full name and value of everything in a tree that is no section itself."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@cache
def _parser() -> ArgumentParser:
    try:
        from jsonargparse import ArgumentParser
    except ImportError as error:
        raise MissingDependencyError(
            'configurations need jsonargparse: pip install "harmoclip[train]".'
        ) from error
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_class_arguments(Config)
    return parser


def _instantiate(values: Namespace) -> Config:
    config: Config = Config(**vars(_parser().instantiate(values)))
    return config


# ---------------------------------------------------------------------- what is wrong


@cache
def _known() -> tuple[dict[str, Key], dict[str, Key]]:
    """The keys with a value, and these with the sections, each by its full name."""
    return tuple({found.name: found for found in keys(Config(), sections=s)} for s in (False, True))  # type: ignore[return-value]


def _check(name: str, value: object) -> None:
    """Refuse a name that is not known, and null where there has to be a value."""
    values, known = _known()
    if name in known:
        if value is None and name in values and NoneType not in get_args(values[name].kind):
            raise _wrong(name, value)
        return
    last = name.rsplit(".", 1)[-1]
    near = difflib.get_close_matches(name, known, 1, 0.6) or [
        full for full in values if difflib.get_close_matches(last, [full.rsplit(".", 1)[-1]], 1, 0.6)
    ]
    hint = f"Did you mean {near[0]}?" if near else "`harmoclip train --print-config` lists them all."
    raise InputError(f"the configuration has no key {name}. {hint}")


def _fault(given: Mapping[str, object]) -> InputError | None:
    """The error of the first value that cannot be taken."""
    for name, value in given.items():
        try:
            _parser().parse_object(_nested(name.split("."), value))
        except ArgumentError:
            return _wrong(name, value)
    return None


def _wrong(name: str, value: object) -> InputError:
    values, _ = _known()
    expected = _expected(values[name].kind) if name in values else "keys and values"
    return InputError(f"{name} is {value!r}: expected {expected}.")


def _nested(path: list[str], value: object) -> object:
    return {path[0]: _nested(path[1:], value)} if path else value


def _expected(kind: object) -> str:
    """A type in words.

    Example:
        >>> _expected(int | None), _expected(Literal["a", "b"])
        ('int or null', 'a or b')
    """
    if kind is NoneType:
        return "null"
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    if get_args(kind) and get_origin(kind) not in (list, dict):
        return " or ".join(map(_expected, get_args(kind)))
    return getattr(kind, "__name__", str(kind))


# ---------------------------------------------------------------------- writing


def _is_section(found: Key) -> bool:
    return found.name not in _known()[0] and found.name in _known()[1]


def _about(found: Key) -> str:
    choices = [choice for kind in (found.kind, *get_args(found.kind)) for choice in _choices(kind)]
    parts = (", ".join(choices), found.meaning + (" *" if found.may_change else ""))
    return ": ".join(part for part in parts if part.strip())


def _choices(kind: object) -> tuple[str, ...]:
    return get_args(kind) if get_origin(kind) is Literal else ()


def _scalar(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()
