"""Reading the files of data sets, with errors that name the file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from harmoclip.errors import DataError, unknown_name

_READ_BYTES = 1 << 20
"""Most photographs in one call of the decoder; Pillow's own 64 KiB take 5 % longer."""
_ORIENTATION = 0x0112
"""The EXIF tag of a camera that was turned; 1 is upright."""
TURNED = "turned"
"""The key of an image's `info` that says that it was turned upright."""


def first_existing(folder: Path, *names: str, expected: str) -> Path:
    """The first of these names that the folder has.

    Raises:
        DataError: It has none of them; `expected` says what the layout is.
    """
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise DataError(f"{folder} has no {' or '.join(names)}: expected {expected}.")


def check_split(split: str, known: Iterable[str], folder: Path) -> None:
    """Raise a DataError that suggests the nearest split where a folder with splits has not this one."""
    found = sorted(set(known))
    if found and split not in found:
        raise DataError(f"{unknown_name(f'{folder} has no split', split, found)}")


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


def open_image(
    source: Path | bytes,
    name: str = "",
    *,
    upright: bool = True,
    stated: tuple[float, float] | None = None,
) -> Image.Image:
    """An image in RGB, decoded, from a file or its bytes.

    Its `filename` says which file holds it, where reading that file again shows the same.

    Args:
        source: The file, or what is in it.
        name: For messages; by default the file's.
        upright: Turn it as its EXIF orientation says and every viewer shows it; False leaves it as stored.
        stated: Width and height that the annotations state, which their boxes belong to. An image whose
            shape as stored is this one, but not as turned, stays as stored. A file of another size is fine
            where the shape is the same, or where it is a square, to which training sets are squashed.

    Raises:
        DataError: It is missing or broken, or its shape is not the stated one.
    """
    name = name or str(source)
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            image.decodermaxblock = _READ_BYTES
            image.load()
            shown, as_others = _oriented(image, upright, stated)
            rgb = shown if shown.mode == "RGB" else shown.convert("RGB")
    except FileNotFoundError as error:
        raise DataError(f"image {name} does not exist.") from error
    except UnidentifiedImageError as error:
        raise DataError(f"image {name} cannot be read: it is no image of a known kind.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"image {name} cannot be read: {error}.") from error
    if stated is not None and not _same_shape(rgb.size, stated) and rgb.width != rgb.height:
        raise DataError(_other_shape(name, rgb.size, stated, upright))
    named = as_others and not isinstance(source, bytes)
    rgb.filename = str(source) if named else ""  # type: ignore[attr-defined]
    return rgb


def upright(image: Image.Image) -> Image.Image:
    """The image as viewers show it, turned as its EXIF orientation says."""
    if not _is_turned(image):
        return image
    turned = ImageOps.exif_transpose(image)
    turned.info[TURNED] = True
    return turned


def _oriented(image: Image.Image, turn: bool, stated: tuple[float, float] | None) -> tuple[Image.Image, bool]:
    """The image as it is to be shown, and whether that is how it shows by default."""
    if not _is_turned(image):
        return image, True
    turned = upright(image)
    fits = stated is None or _same_shape(turned.size, stated) or not _same_shape(image.size, stated)
    return (turned, True) if turn and fits else (image, False)


def _is_turned(image: Image.Image) -> bool:
    try:
        return image.getexif().get(_ORIENTATION, 1) in range(2, 9)
    except Exception:  # what a camera wrote into EXIF must not cost an image that can be seen
        return False


def _same_shape(size: tuple[int, int], stated: tuple[float, float]) -> bool:
    """Whether one size is the other scaled, but for a pixel of rounding."""
    (width, height), (w, h) = size, stated
    return min(abs(width * h / w - height), abs(height * w / h - width)) <= 1


def _other_shape(name: str, size: tuple[int, int], stated: tuple[float, float], turn: bool) -> str:
    turned = _same_shape(size, (stated[1], stated[0]))
    hint = f" It is turned: try upright={not turn}, or mend the annotations." if turned else ""
    return (
        f"image {name} is {size[0]} x {size[1]} pixels, its annotations state {stated[0]:g} x {stated[1]:g}, "
        f"another shape: its boxes would lie elsewhere.{hint}"
    )
