"""Reading the files of data sets, with errors that name the file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from harmoclip.errors import DataError

_READ_BYTES = 1 << 20
"""Most photographs in one call of the decoder; Pillow's own 64 KiB take 5 % longer."""
BoxFormat = Literal["xyxy", "xywh", "cxcywh"]


def first_existing(folder: Path, *names: str, expected: str) -> Path:
    """The first of these names that the folder has.

    Raises:
        DataError: It has none of them; `expected` says what the layout is.
    """
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise DataError(f"{folder} has no {' or '.join(names)}: expected {expected}.")


def read_json(path: Path, *keys: str, expected: str) -> Any:
    """The content of a JSON file, which is an object with these keys.

    Raises:
        DataError: The file is missing, is not JSON, or has no such keys.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: expected {expected}.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} is not JSON ({error}): expected {expected}.") from error
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:
        raise DataError(f"{path} has no {', '.join(map(repr, missing))}: expected {expected}.")
    return content


def require(entries: Iterable[Any], *keys: str, what: str, expected: str) -> None:
    """Check that every entry of a list is an object with these keys.

    Raises:
        DataError: One is not; `what` says what an entry is, `expected` what the layout is.
    """
    for number, entry in enumerate(entries):
        missing = [key for key in keys if key not in entry] if isinstance(entry, dict) else keys
        if missing:
            raise DataError(
                f"{what} {number}, {entry!r:.120}, has no {', '.join(missing)}: expected {expected}."
            )


def open_image(source: Path | bytes, name: str = "") -> Image.Image:
    """A picture in RGB, decoded, from a file or its bytes; its `filename` says which file.

    Raises:
        DataError: It is missing or broken.
    """
    name = name or str(source)
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            image.decodermaxblock = _READ_BYTES
            image.load()
            rgb = image if image.mode == "RGB" else image.convert("RGB")
    except FileNotFoundError as error:
        raise DataError(f"picture {name} does not exist.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"picture {name} cannot be read: {error}.") from error
    rgb.filename = "" if isinstance(source, bytes) else str(source)  # type: ignore[attr-defined]
    return rgb


def unit_boxes(
    boxes: Sequence[Sequence[float]], size: tuple[float, float], form: BoxFormat = "xyxy", name: str = ""
) -> Tensor:
    """Boxes `[R, 4]` float32 xyxy in [0, 1], as the data set has them: neither cut nor checked.

    Args:
        boxes: Four numbers each, in the unit of `size`.
        size: Width and height that the boxes are relative to.
        form: What the four numbers are: two corners, a corner and a size, or a centre and a size.
        name: Of the sample, for messages.

    Raises:
        DataError: A box has not four numbers, or the size is not positive.

    Example:
        >>> unit_boxes([[10, 0, 20, 5]], (40, 10), "xywh").tolist()
        [[0.25, 0.0, 0.75, 0.5]]
    """
    width, height = size
    if not min(size) > 0:
        raise DataError(f"sample {name!r}: the picture is {width} x {height}: expected a positive size.")
    try:
        corners = [_corners(form, *box) for box in boxes]
        unit = [(x1 / width, y1 / height, x2 / width, y2 / height) for x1, y1, x2, y2 in corners]
    except TypeError as error:
        raise DataError(f"sample {name!r}: boxes are {boxes}: expected 4 numbers each.") from error
    return torch.tensor(unit, dtype=torch.float32).view(-1, 4)


def _corners(form: BoxFormat, a: float, b: float, c: float, d: float) -> tuple[float, float, float, float]:
    """The two corners that the four numbers of a box say."""
    if form == "xyxy":
        return a, b, c, d
    if form == "cxcywh":
        a, b = a - c / 2, b - d / 2
    return a, b, a + c, b + d
