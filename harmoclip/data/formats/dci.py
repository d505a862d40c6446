"""Densely Captioned Images (Urbanek et al., arXiv 2312.08578): long captions, and captions of masks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

from harmoclip.data.formats.entries import NUMBER, STRING, TEXT, Entry
from harmoclip.data.formats.files import first_existing, read_json
from harmoclip.data.formats.registry import register_format
from harmoclip.data.formats.texts import Described, DescribedImages
from harmoclip.data.sample import image_identity
from harmoclip.errors import DataError

_LAYOUT = "the layout of DCI: complete/*.json or annotations/*.json, and photos/"
_KEYS = ("image", "short_caption", "extra_caption", "mask_data")
_UNUSABLE = 2
_MASK = {"label": STRING, "caption": STRING, "mask_quality": NUMBER}


class Dci(DescribedImages):
    """One sample an image: its extended caption, the short one as a further caption, and its masks' boxes.

    A mask's label and its caption are texts of their own, both linked to its box; of a mask of low quality
    only the label is, and one that is marked unusable is left out.

    Args:
        folder: Has `complete/` or `annotations/`, and `photos/`.
        images: The folder of the photographs, where it is another.
        upright: Read images turned as their EXIF orientation says.

    Raises:
        DataError: The folder is not in this layout; an annotation, read with its sample, lacks something.

    Example:
        >>> sample = Dci("densely_captioned_images")[0]  # doctest: +SKIP
        >>> sample.more_captions, sample.phrases[0]  # doctest: +SKIP
        (('A large white boat in a harbour.',), 'boat')
    """

    def __init__(self, folder: str | Path, *, images: str | Path | None = None, upright: bool = True) -> None:
        root = Path(folder)
        annotations = first_existing(root, "complete", "annotations", expected=_LAYOUT)
        self._files = sorted(annotations.glob("*.json"))
        if not self._files:
            raise DataError(f"{annotations} has no .json: expected {_LAYOUT}.")
        super().__init__(_Rows(self._files), Path(images or root / "photos"), _LAYOUT, upright=upright)

    @cached_property
    def image_ids(self) -> list[int]:
        """The `image_id` of every sample, whose annotations are not opened."""
        return [image_identity(path.stem) for path in self._files]


class _Rows(Sequence[Described]):
    """What each file says, read when it is asked for: masks make the files large."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> Described: ...
    @overload
    def __getitem__(self, index: slice) -> list[Described]: ...
    def __getitem__(self, index: int | slice) -> Described | list[Described]:
        found = self._files[index]
        return [_row(path) for path in found] if isinstance(found, list) else _row(found)


def _row(path: Path) -> Described:
    entry = read_json(path, *_KEYS, expected=_LAYOUT)
    short, extra = str(entry["short_caption"]).strip(), str(entry["extra_caption"] or "").strip()
    masks = [_checked(mask, name, path) for name, mask in entry["mask_data"].items()]
    usable = [mask for mask in masks if mask["mask_quality"] != _UNUSABLE and _texts(mask)]
    return Described(
        files=(str(entry["image"]),),
        key=path.stem,
        caption=f"{short} {extra}".strip(),
        more_captions=(short,) if short and extra else (),
        boxes=[_corners(mask) for mask in usable],
        right=[_texts(mask) for mask in usable],
        names=[f"of mask {mask.get('idx')!r}" for mask in usable],
    )


def _checked(mask: Any, name: str, path: Path) -> Entry:
    """A mask that has what is read of it."""
    for key, kind in _MASK.items():
        if not isinstance(mask, dict) or not kind.holds(mask.get(key)):
            given = mask.get(key) if isinstance(mask, dict) else mask
            raise DataError(f"{path}: mask {name!r} has the {key} {given!r:.60}: expected {kind.expected}.")
    return {**mask}


def _texts(mask: Entry) -> list[str]:
    said = [mask["label"]] if mask["mask_quality"] else [mask["label"], mask["caption"]]
    return [text.strip() for text in said if TEXT.holds(text)]


def _corners(mask: Entry) -> list[float]:
    try:
        top, bottom = mask["bounds"]["topLeft"], mask["bounds"]["bottomRight"]
        return [top["x"], top["y"], bottom["x"], bottom["y"]]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"mask {mask.get('idx')!r} has the bounds {mask.get('bounds')!r:.80}: expected topLeft and "
            "bottomRight, each with x and y."
        ) from error


register_format("dci", Dci, signs=("complete/*.json",))
