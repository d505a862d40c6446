"""What objects show of themselves in a notebook: small HTML tables, captions and images."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_COLORS = ("#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df", "#bf3989")


def table(title: str, rows: Mapping[str, object]) -> str:
    """A table of two columns under a title, everything escaped.

    Example:
        >>> table("a < b", {"n": 1})
        '<table><caption><b>a &lt; b</b></caption><tr><th>n</th><td>1</td></tr></table>'
    """
    body = "".join(f"<tr><th>{escape(str(k))}</th><td>{escape(str(v))}</td></tr>" for k, v in rows.items())
    return f"<table><caption><b>{escape(title)}</b></caption>{body}</table>"


def grid(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of as many columns as its head has, under a title, everything escaped.

    Example:
        >>> grid("a", ["", "n"], [["b", 1]])
        '<table><caption><b>a</b></caption><tr><th></th><th>n</th></tr><tr><td>b</td><td>1</td></tr></table>'
    """
    cells = [[f"<th>{escape(name)}</th>" for name in head]]
    cells += [[f"<td>{escape(str(value))}</td>" for value in row] for row in rows]
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in cells)
    return f"<table><caption><b>{escape(title)}</b></caption>{body}</table>"


def marked(text: str, parts: Sequence[tuple[int, int]]) -> str:
    """A text with parts of it underlined, each in a color of its own.

    Args:
        text: The text.
        parts: `(start, end)` in characters, half-open, in order and without overlap.

    Example:
        >>> marked("a dog", [(2, 5)])
        '<p>a <b style="border-bottom:3px solid #0969da">dog</b></p>'
    """
    shown, done = [], 0
    for i, (start, end) in enumerate(parts):
        line = f"border-bottom:3px solid {_COLORS[i % len(_COLORS)]}"
        shown.append(f'{escape(text[done:start])}<b style="{line}">{escape(text[start:end])}</b>')
        done = end
    return f"<p>{''.join(shown)}{escape(text[done:])}</p>"


def several(names: Sequence[str], most: int = 8) -> str:
    """How many names there are, and the first of them.

    Example:
        >>> several(["cat", "dog", "cow"], most=2)
        '3: cat, dog, ...'
    """
    return f"{len(names)}: {', '.join([*names[:most], *(['...'] if len(names) > most else [])])}"


def boxed_image(image: Image.Image, boxes: Sequence[Sequence[float]], labels: Sequence[str]) -> str:
    """An SVG of an image with boxes and their labels, the image inside it.

    Args:
        image: In RGB.
        boxes: xyxy, as fractions of the image.
        labels: One text a box.
    """
    shown = image.copy()
    shown.thumbnail((640, 640))
    file = io.BytesIO()
    shown.save(file, "JPEG")
    width, height = shown.size
    marks = []
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        color, x, y = _COLORS[i % len(_COLORS)], x1 * width, y1 * height
        sides = f'width="{(x2 - x1) * width:.1f}" height="{(y2 - y1) * height:.1f}"'
        marks.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" {sides} fill="none" stroke="{color}" stroke-width="2"/>'
            f'<text x="{x + 3:.1f}" y="{y + 13:.1f}" font-size="12" fill="{color}" stroke="white" '
            f'stroke-width="3" paint-order="stroke">{escape(labels[i])}</text>'
        )
    pixels = base64.b64encode(file.getvalue()).decode()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<image href="data:image/jpeg;base64,{pixels}" width="{width}" height="{height}"/>'
        f"{''.join(marks)}</svg>"
    )
