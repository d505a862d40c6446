"""What an evaluation leaves behind: tables for people, JSON, and one HTML page that needs no other file."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from rich.table import Table

import harmoclip
from harmoclip.evaluate.metrics import Metric, Metrics, show

Columns = Mapping[str, Metrics]
"""The metrics of one task for each model, such as `before` and `after`."""

_STYLE = (
    "body{font-family:system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#1f2328}"
    "table{border-collapse:collapse}td,th{padding:.25em .8em;border-bottom:1px solid #d1d9e0}"
    "td,th{white-space:nowrap}"
    "td+td,th+th{text-align:right}.scroll{overflow-x:auto;margin:1em 0}.up{color:#1a7f37}.down{color:#cf222e}"
    "img{max-width:100%}"
)


@dataclass(frozen=True)
class Evaluated:
    """All that was measured.

    Args:
        title: The models' names.
        scores: For each task the metrics of each model.
        sweep: For each share of the weights after, the whole-image and the region headline of the average.
        figures: From a caption to a PNG image.
    """

    title: str
    scores: Mapping[str, Columns]
    sweep: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    figures: Mapping[str, bytes] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Values as fractions, ranks and counts, with the unit and the chance level of each."""
        return {
            "title": self.title,
            "version": harmoclip.__version__,
            "scores": {
                task: {name: dict(m) for name, m in columns.items()} for task, columns in self.scores.items()
            },
            "units": {
                task: {m.name: m.unit for m in _rows(columns)} for task, columns in self.scores.items()
            },
            "chance": {
                task: {m.name: m.chance for m in _rows(columns) if m.chance is not None}
                for task, columns in self.scores.items()
            },
            "left_out": {
                task: left_out for task, columns in self.scores.items() if (left_out := _left_out(columns))
            },
            "sweep": dict(self.sweep),
        }


def change(columns: Columns, metric: str) -> float | None:
    """After less before; None where there is no pair, or where more is neither better nor worse.

    Example:
        >>> pair = {"before": Metrics([Metric("r1", 0.25)]), "after": Metrics([Metric("r1", 0.5)])}
        >>> change(pair, "r1")
        0.25
    """
    if not {"before", "after"} <= columns.keys() or any(
        metric not in columns[name] for name in ("before", "after")
    ):
        return None
    before, after = columns["before"].metric(metric), columns["after"].metric(metric)
    return after.value - before.value if after.sign else None


def terminal_table(task: str, columns: Columns) -> Table:
    """One task as a rich table; what was left out stands below it."""
    table = Table(
        "", title=task, title_justify="left", caption=_left_out_text(columns), caption_justify="left"
    )
    for name in _head(columns):
        table.add_column(name, justify="right")
    for metric in _rows(columns):
        table.add_row(metric.name, *_cells(columns, metric))
    return table


def write_report(folder: Path, evaluated: Evaluated) -> Path:
    """Write `report.json` and `report.html` into a folder, which is made, and give the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(evaluated.as_json(), indent=1) + "\n", encoding="utf-8")
    title = escape(evaluated.title)
    body = [
        f"<h1>{title}</h1>",
        f"<p>harmoclip {harmoclip.__version__}. Fractions in per cent, ranks from 1; <i>chance</i> is what "
        "guessing gives.</p>",
    ]
    for task, columns in evaluated.scores.items():
        body.append(
            f"<h2>{escape(task)}</h2>{_html_table(columns)}<p>{escape(_left_out_text(columns) or '')}</p>"
        )
    for caption, png in evaluated.figures.items():
        source = f"data:image/png;base64,{b64encode(png).decode()}"
        body.append(f'<h2>{escape(caption)}</h2><img src="{source}" alt="{escape(caption)}">')
    page = folder / "report.html"
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style>"
    )
    page.write_text("\n".join([head, *body]) + "\n", encoding="utf-8")
    return page


def _rows(columns: Columns) -> list[Metric]:
    """Every metric that some model has, in order."""
    found = {name: column.metric(name) for column in reversed(list(columns.values())) for name in column}
    order = dict.fromkeys(name for column in columns.values() for name in column)
    return [found[name] for name in order]


def _head(columns: Columns) -> list[str]:
    return [*columns, *(["change"] if {"before", "after"} <= columns.keys() else []), "chance"]


def _cells(columns: Columns, metric: Metric) -> list[str]:
    cells = [show(c[metric.name], metric.unit) if metric.name in c else "" for c in columns.values()]
    if "change" in _head(columns):
        difference = change(columns, metric.name)
        cells.append("" if difference is None else show(difference, metric.unit, signed=True))
    return [*cells, "" if metric.chance is None else show(metric.chance, metric.unit)]


def _html_table(columns: Columns) -> str:
    rows = ["<tr>" + "".join(f"<th>{escape(name)}</th>" for name in ["", *_head(columns)]) + "</tr>"]
    for metric in _rows(columns):
        cells = [f"<td>{text}</td>" for text in (escape(metric.name), *_cells(columns, metric))]
        better = (change(columns, metric.name) or 0) * metric.sign
        if better:
            cells[-2] = cells[-2].replace("<td>", f'<td class="{"up" if better > 0 else "down"}">')
        rows.append("<tr>" + "".join(cells) + "</tr>")
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'


def _left_out(columns: Columns) -> list[str]:
    return list(dict.fromkeys(text for column in columns.values() for text in column.left_out))


def _left_out_text(columns: Columns, most: int = 5) -> str | None:
    left_out = _left_out(columns)
    if not left_out:
        return None
    more = f"; and {len(left_out) - most} more, see report.json" if len(left_out) > most else ""
    return f"left out ({len(left_out)}): {'; '.join(left_out[:most])}{more}"
