"""A batch of real sizes, the plain CLIP step on it, and the time of a step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from harmoclip import Grounding
from harmoclip.losses import GlobalContrastiveLoss

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# of the phrases in COCO's captions (3000 of them, CLIP's tokenizer): lengths in tokens, and their shares
LENGTHS, SHARES = (1, 2, 3, 4, 5, 6, 7), (0.114, 0.512, 0.232, 0.099, 0.031, 0.008, 0.004)
VOCABULARY, EXPONENT = 3500, 0.75  # distinct phrases by Zipf's law: 90 % of 80, 80 % of 320, 55 % of 2560
Batch = tuple[Tensor, Tensor, Grounding]


def draw(model: Any, images: int, boxes: int) -> Batch:
    """Random images; captions whose phrases come from a small language; a phrase for each box."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.multinomial(torch.tensor(SHARES), VOCABULARY, replacement=True, generator=generator)
    words = torch.randint(1000, 40000, (VOCABULARY, max(LENGTHS)), generator=generator)
    popular = torch.arange(1, VOCABULARY + 1).float() ** -EXPONENT
    size: int = model.visual.image_size[0]
    texts = torch.zeros(images, 77, dtype=torch.int64)
    texts[:, 0] = 49406
    groundings = []
    for row in texts:
        ids = (
            torch.multinomial(popular, boxes, replacement=True, generator=generator).tolist() if boxes else []
        )
        spans: list[tuple[int, int]] = []
        position = 1
        for phrase in ids:
            end = position + LENGTHS[int(lengths[phrase])]
            if end > 75:  # a caption holds only so many; the first phrase stands for the rest
                spans.append(spans[0])
                continue
            row[position:end] = words[phrase, : end - position]
            spans.append((position, end))
            position = end
        row[position] = 49407
        ids = [phrase if spans[i] != spans[0] else ids[0] for i, phrase in enumerate(ids)]
        corner, own = torch.rand(boxes, 2, generator=generator) * 0.6, torch.arange(boxes)
        extent = 0.1 + 0.3 * torch.rand(boxes, 2, generator=generator)
        zero = torch.zeros(boxes, dtype=torch.int64)
        groundings.append(
            Grounding(
                boxes=torch.cat([corner, corner + extent], 1),
                image_index=zero,
                spans=torch.tensor(spans, dtype=torch.int64).view(-1, 2),
                text_index=zero,
                links=torch.stack([own, own], 1),
                phrase_id=torch.tensor(ids, dtype=torch.int64),
            )
        )
    pixels = torch.randn(images, 3, size, size, generator=generator)
    return pixels.to(DEVICE), texts.to(DEVICE), Grounding.collate(groundings).to(DEVICE)


def clip_step(model: Any, batch: Batch) -> Tensor:
    images, texts, _ = batch
    return GlobalContrastiveLoss()(model.encode_image(images), model.encode_text(texts), model.logit_scale)


def seconds(model: nn.Module, step: Callable[[], Tensor]) -> float:
    """Seconds of one forward and backward."""
    model.zero_grad(set_to_none=True)
    synchronize()
    start = time.perf_counter()
    step().backward()
    synchronize()
    return time.perf_counter() - start


def synchronize() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()
