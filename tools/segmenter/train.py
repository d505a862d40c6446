"""Train the tagger of English captions and write its weights.

    python tools/segmenter/train.py silver.jsonl harmoclip/segment/english/tagger.npz

`silver.jsonl` is what `silver.py` wrote. Half an hour on one core, the same weights from the same seed.
"""

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from collected import NounPhrases
from forms import ing, past, third
from grammar import Grammar
from torch import Tensor, nn
from words import INTRANSITIVE, TRANSITIVE

from harmoclip.segment.english.tagger import DILATIONS, PARTS, parts

WIDTH = 64
FURTHEST = 3
"""Relations to a subject further back are not learned."""
UNKNOWN = 0

Row = tuple[list[str], list[str], list[int]]
"""Words, labels, and how many phrases back the subject of each phrase stands; -100 where not known."""


class Network(nn.Module):
    """Vectors of words and of their beginnings and ends, then convolutions over neighbours."""

    def __init__(self, sizes: list[int], labels: int) -> None:
        super().__init__()
        self.embed = nn.ModuleList(nn.Embedding(size, WIDTH) for size in sizes)
        for table in self.embed:
            nn.init.normal_(table.weight, std=0.3)
        self.convolve = nn.ModuleList(
            nn.Conv1d(WIDTH, WIDTH, 3, padding=dilation, dilation=dilation) for dilation in DILATIONS
        )
        self.label = nn.Linear(WIDTH, labels)
        self.subject = nn.Linear(WIDTH, FURTHEST + 1)
        self.drop = nn.Dropout(0.15)

    def forward(self, ids: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of labels and subjects; `ids [parts, B, N]`, `inside [B, N]` 1 for words, 0 for padding."""
        x = sum(table(part) for table, part in zip(self.embed, ids, strict=True))
        x = self.drop(x * inside[..., None])
        for layer in self.convolve:
            moved = layer(x.transpose(1, 2)).transpose(1, 2)
            x = (x + torch.relu(moved)) * inside[..., None]
        x = self.drop(x)
        return self.label(x), self.subject(x)


class Vocabulary:
    """Numbers of words and of their parts; 0 is the unknown."""

    def __init__(self, rows: list[Row]) -> None:
        counts: list[Counter[str]] = [Counter() for _ in PARTS]
        for words, _, _ in rows:
            for word in words:
                for counter, part in zip(counts, parts(word), strict=True):
                    counter[part] += 1
        self.counts = counts
        self.tables = [sorted(part for part, n in counter.items() if n >= 2) for counter in counts]
        self.number = [{part: i for i, part in enumerate(table, 1)} for table in self.tables]

    def ids(self, word: str, rng: random.Random | None) -> list[int]:
        """Numbers of the parts; in training rare words are now and then unknown."""
        found = [number.get(part, UNKNOWN) for number, part in zip(self.number, parts(word), strict=True)]
        if rng is not None:
            count = self.counts[0][parts(word)[0]]
            if rng.random() < 0.04 + 1 / (2 + count):
                found[0] = UNKNOWN
                if rng.random() < 0.2:
                    found[1] = UNKNOWN
        return found


def batches(rows: list[Row], vocabulary: Vocabulary, labels: dict[str, int], rng: random.Random) -> Any:
    """Batches of captions of like length, in random order."""
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i][0]), rng.random()))
    groups = [order[i : i + 64] for i in range(0, len(order), 64)]
    rng.shuffle(groups)
    for group in groups:
        length = max(len(rows[i][0]) for i in group)
        ids = np.zeros((len(PARTS), len(group), length), np.int64)
        inside = np.zeros((len(group), length), np.float32)
        wanted = np.full((2, len(group), length), -100, np.int64)
        for place, i in enumerate(group):
            words, tags, subjects = rows[i]
            n = len(words)
            ids[:, place, :n] = np.array([vocabulary.ids(word, rng) for word in words]).T
            inside[place, :n] = 1
            wanted[0, place, :n] = [labels[tag] for tag in tags]
            wanted[1, place, :n] = subjects
        yield torch.from_numpy(ids), torch.from_numpy(inside), torch.from_numpy(wanted)


def fit(rows: list[Row], epochs: int, seed: int) -> tuple[Network, Vocabulary, list[str]]:
    """Train, with the learning rate falling to nothing over the epochs."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    vocabulary = Vocabulary(rows)
    names = sorted({label for _, labels, _ in rows for label in labels})
    network = Network([len(table) + 1 for table in vocabulary.tables], len(names))
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.01)
    steps = epochs * (len(rows) // 64 + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    numbers = {name: i for i, name in enumerate(names)}
    for epoch in range(epochs):
        begin, total, count = time.time(), 0.0, 0
        network.train()
        for ids, inside, wanted in batches(rows, vocabulary, numbers, rng):
            label, subject = network(ids, inside)
            loss = nn.functional.cross_entropy(label.flatten(0, 1), wanted[0].flatten(), label_smoothing=0.05)
            known = (wanted[1] >= 0).any()
            if known:
                loss = loss + 0.2 * nn.functional.cross_entropy(subject.flatten(0, 1), wanted[1].flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            if schedule.last_epoch < steps - 1:
                schedule.step()
            total, count = total + loss.item(), count + 1
        print(f"epoch {epoch}: loss {total / count:.4f}, {time.time() - begin:.0f} s", flush=True)
    return network, vocabulary, names


def export(network: Network, vocabulary: Vocabulary, names: list[str], path: Path) -> None:
    """Write weights in half precision, and the names of what they stand for."""
    weights = {
        **{f"embed{i}": table.weight for i, table in enumerate(network.embed)},
        **{
            f"weight{i}": layer.weight.permute(2, 1, 0).flatten(0, 1)
            for i, layer in enumerate(network.convolve)
        },
        **{f"bias{i}": layer.bias for i, layer in enumerate(network.convolve)},
        "label": torch.cat([network.label.weight, network.label.bias[:, None]], 1).T,
        "subject": torch.cat([network.subject.weight, network.subject.bias[:, None]], 1).T,
    }
    names_of = {f"names{i}": "\n".join(table) for i, table in enumerate(vocabulary.tables)}
    np.savez_compressed(
        path,
        **{name: weight.detach().numpy().astype(np.float16) for name, weight in weights.items()},
        **{name: np.frombuffer(text.encode(), np.uint8) for name, text in names_of.items()},
        labels=np.frombuffer("\n".join(names).encode(), np.uint8),
    )


def read(path: Path) -> list[Row]:
    """Captions that `silver.py` labelled."""
    return [tuple(json.loads(line)) for line in path.read_text().splitlines()]  # type: ignore[misc]


def made(rows: list[Row], count: int, seed: int) -> list[Row]:
    """Captions of the grammar."""
    verbs = {form(verb) for verb in TRANSITIVE + INTRANSITIVE for form in (str, third, ing, past)}
    grammar = Grammar(NounPhrases.collect(((w, labels) for w, labels, _ in rows), verbs), seed)
    captions = [grammar.caption() for _ in range(count)]
    return [([w for w, _ in c], [label for _, label in c], [-100] * len(c)) for c in captions]


def main(
    silver: Path,
    output: Path,
    epochs: Annotated[int, typer.Option()] = 9,
    grammar: Annotated[int, typer.Option(help="Captions made by the grammar")] = 30_000,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Train on labelled captions and on made ones."""
    torch.set_num_threads(1)
    rows = read(silver)
    network, vocabulary, names = fit(rows + made(rows, grammar, seed), epochs, seed)
    export(network.eval(), vocabulary, names, output)


if __name__ == "__main__":
    typer.run(main)
