"""Images from files and from whatever holds pixels, upright as every viewer shows them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from harmoclip.errors import DataError, InputError

if TYPE_CHECKING:
    from torch import Tensor

Pixels = np.ndarray[Any, Any]
Photograph: TypeAlias = "Image.Image | str | Path | Pixels | Tensor"
"""A file, a PIL image, an array `[H, W, 3]` or a tensor `[3, H, W]`, not yet preprocessed."""

_READ_BYTES = 1 << 20
"""Most photographs in one call of the decoder; Pillow's own 64 KiB take 5 % longer."""
_opened: ContextVar[dict[tuple[Path, bool, tuple[float, float] | None], Image.Image] | None] = ContextVar(
    "opened", default=None
)
_ORIENTATION = 0x0112
"""The EXIF tag of a camera that was turned; 1 is upright."""
TURNED = "turned"
"""The key of an image's `info` that says that it was turned upright."""


@contextmanager
def each_image_once() -> Iterator[None]:
    """Within it `open_image` decodes each file once; who asks again is given the same image."""
    token = _opened.set({})
    try:
        yield
    finally:
        _opened.reset(token)


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
    opened = _opened.get()
    if opened is None or isinstance(source, bytes):
        return _decode(source, name or str(source), upright, stated)
    asked = source, upright, stated
    if asked not in opened:
        opened[asked] = _decode(source, name or str(source), upright, stated)
    return opened[asked]


def _decode(
    source: Path | bytes, name: str, upright: bool, stated: tuple[float, float] | None
) -> Image.Image:
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            image.decodermaxblock = _READ_BYTES
            image.load()
            shown, as_others = _oriented(image, upright, stated)
            rgb = shown if shown.mode == "RGB" else shown.convert("RGB")
    except FileNotFoundError as error:
        raise DataError(
            f"image {name} does not exist: check its name, and the folder of the images."
        ) from error
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


def to_image(source: Photograph) -> Image.Image:
    """An RGB image from whatever holds one.

    Args:
        source: A file, turned upright as its EXIF orientation says; a PIL image, as it is; an array
            `[H, W, 3]`, `[H, W, 4]` or `[H, W]`, or a tensor `[3, H, W]`, uint8 or floating point in [0, 1].

    Raises:
        DataError: The file is missing or broken.
        InputError: It is nothing of this.

    Example:
        >>> to_image(np.zeros((20, 30, 3), dtype=np.uint8)).size
        (30, 20)
    """
    if isinstance(source, str | Path):
        return open_image(Path(source))
    if isinstance(source, Image.Image):
        return source if source.mode == "RGB" else source.convert("RGB")
    if isinstance(source, np.ndarray):
        return _from_array(source, source)
    if not hasattr(source, "detach"):
        return _from_array(None, source)
    return _from_array(source.detach().cpu().movedim(0, -1).numpy() if source.ndim == 3 else None, source)


def _from_array(pixels: Pixels | None, source: object) -> Image.Image:
    if pixels is None or not pixels.size or _channels(pixels) not in (1, 3, 4):
        shape = f" of shape {list(source.shape)}" if hasattr(source, "shape") else ""
        raise InputError(
            f"image is a {type(source).__name__}{shape}: expected a path, a PIL image, array [H, W, 3] "
            "or a tensor [3, H, W], one image before the model's preprocessing."
        )
    if np.issubdtype(pixels.dtype, np.floating):
        if not (pixels.min() >= 0 and pixels.max() <= 1):  # NaN too
            raise InputError(
                f"image has values from {pixels.min():.2f} to {pixels.max():.2f}: expected floating point in "
                "[0, 1], or uint8. Give the photograph, not what the model's preprocessing made of it."
            )
        pixels = (pixels * 255).round().astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise InputError(f"image is {pixels.dtype}: expected uint8, or floating point in [0, 1].")
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 and pixels.ndim == 3 else pixels).convert(
        "RGB"
    )


def _channels(pixels: Pixels) -> int:
    return {2: 1, 3: pixels.shape[-1]}.get(pixels.ndim, 0)
