"""ShareGPT4V (Chen et al., arXiv 2311.12793) and its kind: captions as the answers of conversations."""

from __future__ import annotations

from pathlib import Path

from harmoclip.data.formats.entries import LIST, TEXT, Entry, Faults, OnBroken, complete
from harmoclip.data.formats.files import read_json
from harmoclip.data.formats.registry import register_format
from harmoclip.data.formats.texts import Described, DescribedImages
from harmoclip.errors import DataError

_LAYOUT = 'a list of {"image": ..., "conversations": [{"from": "human", ...}, {"from": "gpt", "value": ...}]}'
_SIGNS = ("share-captioner_*.json", "sharegpt4v_*.json")


class ShareGpt4v(DescribedImages):
    """One sample an image, whose caption is the first answer of its conversation; there are no boxes.

    Args:
        path: The file, or a folder that has one of ShareGPT4V's names.
        images: The folder that the names of images start from; by default the folder of the file.
        first_sentence: Give the first sentence of each as a further, short caption, as Long-CLIP (arXiv
            2403.15378) does.
        upright: Read images turned as their EXIF orientation says.
        on_broken: Called with an error for each entry of the file that cannot be used, which is then left
            out; None raises them together.

    Raises:
        DataError: There is no such file, or entries are not what they should be.

    Example:
        >>> sample = ShareGpt4v("captions.json", first_sentence=True)[0]  # doctest: +SKIP
        >>> sample.more_captions  # doctest: +SKIP
        ('The image shows a white bus on a street',)
    """

    def __init__(
        self,
        path: str | Path,
        *,
        images: str | Path | None = None,
        first_sentence: bool = False,
        upright: bool = True,
        on_broken: OnBroken | None = None,
    ) -> None:
        file, faults, rows = _file(Path(path)), Faults(on_broken), []
        kinds = {"image": TEXT, "conversations": LIST}
        items = read_json(file, expected=_LAYOUT)
        for name, item in complete(items, kinds, what="item", file=file.name, faults=faults, key=None):
            caption = _answer(item)
            if caption:
                short = (caption.partition(". ")[0],) if first_sentence else ()
                rows.append(Described((item["image"],), item["image"], caption, short))
            else:
                faults.add(
                    f"{name} has no answer of gpt: its conversations are {item['conversations']!r:.80}."
                )
        faults.raise_any()
        super().__init__(rows, Path(images or file.parent), _LAYOUT, upright=upright)


def _file(path: Path) -> Path:
    """The file itself, or the only one of these names in a folder."""
    if not path.is_dir():
        return path
    found = [file for sign in _SIGNS for file in sorted(path.glob(sign))]
    if len(found) != 1:
        raise DataError(f"{path} has {len(found)} files {' or '.join(_SIGNS)}: give the file itself.")
    return found[0]


def _answer(item: Entry) -> str:
    """The first answer, on one line; empty where there is none."""
    answers = (
        turn["value"]
        for turn in item["conversations"]
        if isinstance(turn, dict) and turn.get("from") == "gpt" and TEXT.holds(turn.get("value"))
    )
    return " ".join(next(answers, "").split("\n")).strip()


register_format("sharegpt4v", ShareGpt4v, signs=_SIGNS)
