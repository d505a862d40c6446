"""Small HTML tables for notebooks."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

_COLORS = ("#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df", "#bf3989")


def table(title: str, rows: Mapping[str, Any]) -> str:
    """A table of two columns under a title, everything escaped.

    Example:
        >>> table("a < b", {"n": 1})
        '<table><caption><b>a &lt; b</b></caption><tr><th>n</th><td>1</td></tr></table>'
    """
    body = "".join(f"<tr><th>{escape(str(k))}</th><td>{escape(str(v))}</td></tr>" for k, v in rows.items())
    return f"<table><caption><b>{escape(title)}</b></caption>{body}</table>"


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
