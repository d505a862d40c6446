"""Make `docs/tutorial.ipynb` of `docs/tutorial.md`: Python blocks become cells, with the text between them.

    python tools/notebook.py

The page is the source: change it, and run this again. A test sees to it that both say the same.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"^```python\n(.*?)^```\n", re.M | re.S)


def notebook(page: str) -> str:
    """The notebook of a page in Markdown, as the text of its file."""
    cells = []
    for number, part in enumerate(_BLOCK.split(page)):
        if not part.strip():
            continue
        lines = part.strip().splitlines(keepends=True)
        cell = {"id": f"cell-{number}", "metadata": {}, "source": lines}
        if number % 2:
            cells.append({"cell_type": "code", "execution_count": None, "outputs": [], **cell})
        else:
            cells.append({"cell_type": "markdown", **cell})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def code_cells(text: str) -> list[str]:
    """The code of a notebook, cell by cell."""
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]


if __name__ == "__main__":
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    (DOCS / "tutorial.ipynb").write_text(notebook(page), encoding="utf-8")
