"""Flickr30k Entities: phrases that people marked in captions, and what differs in those that were found."""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from harmoclip.segment import Phrase
from harmoclip.segment.english import lexicon as lx

Span = tuple[int, int]
_MARK = re.compile(r"\[/EN#(\d+)/(\S+) ([^\]]*)\]")


@dataclass(frozen=True)
class Marked:
    """A caption with what people marked in it; marks of nothing visible are left out.

    Attributes:
        caption: The text without marks.
        spans: Each marked phrase, and whether it has a box.
    """

    caption: str
    spans: dict[Span, bool]


def read_marks(folder: Path, split: str) -> list[Marked]:
    """All captions of a split, in the layout of Flickr30k Entities."""
    return [
        _marked(line, boxed)
        for image in (folder / f"{split}.txt").read_text().split()
        for boxed in [_boxed(folder / "Annotations" / f"{image}.xml")]
        for line in (folder / "Sentences" / f"{image}.txt").read_text().splitlines()
        if line.strip()
    ]


def _marked(line: str, boxed: set[str | None]) -> Marked:
    caption, spans, last = "", {}, 0
    for mark in _MARK.finditer(line):
        caption += line[last : mark.start()]
        if "notvisual" not in mark[2]:
            spans[len(caption), len(caption) + len(mark[3])] = mark[1] in boxed
        caption += mark[3]
        last = mark.end()
    return Marked(caption + line[last:], spans)


def _boxed(path: Path) -> set[str | None]:
    objects = ET.parse(path).getroot().findall("object")
    return {name.text for o in objects if o.find("bndbox") is not None for name in o.findall("name")}


def score(marked: Sequence[Marked], found: Sequence[set[Span]], *, boxed: bool = False) -> dict[str, float]:
    """Precision, recall and F1 of exact spans.

    With `boxed`, of the marks that have a box alone; a mark without one is then neither right nor wrong.
    """
    right = wrong = total = 0
    for row, spans in zip(marked, found, strict=True):
        wanted = {span for span, has_box in row.spans.items() if has_box or not boxed}
        right += len(wanted & spans)
        wrong += len(spans - row.spans.keys())
        total += len(wanted)
    precision, recall = right / (right + wrong), right / total
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / (precision + recall)}


def differences(row: Marked, phrases: Sequence[Phrase]) -> tuple[dict[Span, str], dict[Span, str]]:
    """Marks that were not found and phrases that are not marked, each with its kind.

    Kinds that begin with "convention:" are differences of the two guides, the others are mistakes.

    Args:
        row: What people marked.
        phrases: What was found, the ungroundable ones too.
    """
    spans = {(p.start, p.end): p for p in phrases}
    found = {span for span, p in spans.items() if p.groundable}
    missed = {span: _kind_of_miss(row.caption, span, spans) for span in row.spans if span not in found}
    extra = {}
    for span in found - row.spans.keys():
        over = [mark for mark in row.spans if mark[0] < span[1] and span[0] < mark[1]]
        kinds = {missed[mark] for mark in over if mark in missed}
        conventions = sorted(kind for kind in kinds if kind.startswith("convention"))
        extra[span] = conventions[0] if conventions else "wrong borders" if over else "not marked"
    return missed, extra


def _kind_of_miss(caption: str, mark: Span, spans: dict[Span, Phrase]) -> str:
    words = caption[slice(*mark)].lower().split()
    inside = sorted(span for span in spans if mark[0] <= span[0] and span[1] <= mark[1])
    around = [span for span in spans if span[0] <= mark[0] and mark[1] <= span[1] and span != mark]
    if mark in spans:
        return f"convention: {spans[mark].reason}"
    if words[-1] in lx.PRONOUNS or words[0] in ("something", "someone"):
        return "convention: pronoun"
    if all(word in lx.COLORS | lx.COLOR_MODIFIERS | {"in", "one"} for word in words):
        return "convention: color alone"
    between = [caption[a[1] : b[0]].split() for a, b in pairwise(inside)]
    whole = bool(inside) and inside[0][0] == mark[0] and inside[-1][1] == mark[1]
    if whole and any(words == ["of"] for words in between):
        return "convention: part and owner in one"
    if whole and between and all(words in (["and"], ["or"], [","], [",", "and"]) for words in between):
        return "convention: list in one"
    rest = caption[inside[-1][1] : mark[1]].lower().split() if inside and inside[0][0] == mark[0] else []
    if len(inside) == 1 and rest and all(word in _AFTER for word in rest):
        return "convention: adverb or adjective after the noun"
    if (around and caption[around[0][0] : mark[0]].split()[-1:] == ["and"]) or _cut_at_and(
        caption, mark, around
    ):
        return "convention: list in parts"
    return "wrong borders" if any(s[0] < mark[1] and mark[0] < s[1] for s in spans) else "missed"


_AFTER = frozenset(
    [
        "and",
        "away",
        "closed",
        "high",
        "in",
        "lit",
        "open",
        "out",
        "outdoors",
        "outside",
        "painted",
        "ready",
        "up",
        "wide",
        "white",
    ]
)


def _cut_at_and(caption: str, mark: Span, around: list[Span]) -> bool:
    return bool(around) and caption[mark[1] : around[0][1]].split()[:1] == ["and"]


def tell(marked: Sequence[Marked], phrases: Sequence[Sequence[Phrase]]) -> dict[str, float]:
    """Print how often each kind of difference occurs; the scores without the conventions."""
    missed: Counter[str] = Counter()
    boxed: Counter[str] = Counter()
    extra: Counter[str] = Counter()
    right = right_boxed = 0
    for row, found in zip(marked, phrases, strict=True):
        lacks, more = differences(row, found)
        missed.update(lacks.values())
        boxed.update(kind for span, kind in lacks.items() if row.spans[span])
        extra.update(more.values())
        right += len(row.spans) - len(lacks)
        right_boxed += sum(row.spans.values()) - sum(row.spans[span] for span in lacks)
    print(f"\n{'difference':50}{'missed':>8}{'boxed':>8}{'extra':>8}")
    for kind in sorted(missed | extra, key=lambda kind: (not kind.startswith("conv"), -missed[kind])):
        print(f"{kind:50}{missed[kind]:8}{boxed[kind]:8}{extra[kind]:8}")
    return {
        "f1_without_conventions": _f1(right, _mistakes(extra), _mistakes(missed)),
        "f1_boxed_without_conventions": _f1(right_boxed, _mistakes(extra), _mistakes(boxed)),
    }


def _mistakes(kinds: Counter[str]) -> int:
    return sum(count for kind, count in kinds.items() if not kind.startswith("convention"))


def _f1(right: int, wrong: int, missed: int) -> float:
    return 2 * right / (2 * right + wrong + missed)
