"""FineHARD (Xie et al., arXiv 2505.05071): FG-CLIP's descriptions of boxes with hard negatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from harmoclip.data.formats.boxes import is_box
from harmoclip.data.formats.entries import LIST, TEXT, Entry, Faults, Kind, OnBroken, complete
from harmoclip.data.formats.files import read_json
from harmoclip.data.formats.registry import register_format
from harmoclip.data.formats.texts import Described, DescribedImages
from harmoclip.errors import DataError
from harmoclip.segment import normalize_phrase

_LAYOUT = "FineHARD's layout: jsonfiles/*.json, and the images under the names of f_path"
_PREFIX = "grit-20m/data-12m/"
"""What the published paths begin with, which the folder of the images does not have."""
_BOX = Kind(
    lambda value: isinstance(value, list) and is_box(value[:4]), "four numbers and perhaps a confidence"
)
_ITEM = {"f_path": TEXT, "caption": TEXT, "short_caption": TEXT, "bbox_info": LIST}
_REGION = {"bbox": _BOX, "short_expr": TEXT, "long_expr": TEXT}


class FineHard(DescribedImages):
    """One sample an image: its long caption, the short one as a further caption, and its described boxes.

    Each box has a short and a long description, both linked to it, and where FineHARD has them, about ten
    descriptions that are wrong, as negatives.

    Args:
        folder: Has `jsonfiles/*.json`, or these files themselves; or one such file.
        images: The folder that the names in `f_path` start from, without the `grit-20m/data-12m/` that they
            were published with; by default the folder.
        upright: Read images turned as their EXIF orientation says.
        on_broken: Called with an error for each entry of the files that cannot be used, which is then left
            out; None raises them together.

    Raises:
        DataError: There is no such file, or entries lack something, or a negative says what the box's
            description says.

    Example:
        >>> sample = FineHard("FineHARD", images="data/grit-12m")[0]  # doctest: +SKIP
        >>> sample.more_captions, sample.phrases[0]  # doctest: +SKIP
        (('a kitchen with a wooden table',), 'a wooden table')
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        images: str | Path | None = None,
        upright: bool = True,
        on_broken: OnBroken | None = None,
    ) -> None:
        root, faults = Path(folder), Faults(on_broken)
        files = (
            [root] if root.is_file() else sorted(root.glob("jsonfiles/*.json")) or sorted(root.glob("*.json"))
        )
        if not files:
            raise DataError(f"{root} has no .json: expected {_LAYOUT}.")
        rows = [row for file in files for row in _rows(file, faults)]
        faults.raise_any()
        default = root.parent if root.is_file() else root
        super().__init__(rows, Path(images or default), _LAYOUT, unit="fraction", upright=upright)


def _rows(path: Path, faults: Faults) -> Iterator[Described]:
    items = read_json(path, expected=_LAYOUT)
    for name, item in complete(items, _ITEM, what="item", file=path.name, faults=faults, key=None):
        regions = list(complete(item["bbox_info"], _REGION, what="box", file=name, faults=faults, key=None))
        file = item["f_path"].removeprefix(_PREFIX)
        yield Described(
            files=(file,),
            key=file,
            caption=item["caption"].strip(),
            more_captions=(item["short_caption"].strip(),),
            boxes=[region["bbox"][:4] for _, region in regions],
            right=[_right(region) for _, region in regions],
            wrong=[_wrong(where, region, faults) for where, region in regions],
        )


def _right(region: Entry) -> list[str]:
    return [region["short_expr"].strip(), region["long_expr"].strip()]


def _wrong(where: str, region: Entry, faults: Faults) -> list[str]:
    """The hard negatives of a box, where it is flagged to have them."""
    if region.get("flag_short_neg") != 1:
        return []
    given = region.get("short_expr_negs")
    if not isinstance(given, Mapping) or not all(map(TEXT.holds, given.values())):
        faults.add(f"{where} has the short_expr_negs {given!r:.80}: expected texts by number.")
        return []
    right, wrong = set(map(normalize_phrase, _right(region))), []
    for number, text in given.items():
        if normalize_phrase(text) in right:
            faults.add(f"{where} has the short_expr_negs {number} {text!r}, which describes the box itself.")
        else:
            wrong.append(text.strip())
    return wrong


register_format("fine_hard", FineHard, signs=("jsonfiles/*.json",))
