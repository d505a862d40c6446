"""What an evaluation leaves behind: one HTML page with all in it, JSON, CSV, LaTeX and a model card."""

from __future__ import annotations

import json
from pathlib import Path

from harmoclip.evaluate.evaluated import Evaluated
from harmoclip.evaluate.page import html_page
from harmoclip.evaluate.tables import csv_table, latex_table, model_card


def write_report(folder: Path, evaluated: Evaluated) -> Path:
    """Write `report.html`, `.json`, `.csv`, `.tex` and `model_card.md`, and give the page's path.

    Args:
        folder: Where to; it is made.
        evaluated: What was measured.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "report.json": json.dumps(evaluated.as_json(), indent=1) + "\n",
        "report.csv": csv_table(evaluated),
        "report.tex": latex_table(evaluated),
        "model_card.md": model_card(evaluated),
        "report.html": html_page(evaluated),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "report.html"
