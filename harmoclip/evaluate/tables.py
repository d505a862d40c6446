"""Scores as tables: in a terminal, in CSV, in LaTeX, and in a model card."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping

from rich.table import Table

import harmoclip
from harmoclip.evaluate.columns import Columns, cells_of, head_of, left_out_text, metrics_of
from harmoclip.evaluate.evaluated import Evaluated
from harmoclip.evaluate.task import one_word


def terminal_table(task: str, columns: Columns) -> Table:
    """One task as a rich table; what was left out stands below it."""
    table = Table(
        "", title=task, title_justify="left", caption=left_out_text(columns) or None, caption_justify="left"
    )
    for name in head_of(columns):
        table.add_column(name, justify="right")
    for metric in metrics_of(columns):
        table.add_row(metric.name, *cells_of(columns, metric))
    return table


def csv_table(evaluated: Evaluated) -> str:
    """One line a value, in its unit: fractions stay fractions."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["task", "metric", "unit", "model", "value", "chance"])
    for task, columns in evaluated.scores.items():
        for name, metrics in columns.items():
            for metric in map(metrics.metric, metrics):
                chance = "" if metric.chance is None else metric.chance
                writer.writerow([task, metric.name, metric.unit, name, metric.value, chance])
    return text.getvalue()


def latex_table(evaluated: Evaluated) -> str:
    """One row a model, one column a task with its headline in per cent, the best in bold; with booktabs."""
    tasks, models = list(evaluated.headlines), evaluated.models
    lines = [
        rf"\begin{{tabular}}{{l{'r' * len(tasks)}}}",
        r"\toprule",
        " & ".join(["model", *map(_escaped, tasks)]) + r" \\",
        r"\midrule",
    ]
    for model in models:
        values = [_latex_value(evaluated.headlines[task], model) for task in tasks]
        lines.append(" & ".join([_escaped(model), *values]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def model_card(evaluated: Evaluated) -> str:
    """Markdown of the last model, with the metadata block that the Hugging Face hub reads.

    Values of the block are fractions, ranks and counts, as in `report.json`; those of the text per cent.
    """
    model = "after" if "after" in evaluated.models else evaluated.models[0]
    results = [
        {
            "task": {"type": "zero-shot-image-classification", "name": task},
            "dataset": {"name": task, "type": one_word(task)},
            "metrics": [
                {"type": name, "name": name, "value": value} for name, value in columns[model].items()
            ],
        }
        for task, columns in evaluated.scores.items()
        if model in columns
    ]
    index = json.dumps([{"name": evaluated.title, "results": results}])
    head = f"---\nlibrary_name: harmoclip\ntags: [clip, region-alignment]\nmodel-index: {index}\n---\n"
    parts = [head, f"# {evaluated.title}\n", f"Measured by harmoclip {harmoclip.__version__}.\n"]
    for task, columns in evaluated.scores.items():
        rows = ["| | " + " | ".join(head_of(columns)) + " |", "| --- |" + " ---: |" * len(head_of(columns))]
        rows += [f"| {m.name} | {' | '.join(cells_of(columns, m))} |" for m in metrics_of(columns)]
        left_out = left_out_text(columns)
        parts.append("\n".join([f"## {task}\n", *rows, *(["", left_out] if left_out else [])]) + "\n")
    return "\n".join(parts)


def _latex_value(values: Mapping[str, float], model: str) -> str:
    if model not in values:
        return ""
    text = f"{100 * values[model]:.1f}"
    best = len(values) > 1 and values[model] == max(values.values())
    return rf"\textbf{{{text}}}" if best else text


def _escaped(text: str) -> str:
    return re.sub(r"([&%$#_{}])", r"\\\1", text)
