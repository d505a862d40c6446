"""Open a data set by its format, which its files tell."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, NamedTuple

from harmoclip.errors import DataError, InputError


class Format(NamedTuple):
    """Where a data set's class is, the options it has, and the files that tell the format of a folder."""

    module: str
    name: str
    options: tuple[str, ...]
    signs: tuple[str, ...] = ()


FORMATS = {
    "coco": Format("coco", "CocoCaptions", ("split", "segment"), ("annotations/instances_*.json",)),
    "panoptic": Format("panoptic", "CocoPanoptic", ("split", "segment"), ("annotations/panoptic_*.json",)),
    "lvis": Format("lvis", "Lvis", ("split", "segment"), ("lvis_v1_*.json", "annotations/lvis_v1_*.json")),
    "flickr30k": Format(
        "flickr30k", "Flickr30kEntities", ("split", "images"), ("Sentences", "annotations/Sentences")
    ),
    "refcoco": Format("refcoco", "RefCoco", ("split", "images"), ("refs(*).p",)),
    "visual_genome": Format("visual_genome", "VisualGenome", (), ("region_descriptions.json",)),
    "json_lines": Format("json_lines", "JsonLines", ("images", "segment", "unit", "box_format")),
    "shards": Format("shards", "Shards", ("shuffle", "seed")),
    "grit": Format("shards", "Shards", ("shuffle", "seed")),
    "hugging_face": Format(
        "hugging_face", "open_rows", ("split", "segment", "box_format"), ("dataset_*.json", "**/*.parquet")
    ),
}
STREAMS = ("shards", "grit")
_ENDINGS = {".jsonl": "json_lines", ".tar": "shards"}


def open_dataset(
    path: str | Path, form: str | None = None, *, cache: str | Path | None = None, **options: Any
) -> Any:
    """The data set in a folder or file, read by the class that knows its format.

    Args:
        path: A folder, a file of JSON lines, a pattern of shards such as `grit-{000..009}.tar`, or, with
            `form="hugging_face"`, what `datasets` loads.
        form: One of `FORMATS`; None looks at the files. A COCO folder that also has panoptic or LVIS
            annotations counts as `coco`.
        cache: The file of a `PhraseCache` for formats that a segmenter finds the phrases of.
        options: `split`, `images` and others of the class; None leaves its default.

    Raises:
        DataError: There is nothing at the path, or nothing whose format is known.
        InputError: The format is not known, or has no such option.

    Example:
        >>> open_dataset("coco", split="val2017")  # doctest: +SKIP
        <harmoclip.data.formats.coco.CocoCaptions object at 0x7f3b>
    """
    form = form or recognise(path)
    if form not in FORMATS:
        raise InputError(f"format is {form!r}: expected one of {', '.join(FORMATS)}.")
    module, name, known, _ = FORMATS[form]
    known = (*known, "cache") if "segment" in known else known
    given = {key: value for key, value in {"cache": cache, **options}.items() if value is not None}
    if unknown := set(given) - set(known):
        raise InputError(
            f"{form} has no option {', '.join(sorted(unknown))}: expected {', '.join(known) or 'none'}."
        )
    if form == "refcoco" and "images" not in given:
        raise InputError("refcoco needs images, the folder of COCO's train2014 pictures.")
    found = importlib.import_module(f"harmoclip.data.formats.{module}")
    if form == "grit":
        from harmoclip.data.formats.grit import from_grit

        given["read"] = from_grit
    if "cache" in given:
        from harmoclip.data.tools.phrase_cache import PhraseCache

        given["segment"] = PhraseCache(given.pop("cache"))
    return getattr(found, name)(str(path) if form in STREAMS else path, **given)


def recognise(path: str | Path) -> str:
    """The name in `FORMATS` that the files at a path tell.

    Raises:
        DataError: There is nothing at the path, or nothing whose format is known.
    """
    path = Path(path)
    if path.suffix in _ENDINGS:
        return _ENDINGS[path.suffix]
    if not path.is_dir():
        raise DataError(
            f"{path} does not exist: expected a folder, a .jsonl file or a pattern of .tar shards."
        )
    for name, form in FORMATS.items():
        if any(next(path.glob(sign), None) for sign in form.signs):
            return name
    signs = "; ".join(f"{name}: {' or '.join(f.signs)}" for name, f in FORMATS.items() if f.signs)
    raise DataError(f"{path} has no files of a format that is known. Looked for {signs}.")
