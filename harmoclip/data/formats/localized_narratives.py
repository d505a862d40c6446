"""Localized Narratives (Pont-Tuset et al., arXiv 1912.03098): what annotators said while they pointed."""

from __future__ import annotations

from pathlib import Path

from harmoclip.data.formats.entries import ID, TEXT, Entry, Faults, OnBroken, complete
from harmoclip.data.formats.files import check_split, read_lines
from harmoclip.data.formats.registry import register_format
from harmoclip.data.formats.texts import Described, DescribedImages
from harmoclip.errors import DataError

_LAYOUT = (
    "the files of Localized Narratives, such as coco_val_captions.jsonl or "
    "coco_train_localized_narratives-00000-of-00004.jsonl"
)
_ROW = {"image_id": ID, "caption": TEXT}
_KINDS = ("_localized_narratives", "_captions")
"""How the names of files go on after the split; either kind holds every narrative."""


class LocalizedNarratives(DescribedImages):
    """One sample a narrative, which is a long caption; there are no boxes, for the traces are not read.

    Args:
        folder: Has the `.jsonl` files; or one of them.
        split: What their names begin with, such as `coco_val` or `open_images_train_v6`; by default the only
            one that the folder has.
        images: The folder of the images, named by their id (`COCO`'s ids in twelve digits).
        upright: Read images turned as their EXIF orientation says.
        on_broken: Called with an error for each line that cannot be used, which is then left out; None raises
            them together.

    Raises:
        DataError: There is no such file, or lines are not what they should be.

    Example:
        >>> LocalizedNarratives("narratives", "coco_val", images="val2017")[0].caption  # doctest: +SKIP
        'In this image there is a man who is holding a plate ...'
    """

    def __init__(
        self,
        folder: str | Path,
        split: str | None = None,
        *,
        images: str | Path,
        upright: bool = True,
        on_broken: OnBroken | None = None,
    ) -> None:
        faults, rows = Faults(on_broken), []
        for path in _files(Path(folder), split):
            lines = read_lines(path, faults, expected=_LAYOUT)
            found = complete(lines, _ROW, what="row", file=path.name, faults=faults, key=None)
            rows += [_row(entry) for _, entry in found]
        faults.raise_any()
        super().__init__(rows, Path(images), _LAYOUT, upright=upright)


def _files(folder: Path, split: str | None) -> list[Path]:
    """The files of a split, of one kind."""
    if folder.is_file():
        return [folder]
    splits: dict[str, dict[str, list[Path]]] = {}
    for kind in _KINDS:
        for path in sorted(folder.glob(f"*{kind}*.jsonl")):
            splits.setdefault(path.name.partition(kind)[0], {}).setdefault(kind, []).append(path)
    if split:
        check_split(split, splits, folder)
    if not splits or not (split or len(splits) == 1):
        said = f"several splits, {', '.join(splits)}: name one" if splits else "no narratives"
        raise DataError(f"{folder} has {said}; expected {_LAYOUT}.")
    return next(iter(splits[split or next(iter(splits))].values()))


def _row(entry: Entry) -> Described:
    name = str(entry["image_id"])
    digits = (f"{int(name):012}.jpg",) if name.isdecimal() else ()
    return Described((*digits, f"{name}.jpg"), name, entry["caption"].strip())


register_format(
    "localized_narratives", LocalizedNarratives, signs=tuple(f"*{kind}*.jsonl" for kind in _KINDS)
)
