"""COCO's captions (Chen et al., arXiv 1504.00325) with its instances' boxes (Lin et al., arXiv 1405.0312)."""

from __future__ import annotations

from pathlib import Path

from harmoclip.data.formats.captioned import CaptionedBoxes, Segment
from harmoclip.data.formats.coco_names import COCO_SYNONYMS
from harmoclip.data.formats.files import read_json
from harmoclip.errors import DataError

_LAYOUT = (
    "COCO's layout: annotations/captions_{split}.json, annotations/instances_{split}.json and {split}/*.jpg"
)


class CocoCaptions(CaptionedBoxes):
    """One sample a caption, with every box of its picture; phrases are linked through the categories' names.

    Pictures come in the order of the captions file, each with all its captions. Crowd boxes are kept, and
    only phrases for many things are linked to them.

    Args:
        folder: Has `annotations/captions_{split}.json`, `annotations/instances_{split}.json` and `{split}/`.
        split: Such as `train2017`; by default the only one that the folder has captions of.
        segment: From a caption to its phrases; by default a `CaptionSegmenter`, made when first needed.
        synonyms: What a category is called beside its own name, in the singular.

    Raises:
        DataError: The folder is not in this layout, or a file refers to something that is missing.

    Example:
        >>> sample = CocoCaptions("coco", "val2017")[0]  # doctest: +SKIP
        >>> sample.phrase_texts, sample.links  # doctest: +SKIP
        (('A man', 'two dogs'), ((0, 0), (1, 1), (2, 1)))
    """

    def __init__(
        self,
        folder: str | Path,
        split: str | None = None,
        *,
        segment: Segment | None = None,
        synonyms: dict[str, tuple[str, ...]] = COCO_SYNONYMS,
    ) -> None:
        root = Path(folder)
        self.split = split or only_split(root)
        expected = _LAYOUT.format(split=self.split)
        captions = read_json(
            root / f"annotations/captions_{self.split}.json", "images", "annotations", expected=expected
        )
        instances = read_json(
            root / f"annotations/instances_{self.split}.json", "annotations", "categories", expected=expected
        )
        names = {c["id"]: (c["name"], *synonyms.get(c["name"], ())) for c in instances["categories"]}
        super().__init__(
            captions,
            instances["annotations"],
            names,
            picture=lambda image: root / self.split / image["file_name"],
            segment=segment,
        )


def only_split(root: Path) -> str:
    """The split that a folder has captions of.

    Raises:
        DataError: It has captions of none or of several.
    """
    found = sorted(path.stem.removeprefix("captions_") for path in root.glob("annotations/captions_*.json"))
    if len(found) == 1:
        return found[0]
    seen = f"has captions of {', '.join(found)}: give one of them as split" if found else "has no captions"
    raise DataError(f"{root} {seen}; expected {_LAYOUT.format(split='train2017')}.")
