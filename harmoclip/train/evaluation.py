"""Both sides of a model on held-out samples, and their trade-off in one number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from harmoclip.data import Sample
from harmoclip.errors import DataError
from harmoclip.evaluate import retrieval
from harmoclip.harmonized import Harmonized
from harmoclip.segment import phrase_id
from harmoclip.tensors import l2_normalize


class Questions(NamedTuple):
    """Every box that has a name, and the texts it is to be named from."""

    names: list[str]
    boxes: list[Tensor]  # one [R_i, 4] an image
    answers: Tensor  # [R, K] bool


def trade_off(measures: dict[str, float]) -> float:
    """The harmonic mean of mean R@1 and box Top-1: high only where both sides are.

    Example:
        >>> trade_off({"i2t_r1": 0.4, "t2i_r1": 0.6, "box_top1": 0.5})
        0.5
    """
    whole, region = (measures["i2t_r1"] + measures["t2i_r1"]) / 2, measures["box_top1"]
    return 2 * whole * region / (whole + region) if whole + region else 0.0


def questions(samples: Sequence[Sample], class_names: Sequence[str] | None) -> Questions:
    """What the boxes are asked: their class among all classes, or, without classes, a phrase linked to them.

    Raises:
        DataError: No box has a name.
    """
    if class_names is not None:
        rows = [list(range(len(s.boxes))) for s in samples]
        right = [[{int(s.labels[r])} for r in range(len(s.boxes))] for s in samples if s.labels is not None]
        names = list(class_names)
    else:
        texts = {phrase_id(text): text for s in samples for text in s.phrase_texts}
        column = {key: i for i, key in enumerate(texts)}
        names = list(texts.values())
        rows = [sorted({r for r, _ in s.links}) for s in samples]
        right = [
            [{column[phrase_id(s.phrase_texts[p])] for q, p in s.links if q == r} for r in kept]
            for s, kept in zip(samples, rows, strict=True)
        ]
    answers = torch.zeros(sum(map(len, rows)), len(names), dtype=torch.bool)
    for i, columns in enumerate(columns for image in right for columns in image):
        answers[i, list(columns)] = True
    if not len(answers):
        raise DataError("no held-out box has a class or a linked phrase: the region side cannot be measured.")
    return Questions(names, [s.boxes[kept] for s, kept in zip(samples, rows, strict=True)], answers)


@torch.no_grad()
def measure(
    harmo: Harmonized,
    samples: Sequence[Sample],
    tokenizer: Callable[[list[str]], Tensor],
    class_names: Sequence[str] | None,
    batch_size: int,
) -> dict[str, float]:
    """Retrieval R@1 and R@5 both ways, box Top-1 and the trade-off, all in [0, 1].

    Args:
        harmo: The model; its mode is restored.
        samples: Held out, with tensor images; those of one key are captions of one image.
        tokenizer: The model's own.
        class_names: The text of each label, or None.
        batch_size: Samples encoded at a time.
    """
    training = harmo.training
    harmo.eval()
    device = next(harmo.parameters()).device
    asked = questions(samples, class_names)
    images, regions, texts = [], [], []
    for start in range(0, len(samples), batch_size):
        part = samples[start : start + batch_size]
        pixels = torch.stack([torch.as_tensor(s.image) for s in part]).to(device)
        images.append(harmo.towers.encode_image(pixels))
        regions.append(harmo.encode_regions(pixels, asked.boxes[start : start + batch_size]))
        texts.append(harmo.towers.encode_text(tokenizer([s.caption for s in part]).to(device)))
    names = torch.cat(
        [
            harmo.towers.encode_text(tokenizer(asked.names[i : i + batch_size]).to(device))
            for i in range(0, len(asked.names), batch_size)
        ]
    )
    guess = (l2_normalize(torch.cat(regions)) @ l2_normalize(names).T).argmax(1).cpu()
    keys = [s.key or str(i) for i, s in enumerate(samples)]
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    order = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    found = retrieval(
        torch.cat(images)[[first[key] for key in order]],
        torch.cat(texts),
        torch.tensor([order[key] for key in keys], device=device),
        ks=(1, 5),
    )
    harmo.train(training)
    measures = {name: value for name, value in found.items() if "median" not in name}
    measures["box_top1"] = asked.answers[torch.arange(len(guess)), guess].float().mean().item()
    return {**measures, "trade_off": trade_off(measures)}
