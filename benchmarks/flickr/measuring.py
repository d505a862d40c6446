"""Both sides of a trained model on held-out photographs."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from flickr.data import ATTRIBUTES, Split, box_labels
from harmoclip.evaluate import PhraseRanking, macro, mean_recall, micro, rank_by_phrases, retrieval, top_k
from harmoclip.evaluate.phrase_retrieval import SHARES
from harmoclip.harmonized import harmonize
from harmoclip.tensors import l2_normalize

MOST_OF_A_KIND = 200  # attribute questions


class Named(NamedTuple):
    """A linked phrase of the split."""

    text: str
    boxes: list[int]  # rows of all boxes of the split
    photograph: range  # rows of its photograph's boxes
    attributes: list[tuple[str, str, int, int]]


@dataclass
class Questions:
    """What is asked about one split: the same of every model, put together once."""

    split: Split
    classes: list[str]

    def __post_init__(self) -> None:
        photographs = self.split.photographs
        sentences = [(i, s) for i, p in enumerate(photographs) for s in p.sentences]
        self.captions = [s.caption for _, s in sentences]
        self.image_of_caption = torch.tensor([i for i, _ in sentences])
        self.phrases = [s.caption[f[0] : f[1]] for _, s in sentences for f in s.found]
        owners = [number for number, (_, s) in enumerate(sentences) for _ in s.found]
        self.caption_of_phrase = torch.tensor(owners)
        counts = torch.tensor([len(p.boxes) for p in photographs])
        self.boxes = torch.cat([p.boxes for p in photographs])
        self.image_of_box = torch.arange(len(photographs)).repeat_interleave(counts)
        self.labels = torch.tensor([label for p in photographs for label in box_labels(p, self.classes)])

    @cached_property
    def named(self) -> list[Named]:
        """Every linked phrase."""
        found, first = [], 0
        for p in self.split.photographs:
            own = range(first, first + len(p.boxes))
            for s in p.sentences:
                for number, regions in s.boxes_of().items():
                    rows = [first + region for region in regions]
                    found.append(Named(s.phrase(number), rows, own, s.attributes(number)))
            first = own.stop
        return found

    @cached_property
    def attributes(self) -> list[tuple[str, list[str], int, list[int]]]:
        """Kind, the phrase with each word of its kind, which of them is right, and the phrase's boxes."""
        words = {kind: Counter[str]() for kind in ATTRIBUTES}
        asked = [(n, a) for n in self.named for a in n.attributes if a[0] in words]
        for _, (kind, word, *_) in asked:
            words[kind][word] += 1
        classes = {kind: [w for w, n in c.most_common(10) if n >= 10] for kind, c in words.items()}
        chosen: list[tuple[str, list[str], int, list[int]]] = []
        for kind in ATTRIBUTES:
            own = [(n, a) for n, a in asked if a[0] == kind and a[1] in classes[kind]]
            for n, (_, word, start, end) in random.Random(0).sample(own, min(MOST_OF_A_KIND, len(own))):
                texts = [n.text[:start] + w + n.text[end:] for w in classes[kind]]
                chosen.append((kind, texts, classes[kind].index(word), n.boxes))
        return chosen


class Vectors:
    """What a model makes of a split: all vectors of norm 1, each text encoded once."""

    @torch.no_grad()
    def __init__(self, model: Any, q: Questions, size: int = 128) -> None:
        self.model, self.questions = model, q
        self.known: dict[str, Tensor] = {}
        images, regions, dense = [], [], []
        with harmonize(model, tokenizer=q.split.tokenizer) as harmo:
            for first in range(0, len(q.split), size):
                rows = range(first, min(first + size, len(q.split)))
                features = q.split.images(rows)
                inside = (q.image_of_box >= rows.start) & (q.image_of_box < rows.stop)
                images.append(model.encode_image(features))
                regions.append(
                    harmo.encode_regions(features, q.boxes[inside], q.image_of_box[inside] - first)
                )
                dense.append(harmo.encode_dense(features))
        self.images, self.regions, self.dense = (l2_normalize(torch.cat(x)) for x in (images, regions, dense))

    @torch.no_grad()
    def texts(self, texts: list[str], size: int = 256) -> Tensor:
        """Their vectors `[N, D]`."""
        new = sorted(dict.fromkeys(t for t in texts if t not in self.known), key=len)
        for some in (new[i : i + size] for i in range(0, len(new), size)):
            ids = self.questions.split.tokenizer(some)
            vectors = l2_normalize(self.model.encode_text(ids[:, : int((ids != 0).sum(1).max())]))
            self.known.update(zip(some, vectors, strict=True))
        return torch.stack([self.known[text] for text in texts])

    def ranking(self) -> PhraseRanking:
        """Candidates of plain retrieval, to be ranked again by the segmenter's phrases."""
        q = self.questions
        return rank_by_phrases(
            self.images,
            self.texts(q.captions),
            self.dense,
            self.texts(q.phrases),
            q.caption_of_phrase,
            q.image_of_caption,
        )


def measure(model: Any, asked: Questions) -> dict[str, float]:
    """All measures."""
    model.eval()
    vectors = Vectors(model, asked)
    found = retrieval(vectors.images, vectors.texts(asked.captions), asked.image_of_caption)
    return {
        **found,
        "r1": mean_recall(found),
        "r5": mean_recall(found, 5),
        **by_phrases(vectors.ranking(), asked.image_of_caption),
        **named_boxes(vectors),
        "ground": grounded(vectors),
        **attribute_accuracy(vectors),
    }


def by_phrases(ranking: PhraseRanking, image_of_caption: Tensor) -> dict[str, float]:
    """R@1 of retrieval by phrases; each half of the photographs takes the share best for the other."""
    first = torch.arange(len(ranking.texts.found)) % 2 == 0  # of the photographs
    one, other = ((half, half[image_of_caption]) for half in (first, ~first))
    right = {s: (ranking.texts.rank(s) <= 1, ranking.images.rank(s) <= 1) for s in SHARES}

    def r1(share: float, half: tuple[Tensor, Tensor]) -> float:
        return (
            sum(hits[rows].double().mean().item() for hits, rows in zip(right[share], half, strict=True)) / 2
        )

    def best(half: tuple[Tensor, Tensor]) -> float:
        return max(SHARES, key=lambda share: r1(share, half))

    shares = best(other), best(one)
    return {"phrase_r1": (r1(shares[0], one) + r1(shares[1], other)) / 2, "phrase_share": sum(shares) / 2}


def named_boxes(v: Vectors) -> dict[str, float]:
    """Boxes whose noun is known, named among all nouns."""
    q = v.questions
    rows = q.labels >= 0
    classes = v.texts([f"a {name}" for name in q.classes])
    right = {k: top_k(v.regions[rows], classes, q.labels[rows], k=k) for k in (1, 5)}
    every = {f"box_top{k}": micro(r) for k, r in right.items()}
    return every | {f"box_macro_top{k}": macro(r, q.labels[rows]) for k, r in right.items()}


def grounded(v: Vectors) -> float:
    """How often the best of a photograph's boxes for a linked phrase is one of the phrase's."""
    asked = [n for n in v.questions.named if len(n.boxes) < len(n.photograph)]
    right = 0
    for n, text in zip(asked, v.texts([n.text for n in asked]), strict=True):
        best = int((v.regions[n.photograph.start : n.photograph.stop] @ text).argmax())
        right += n.photograph.start + best in n.boxes
    return right / len(asked)


def attribute_accuracy(v: Vectors) -> dict[str, float]:
    """How often the right word of its kind is the best in a phrase: for each kind, and their mean."""
    right: dict[str, list[bool]] = {}
    for kind, choices, answer, boxes in v.questions.attributes:
        region = l2_normalize(v.regions[boxes].mean(0))
        right.setdefault(kind, []).append(int((v.texts(choices) @ region).argmax()) == answer)
    shares = {f"attribute_{kind}": sum(rows) / len(rows) for kind, rows in right.items()}
    return {**shares, "attribute": sum(shares.values()) / len(shares)}
