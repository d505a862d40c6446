"""Small HTML tables for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any


def table(title: str, rows: Mapping[str, Any]) -> str:
    """A table of two columns under a title, everything escaped.

    Example:
        >>> table("a < b", {"n": 1})
        '<table><caption><b>a &lt; b</b></caption><tr><th>n</th><td>1</td></tr></table>'
    """
    body = "".join(f"<tr><th>{escape(str(k))}</th><td>{escape(str(v))}</td></tr>" for k, v in rows.items())
    return f"<table><caption><b>{escape(title)}</b></caption>{body}</table>"
