"""Which CLIPs harmonize: `python benchmarks/zoo.py [--quick]`.

Every architecture of `open_clip.list_models()` and of OpenAI's `clip.available_models()` is built without
weights, harmonized and run for shapes. One small real model of each family of open_clip, of OpenAI's kinds
and of every class of transformers is tested for values (tests/towers): outputs and gradients bit-identical
before, while and after, every dense kind finite and differentiable, the value path against its definition,
phrases against the model's own text. `--quick` tests one model of each distinct kind of tower for values.

The last line is one JSON object: `[ok, total]` of each library, what failed, and what the installed
libraries are too old to have.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Annotated

import pytest
import typer
from rich.progress import track
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "towers"


class Outcomes:
    """A pytest plugin that keeps what failed, by the name of the model."""

    def __init__(self) -> None:
        self.passed: set[str] = set()
        self.failed: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest for every phase of every test."""
        words = report.nodeid.partition("[")[2].rstrip("]")
        name = max(
            (n for n in small_names() if words.startswith(n) or words.endswith(n)), key=len, default=words
        )
        if report.failed:
            self.failed[name] = report.nodeid
        elif report.when == "call":
            self.passed.add(name)


def small_names() -> tuple[str, ...]:
    """The names of all small models, and of the parts that are classes of their own."""
    small = load_small()
    return (*small.ALL, *small.PARTS)


def load_small() -> ModuleType:
    """The module of the small models, which belongs to the tests."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return importlib.import_module("tests.helpers.small")


def build_and_run(library: str, name: str) -> str:
    """Empty, or why an architecture does not harmonize; in a process of its own."""
    import warnings

    import torch

    from harmoclip.inspect import zoo

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    try:
        zoo.run(zoo.build(name) if library == "open_clip" else build_openai(name))
    except Exception as error:  # whatever a library raises is a finding here
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def build_openai(name: str) -> nn.Module:
    """A model of OpenAI's package whose weights take no memory; open_clip knows its dimensions."""
    import clip.model
    import open_clip
    import torch

    config = open_clip.get_model_config(name.replace("/", "-").replace("@336px", "-336"))
    vision, text = config["vision_cfg"], config["text_cfg"]
    layers = vision["layers"]
    with torch.device("meta"):
        return clip.model.CLIP(
            config["embed_dim"],
            vision["image_size"],
            tuple(layers) if isinstance(layers, list) else layers,
            vision["width"],
            vision["patch_size"],
            text["context_length"],
            text["vocab_size"],
            text["width"],
            text["heads"],
            text["layers"],
        )


def architectures() -> list[tuple[str, str]]:
    """Library and name of all that is built at full size."""
    import warnings

    from harmoclip.inspect import zoo

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package imports pkg_resources
        import clip

    return [
        *(("open_clip", name) for name in zoo.names()),
        *(("openai", name) for name in clip.available_models()),
    ]


def shapes() -> dict[tuple[str, str], str]:
    """Every architecture, with its failure if it has one."""
    names = architectures()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(build_and_run, *zip(*names, strict=True))
        return dict(zip(names, track(results, total=len(names), description="architectures"), strict=True))


def values(quick: bool) -> Outcomes:
    """The value tests of the small models."""
    outcomes = Outcomes()
    files = ["test_values.py", "test_text.py", "test_parts.py", *([] if quick else ["test_machinery.py"])]
    marks = "not slow" if quick else "slow or not slow"
    pytest.main(
        ["-q", "-m", marks, "-p", "no:cacheprovider", *(str(TESTS / f) for f in files)], plugins=[outcomes]
    )
    return outcomes


def tested(names: tuple[str, ...], outcomes: Outcomes) -> list[int]:
    """How many of the names passed the value tests, and how many took them."""
    taken = [name for name in names if name in outcomes.passed or name in outcomes.failed]
    return [sum(name not in outcomes.failed for name in taken), len(taken)]


def main(
    quick: Annotated[bool, typer.Option(help="One small model of each distinct kind of tower.")] = False,
) -> None:
    """Build, harmonize and run everything."""
    small = load_small()
    outcomes = values(quick)
    built = shapes()
    failures = {**{name: why for (_, name), why in built.items() if why}, **outcomes.failed}
    missing = {name: small.missing(name) for name in small_names() if small.missing(name)}
    for name, why in failures.items():
        print(f"{name}: {why}")
    for name, library in missing.items():
        print(f"{name}: the installed {library} has none")
    for library, names in {"open_clip": small.OPEN_CLIP, "OpenAI": small.OPENAI}.items():
        passed, total = tested(names, outcomes)
        print(f"{library} families tested for values: {passed} of {total}")
    result = {
        "open_clip": harmonized("open_clip", built, failures),
        "transformers": tested((*small.TRANSFORMERS, *small.PARTS), outcomes),
        "openai": harmonized("openai", built, failures),
        "own": tested(small.OWN, outcomes),
        "failures": failures,
        "missing": missing,
    }
    print(json.dumps(result))
    sys.exit(bool(failures))


def harmonized(library: str, built: dict[tuple[str, str], str], failures: dict[str, str]) -> list[int]:
    """How many architectures of a library are without failure, and how many there are."""
    names = [name for of, name in built if of == library]
    return [sum(name not in failures for name in names), len(names)]


if __name__ == "__main__":
    typer.run(main)
