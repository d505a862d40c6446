"""Photographs as lower features, with their captions, phrases and boxes as tokens."""

from __future__ import annotations

import pickle
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rivals.objectives import NEGATIVES, wording
from torch import Tensor

from flickr.crops import Crops
from harmoclip.grounding import Grounding
from harmoclip.segment import align, phrase_id
from harmoclip.tokenizers import Tokenizer

ATTRIBUTES = ("color", "number", "material")

Found = tuple[
    int, int, int, str, list[tuple[str, str, int, int]]
]  # start, end, head's start and lemma, words


@dataclass(frozen=True)
class Sentence:
    """A caption with the phrases that people linked to boxes, and those that the segmenter finds."""

    caption: str
    spans: tuple[tuple[int, int], ...]
    links: tuple[tuple[int, int], ...]
    found: tuple[Found, ...]

    def phrase(self, number: int) -> str:
        """A linked phrase as it stands in the caption."""
        start, end = self.spans[number]
        return self.caption[start:end]

    def head(self, number: int) -> str:
        """The noun that says what a linked phrase is."""
        found = self._segmented(number)
        return found[3] if found else self.phrase(number).split()[-1].lower()

    def attributes(self, number: int) -> list[tuple[str, str, int, int]]:
        """Kind, word and place in the phrase of what the segmenter finds in a linked phrase."""
        found, (start, end) = self._segmented(number), self.spans[number]
        every = found[4] if found else []
        return [
            (kind, word.lower(), a - start, b - start)
            for kind, word, a, b in every
            if start <= a and b <= end
        ]

    def boxes_of(self) -> dict[int, list[int]]:
        """The boxes of every linked phrase."""
        linked: dict[int, list[int]] = {}
        for region, phrase in self.links:
            linked.setdefault(phrase, []).append(region)
        return linked

    def _segmented(self, number: int) -> Found | None:
        start, end = self.spans[number]
        return next((f for f in self.found if start <= f[2] < end), None)


class Photograph(NamedTuple):
    """All that is known of one photograph."""

    key: str
    boxes: Tensor  # [R, 4] in [0, 1]
    sentences: list[Sentence]


class Prepared(NamedTuple):
    """A caption as tokens, with the boxes that it names and the phrases that the context holds."""

    ids: Tensor
    rows: list[int]  # of the photograph's boxes
    spans: list[tuple[int, int]]
    links: list[tuple[int, int]]
    phrases: list[int]  # of the sentence's phrases
    phrase_ids: list[Tensor]


@dataclass
class Batch:
    """One step's photographs, a caption of each, and all that any objective needs of them."""

    images: Tensor  # [B, C, H, W]
    texts: Tensor  # [B, L]
    grounding: Grounding
    phrase_ids: Tensor  # [P, T] each phrase as a text of its own
    phrase_texts: list[str]  # P
    boxes: list[tuple[str, int]]  # R photograph and row
    words: dict[str, list[str]]
    attributes: list[list[tuple[str, str, int, int]]]  # of each phrase
    memory: Crops
    several: Callable[[int, int], tuple[Tensor, Grounding]]  # `Split.several` of these photographs

    def crops(self, regions: Tensor | None = None) -> Tensor:
        """Lower features of the boxes, or of those of these rows, cut out of their photographs."""
        rows = range(len(self.boxes)) if regions is None else regions.tolist()
        return self.memory([(*self.boxes[r], self.grounding.boxes[r]) for r in rows])

    def altered(self, phrase: int, rng: random.Random) -> list[str]:
        """Hard negatives: the phrase with its color, number or material exchanged; none where it has none."""
        text = self.phrase_texts[phrase]
        for kind, word, start, end in self.attributes[phrase]:
            others = [text[:start] + w + text[end:] for w in self.words.get(kind, ()) if w != word]
            if len(others) >= NEGATIVES:
                return rng.sample(others, NEGATIVES)
        return []


class Split:
    """The photographs of one split and their lower features."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, crops: Crops) -> None:
        photographs: dict[str, Photograph] = {}
        for s in pickle.loads((folder / "sentences.pkl").read_bytes()):
            own = photographs.setdefault(s["key"], Photograph(s["key"], s["boxes"], [])).sentences
            own.append(Sentence(s["caption"], tuple(s["spans"]), tuple(s["links"]), tuple(s["found"])))
        self.photographs = list(photographs.values())
        self.features = np.load(folder / "features.npy", mmap_mode="r")
        self.folder, self.tokenizer, self.memory = folder, tokenizer, crops
        self._align = align(tokenizer)

    def __len__(self) -> int:
        return len(self.photographs)

    def images(self, rows: list[int] | range) -> Tensor:
        """Lower features `[B, C, H, W]` of these photographs."""
        picked = torch.from_numpy(np.stack([self.features[i] for i in rows])).float()
        return picked.contiguous(memory_format=torch.channels_last)

    @cached_property
    def words(self) -> dict[str, list[str]]:
        """The words of each kind of attribute that linked phrases use most."""
        count: dict[str, Counter[str]] = {kind: Counter() for kind in ATTRIBUTES}
        for sentence in (s for p in self.photographs for s in p.sentences):
            for number in sentence.boxes_of():
                for kind, word, *_ in sentence.attributes(number):
                    if kind in count:
                        count[kind][word] += 1
        return {kind: [w for w, n in c.most_common(NEGATIVES + 2) if n > 5] for kind, c in count.items()}

    @cached_property
    def prepared(self) -> list[list[Prepared]]:
        """Every caption of every photograph as tokens; computed once and kept as a file."""
        path = self.folder / f"tokens-{len(self)}.pkl"
        if not path.exists():
            every = [[tuple(self.prepare(p, s)) for s in p.sentences] for p in self.photographs]
            path.write_bytes(pickle.dumps(every))
        return [[Prepared(*s) for s in row] for row in pickle.loads(path.read_bytes())]

    def prepare(self, photograph: Photograph, s: Sentence) -> Prepared:
        """A caption as tokens."""
        rows = sorted({region for region, _ in s.links})
        spans = self._align(s.caption, s.spans)
        kept = [number for number, span in enumerate(spans) if span.status == "exact"]
        texts = [s.phrase(number) for number in kept]
        return Prepared(
            self.tokenizer([s.caption])[0],
            rows,
            [(spans[number].start, spans[number].end) for number in kept],
            [(rows.index(region), kept.index(number)) for region, number in s.links if number in kept],
            kept,
            list(self.tokenizer(texts)) if texts else [],
        )

    def batch(self, rows: list[int], numbers: list[int], seed: int = 0) -> Batch:
        """These photographs, each with one of its captions; the seed is of the order of further ones."""
        photographs = [self.photographs[row] for row in rows]
        sentences = [p.sentences[number] for p, number in zip(photographs, numbers, strict=True)]
        picked = [self.prepared[row][number] for row, number in zip(rows, numbers, strict=True)]
        first_box = list(accumulate((len(p.rows) for p in picked), initial=0))
        first_phrase = list(accumulate((len(p.phrases) for p in picked), initial=0))
        owner = torch.arange(len(picked))
        texts = [s.phrase(n) for s, p in zip(sentences, picked, strict=True) for n in p.phrases]
        links = [(first_box[i] + r, first_phrase[i] + q) for i, p in enumerate(picked) for r, q in p.links]
        ids = torch.stack([row for p in picked for row in p.phrase_ids])
        grounding = Grounding(
            boxes=torch.cat([p.boxes[own.rows] for p, own in zip(photographs, picked, strict=True)]),
            image_index=owner.repeat_interleave(torch.tensor([len(p.rows) for p in picked])),
            spans=torch.tensor([span for p in picked for span in p.spans]),
            text_index=owner.repeat_interleave(torch.tensor([len(p.phrases) for p in picked])),
            links=torch.tensor(links),
            phrase_id=torch.tensor([phrase_id(text) for text in texts]),
            wording=wording(ids),
        )
        return Batch(
            self.images(rows),
            torch.stack([p.ids for p in picked]),
            grounding,
            ids[:, : int((ids != 0).sum(1).max())],
            texts,
            [(p.key, row) for p, own in zip(photographs, picked, strict=True) for row in own.rows],
            self.words,
            [s.attributes(n) for s, p in zip(sentences, picked, strict=True) for n in p.phrases],
            self.memory,
            partial(self.several, rows, numbers, seed),
        )

    def several(
        self, rows: list[int], numbers: list[int], seed: int, captions: int, phrases_of: int
    ) -> tuple[Tensor, Grounding]:
        """Several captions of each photograph, and the phrases and boxes of the first ones of them.

        Args:
            rows: The B photographs.
            numbers: The first caption of each.
            seed: Of the order of its further ones.
            captions: K, how many captions each has.
            phrases_of: From how many of them the phrases are taken.

        Returns:
            Ids `[K * B, L]`, the first captions of all photographs first; and the grounding.
        """
        rng = random.Random(seed)
        orders = []
        for row, first in zip(rows, numbers, strict=True):
            others = [n for n in range(len(self.photographs[row].sentences)) if n != first]
            rng.shuffle(others)
            orders.append([first, *others][:captions])
        place: dict[tuple[int, int], int] = {}  # of each box that is named
        spans: list[tuple[int, int]] = []
        links: list[tuple[int, int]] = []
        owner: list[int] = []
        texts: list[str] = []
        ids: list[Tensor] = []
        for i, (row, order) in enumerate(zip(rows, orders, strict=True)):
            for kind, number in enumerate(order[:phrases_of]):
                p, sentence = self.prepared[row][number], self.photographs[row].sentences[number]
                links += [
                    (place.setdefault((i, p.rows[region]), len(place)), len(spans) + phrase)
                    for region, phrase in p.links
                ]
                spans += p.spans
                owner += [kind * len(rows) + i] * len(p.spans)
                texts += [sentence.phrase(n) for n in p.phrases]
                ids += p.phrase_ids
        further = torch.arange(len(rows), captions * len(rows)).view(captions - 1, len(rows)).T
        grounding = Grounding(
            boxes=torch.stack([self.photographs[rows[i]].boxes[box] for i, box in place]),
            image_index=torch.tensor([i for i, _ in place]),
            spans=torch.tensor(spans),
            text_index=torch.tensor(owner),
            links=torch.tensor(links),
            phrase_id=torch.tensor([phrase_id(text) for text in texts]),
            wording=wording(torch.stack(ids)),
            more_captions=further,
        )
        kinds = range(captions)
        every = [
            self.prepared[row][order[k]].ids for k in kinds for row, order in zip(rows, orders, strict=True)
        ]
        return torch.stack(every), grounding

    def batches(self, size: int, seed: int, skip: int = 0) -> Iterator[Batch]:
        """Random batches of distinct photographs with a random caption each; the first ones skipped."""
        rng = random.Random(seed)
        for done in range(10**9):
            rows = rng.sample(range(len(self)), size)
            numbers = [rng.randrange(len(self.photographs[i].sentences)) for i in rows]
            if done >= skip:
                yield self.batch(rows, numbers, seed * 100_003 + done)


def frequent_heads(split: Split, count: int) -> list[str]:
    """The head nouns that most linked phrases of a split have."""
    sentences = [s for p in split.photographs for s in p.sentences]
    heads = Counter(s.head(number) for s in sentences for number in s.boxes_of())
    return [head for head, _ in heads.most_common(count)]


def box_labels(photograph: Photograph, classes: list[str]) -> list[int]:
    """The class that most captions call each box by; -1 where they call it by none."""
    number = {name: i for i, name in enumerate(classes)}
    calls = [Counter[int]() for _ in photograph.boxes]
    for sentence in photograph.sentences:
        for region, phrase in sentence.links:
            label = number.get(sentence.head(phrase))
            if label is not None:
                calls[region][label] += 1
    return [max(c, key=lambda k: (c[k], -k)) if c else -1 for c in calls]
