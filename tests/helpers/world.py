"""What the processes of a launch share: a small model, one global batch, and its parts."""

import torch
import torch.distributed as dist

import harmoclip
from harmoclip import Grounding
from tests.helpers.tiny_clips import random_boxes, random_texts, small_config

SPLITS = {1: (7,), 2: (3, 4), 4: (2, 1, 3, 1)}  # samples a rank; the first three samples have no region
REGIONS = (0, 0, 0, 3, 1, 4, 2)


def small_clip(**changes):
    from open_clip.model import CLIP

    torch.manual_seed(1)
    return CLIP(**small_config(), **changes).double()


def samples():
    """Images, texts and groundings of one sample each; every phrase has two wordings."""
    torch.manual_seed(2)
    images, texts = torch.randn(7, 3, 32, 32, dtype=torch.float64), random_texts(7)
    words = torch.randint(1, 98, (12, 2))
    groundings = []
    for i, count in enumerate(REGIONS):
        ids = torch.randint(6, (count,))
        wording = 2 * ids + (torch.arange(count) + i) % 2
        for p, row in enumerate(wording.tolist()):
            texts[i, 1 + 2 * p : 3 + 2 * p] = words[row]
        start = 1 + 2 * torch.arange(count)
        extra = [[0, count - 1]] if count > 2 else []  # a second phrase of the first box
        zero = torch.zeros(count, dtype=torch.int64)
        groundings.append(
            Grounding(
                boxes=random_boxes(count), image_index=zero, spans=torch.stack([start, start + 2], 1),
                text_index=zero, phrase_id=ids, wording=wording,
                links=torch.tensor([*([r, r] for r in range(count)), *extra]).view(-1, 2).long(),
            )
        )  # fmt: skip
    return images, texts, groundings


def batch(rank=0, world=1):
    """The samples of a rank, or all."""
    images, texts, groundings = samples()
    start = sum(SPLITS[world][:rank])
    own = slice(start, start + SPLITS[world][rank])
    return images[own], texts[own], Grounding.collate(groundings[own])


def rich_sample(i, grounding, texts):
    """A sample with texts of its own: a description of its first box, a wrong one, and a further caption."""
    count = int(len(grounding.boxes) > 0)  # samples without a box have no text for it
    own = texts[: 2 * count + i % 2]
    new = torch.tensor([[1, 10]] * 2 * count, dtype=torch.int64).view(-1, 2)
    row, phrases = torch.arange(1, 2 * count + 1), len(grounding.spans)
    captioned = i % 3 != 2
    spans = grounding.spans if captioned else grounding.spans[:0]
    phrases = len(spans)
    links = grounding.links if captioned else grounding.links[:0]
    ids = [grounding.phrase_id[:phrases], 100 + 2 * (i // 2) + row - 1]  # two samples say the same
    return own, grounding.replace(
        spans=torch.cat([spans, new]), text_index=torch.cat([grounding.text_index[:phrases], row]),
        phrase_id=torch.cat(ids), wording=torch.cat([grounding.wording[:phrases], 1000 + 10 * i + row]),
        links=torch.cat([links, torch.tensor([[0, phrases]] * count).view(-1, 2).long()]),
        negatives=torch.tensor([[0, phrases + 1]] * count).view(-1, 2).long(),
        image_id=torch.tensor([i % 4]), captioned=torch.tensor([captioned]),
        more_captions=torch.tensor([[2 * count + 1 if i % 2 else -1]]),
    )  # fmt: skip


def rich_batch(rank=0, world=1):
    """A batch with everything that a grounding can say."""
    images, texts, groundings = samples()
    more = random_texts(3 * len(texts)).view(len(texts), 3, -1)
    rich = [rich_sample(i, g, more[i]) for i, g in enumerate(groundings)]
    start = sum(SPLITS[world][:rank])
    own = slice(start, start + SPLITS[world][rank])
    rows = torch.cat([texts[own], *(rows for rows, _ in rich[own])])
    return images[own], rows, Grounding.collate([grounding for _, grounding in rich[own]])


def own_batch():
    return batch(dist.get_rank(), dist.get_world_size())


def harmonized(**options):
    model = options.pop("model", None) or small_clip()
    options.setdefault("lexemes", "both")  # whatever the library's default is
    return harmoclip.harmonize(model, **options)


def gradients(module):
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def one_process(inputs=None, **options):
    """Losses and gradients of one process with all samples."""
    harmo = harmonized(**options)
    losses = harmo(*(inputs or batch()))
    losses["loss"].backward()
    return {name: value.detach() for name, value in losses.items()}, gradients(harmo)


def assert_same(actual, expected, tolerance=1e-9):
    assert set(actual) == set(expected), set(actual) ^ set(expected)
    torch.testing.assert_close(
        actual, {name: expected[name] for name in actual}, rtol=tolerance, atol=tolerance
    )
