"""What the pages take from `pyproject.toml`: the repository's address, which stands nowhere else."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any


def repository() -> str:
    """The address in `[project.urls]`."""
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["urls"]["Repository"])


def on_config(config: Any) -> Any:
    """Link the repository, and each page to its source."""
    config.repo_url = repository()
    config.repo_name = "/".join(repository().split("/")[-2:])
    config.edit_uri = "edit/main/docs/"
    return config


def on_page_markdown(markdown: str, **ignored: Any) -> str:
    """Put the address where a page asks for it."""
    return markdown.replace("{{ repository }}", repository())
