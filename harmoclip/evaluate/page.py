"""The HTML page of an evaluation: sortable without a network, readable on a phone, its images inside."""

from __future__ import annotations

from base64 import b64encode
from html import escape

import harmoclip
from harmoclip.evaluate.columns import (
    Columns,
    best_of,
    cells_of,
    change,
    head_of,
    left_out_text,
    metrics_of,
)
from harmoclip.evaluate.evaluated import Evaluated
from harmoclip.evaluate.metrics import Metric, show

_STYLE = """
body { font-family: system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 1rem; color: #1f2328;
  line-height: 1.45; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 1.6rem 0 .4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
td, th { padding: .25rem .7rem; border-bottom: 1px solid #d1d9e0; white-space: nowrap; text-align: right; }
td:first-child, th:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
th, td:first-child { white-space: normal; overflow-wrap: break-word; max-width: 11rem;
  vertical-align: bottom; }
th button { all: unset; cursor: pointer; max-width: 11rem; overflow-wrap: break-word; }
th button:focus-visible { outline: 2px solid #0969da; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
.best { font-weight: 700; } .up { color: #1a7f37; } .down { color: #cf222e; }
.note { color: #59636e; font-size: .85rem; } img { max-width: max(100%, 40rem); height: auto; }
"""
_SCRIPT = """
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") !== "descending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const order = (a, b) => value(a) - value(b) || String(value(a)).localeCompare(value(b));
    const rows = [...table.tBodies[0].rows].sort((a, b) => down ? order(b, a) : order(a, b));
    table.tBodies[0].append(...rows);
  }));
}
"""


def html_page(evaluated: Evaluated) -> str:
    """The page: an overview of all models, a table a task, the figures."""
    title = escape(evaluated.title)
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{_STYLE}</style>",
        f"<h1>{title}</h1>",
        f'<p class="note">harmoclip {harmoclip.__version__}. Fractions are in per cent, ranks count from 1, '
        "<i>chance</i> is what guessing gives. A click on a heading sorts.</p>",
    ]
    if evaluated.headlines:
        parts.append(f"<h2>Overview</h2>{_overview(evaluated)}")
    for task, columns in evaluated.scores.items():
        note = escape(left_out_text(columns))
        parts.append(f'<h2>{escape(task)}</h2>{_task(columns)}<p class="note">{note}</p>')
    for caption, png in evaluated.figures.items():
        source = f"data:image/png;base64,{b64encode(png).decode()}"
        image = f'<img src="{source}" alt="{escape(caption)}">'
        parts.append(f'<h2>{escape(caption)}</h2><div class="scroll">{image}</div>')
    return "\n".join([*parts, f"<script>{_SCRIPT}</script>"]) + "\n"


def _overview(evaluated: Evaluated) -> str:
    """One row a model, one column a task with the number that stands for it."""
    rows = []
    for model in evaluated.models:
        cells = [f"<td>{escape(model)}</td>"]
        for values in evaluated.headlines.values():
            value = values.get(model)
            best = len(values) > 1 and value == max(values.values())
            cells.append("<td></td>" if value is None else _cell(show(value, "fraction"), value, best=best))
        rows.append("".join(cells))
    return _table(["model", *evaluated.headlines], rows)


def _task(columns: Columns) -> str:
    """One row a metric, one column a model."""
    rows = []
    for metric in metrics_of(columns):
        rows.append(f"<td>{escape(metric.name)}</td>" + "".join(_values(columns, metric)))
    return _table(["metric", *head_of(columns)], rows)


def _values(columns: Columns, metric: Metric) -> list[str]:
    best, better = best_of(columns, metric.name), (change(columns, metric.name) or 0.0) * metric.sign
    cells = []
    for name, text in zip(head_of(columns), cells_of(columns, metric), strict=True):
        value = columns[name].get(metric.name) if name in columns else None
        sign = ("up" if better > 0 else "down" if better < 0 else "") if name == "change" else ""
        cells.append(_cell(text, value, best=name in best, sign=sign))
    return cells


def _cell(text: str, value: float | None, *, best: bool = False, sign: str = "") -> str:
    kinds = " ".join(filter(None, ["best" if best else "", sign]))
    kind = f' class="{kinds}"' if kinds else ""
    return f"<td{kind}{'' if value is None else f' data-value={value!r}'}>{escape(text)}</td>"


def _table(head: list[str], rows: list[str]) -> str:
    heads = "".join(f'<th scope="col"><button>{escape(name)}</button></th>' for name in head)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
