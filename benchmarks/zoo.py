"""Which CLIPs harmonize: `python benchmarks/zoo.py [--quick]`.

Every architecture of `open_clip.list_models()` is built without weights, harmonized and run for shapes. One
small real model of each family is tested for values (tests/towers): outputs and gradients bit-identical
before, while and after, every dense kind finite and differentiable, the value path against its definition,
phrases against the model's own text. `--quick` tests one model of each distinct kind of tower for values.
The last line is one JSON object.
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
    """The names of all small models."""
    return load_small().ALL  # type: ignore[no-any-return]


def load_small() -> ModuleType:
    """The module of the small models, which belongs to the tests."""
    if str(TESTS) not in sys.path:
        sys.path.insert(0, str(TESTS))
    return importlib.import_module("small")


def build_and_run(name: str) -> str:
    """Empty, or why an architecture does not harmonize; in a process of its own."""
    import warnings

    import torch

    from harmoclip.towers import zoo

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    try:
        zoo.run(zoo.build(name))
    except Exception as error:  # whatever a library raises is a finding here
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def shapes() -> dict[str, str]:
    """Every open_clip architecture, with its failure if it has one."""
    from harmoclip.towers import zoo

    names = zoo.names()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(build_and_run, names)
        return dict(zip(names, track(results, total=len(names), description="architectures"), strict=True))


def values(quick: bool) -> Outcomes:
    """The value tests of the small models."""
    outcomes = Outcomes()
    files = ["test_values.py", "test_text.py", *([] if quick else ["test_machinery.py"])]
    marks = "not slow" if quick else "slow or not slow"
    pytest.main(
        ["-q", "-m", marks, "-p", "no:cacheprovider", *(str(TESTS / f) for f in files)], plugins=[outcomes]
    )
    return outcomes


def count(names: tuple[str, ...], outcomes: Outcomes) -> list[int]:
    """How many of the names that were tested passed, and how many were tested."""
    tested = [name for name in names if name in outcomes.passed or name in outcomes.failed]
    return [sum(name not in outcomes.failed for name in tested), len(tested)]


def main(
    quick: Annotated[bool, typer.Option(help="One small model of each distinct kind of tower.")] = False,
) -> None:
    """Build, harmonize and run everything."""
    small = load_small()
    outcomes = values(quick)
    built = shapes()
    failures = {**{n: why for n, why in built.items() if why}, **outcomes.failed}
    for name, why in failures.items():
        print(f"{name}: {why}")
    families = count(small.OPEN_CLIP, outcomes)
    print(f"open_clip families tested for values: {families[0]} of {families[1]}")
    result = {
        "open_clip": [
            sum(not why and name not in outcomes.failed for name, why in built.items()),
            len(built),
        ],
        "transformers": count(small.TRANSFORMERS, outcomes),
        "openai": count(small.OPENAI, outcomes),
        "own": count(small.OWN, outcomes),
        "failures": failures,
    }
    print(json.dumps(result))
    sys.exit(bool(failures))


if __name__ == "__main__":
    typer.run(main)
