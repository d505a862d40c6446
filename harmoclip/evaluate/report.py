"""What an evaluation leaves behind: a table, JSON, and an HTML page with pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from rich.table import Table

# task -> column (before, after) -> metric -> value
Scores = dict[str, dict[str, dict[str, float]]]

_STYLE = (
    "body{font-family:system-ui,sans-serif;max-width:1100px;margin:2em auto;color:#1f2328}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .8em;border-bottom:1px solid #d1d9e0}"
    "td+td,th+th{text-align:right}.up{color:#1a7f37}.down{color:#cf222e}img{max-width:100%}"
)


def show(value: float, metric: str) -> str:
    """Counts and ranks as they are, shares in percent with one decimal."""
    if metric.endswith(("_boxes", "_phrases")):
        return f"{value:.0f}"
    return f"{value:.1f}" if metric.endswith("_rank") else f"{100 * value:.1f}"


def change(scores: Mapping[str, Mapping[str, float]], metric: str) -> float | None:
    """After less before; None where there is no pair, or where more is neither better nor worse."""
    if len(scores) < 2 or metric.endswith(("_boxes", "_phrases")):
        return None
    before, after = (column[metric] for column in scores.values())
    return after - before


def terminal_table(task: str, scores: Mapping[str, Mapping[str, float]]) -> Table:
    """One task as a rich table."""
    table = Table("", title=task, title_justify="left")
    for column in scores:
        table.add_column(column, justify="right")
    paired = len(scores) > 1
    if paired:
        table.add_column("change", justify="right")
    for metric in next(iter(scores.values())):
        cells = [show(column[metric], metric) for column in scores.values()]
        table.add_row(metric, *cells, *([_signed(change(scores, metric), metric)] if paired else []))
    return table


def write_report(folder: Path, title: str, scores: Scores, pictures: Mapping[str, Path], notes: Any) -> Path:
    """Write `report.json` and `report.html`, and give the page's path.

    Args:
        folder: Where to; it exists.
        title: The models' names.
        scores: Task to column to metric to value.
        pictures: Caption to a file in the folder.
        notes: What else goes into the JSON: settings, the sweep.
    """
    (folder / "report.json").write_text(json.dumps({"scores": scores, **notes}, indent=1) + "\n")
    body = [f"<h1>{escape(title)}</h1>", "<p>Shares in percent; ranks from 1.</p>"]
    body += [f"<h2>{escape(task)}</h2>{_html_table(columns)}" for task, columns in scores.items()]
    body += [
        f'<h2>{escape(caption)}</h2><img src="{path.name}" alt="{escape(caption)}">'
        for caption, path in pictures.items()
    ]
    page = folder / "report.html"
    head = f'<!doctype html><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    page.write_text("\n".join([head, *body]) + "\n")
    return page


def _html_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    paired = len(scores) > 1
    head = ["", *scores, *(["change"] if paired else [])]
    rows = ["<tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr>"]
    for metric in next(iter(scores.values())):
        cells = [f"<td>{metric}</td>"] + [f"<td>{show(c[metric], metric)}</td>" for c in scores.values()]
        if paired:
            cells.append(_html_change(change(scores, metric), metric))
        rows.append("<tr>" + "".join(cells) + "</tr>")
    return "<table>" + "".join(rows) + "</table>"


def _html_change(value: float | None, metric: str) -> str:
    better = value is not None and (value < 0 if metric.endswith("_rank") else value > 0)
    kind = "" if not value else "up" if better else "down"
    return f'<td class="{kind}">{_signed(value, metric)}</td>'


def _signed(value: float | None, metric: str) -> str:
    if value is None:
        return ""
    return f"{value:+.1f}" if metric.endswith("_rank") else f"{100 * value:+.1f}"
