"""Phrases side by side in few rows: where they lie, what they see, and that nothing else changes."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.model import CLIP

from harmoclip import Grounding
from harmoclip.towers import find_towers
from harmoclip.towers.phrases import pack

WIDTH, START, END = 12, 98, 99


def captions(count):
    generator = torch.Generator().manual_seed(count)
    texts = torch.randint(1, 90, (count, WIDTH), generator=generator)
    texts[:, 0], texts[:, -1] = START, END
    return texts


def grounding_of(lengths):
    """A phrase of each length, each in a caption of its own, at the caption's beginning."""
    count = len(lengths)
    ends = 1 + torch.tensor(lengths, dtype=torch.int64)
    return Grounding.empty().replace(
        spans=torch.stack([torch.ones_like(ends), ends], 1),
        text_index=torch.arange(count),
        phrase_id=torch.arange(count).flip(0),
    )


@given(st.lists(st.integers(1, 10), min_size=1, max_size=60), st.integers(0, 2))
def test_every_text_sees_the_start_and_itself(lengths, start):
    lengths = torch.tensor(sorted(lengths))
    rows, tokens = grounding_of(lengths.tolist()).plan.table
    own = torch.arange(len(lengths))[:, None] * 100 + torch.arange(WIDTH)  # no token twice
    texts = torch.cat([torch.arange(-start, 0).expand(len(lengths), start), own], 1)
    packed = pack(texts, start, lengths + 1, rows, tokens)
    assert packed.ids.shape == (rows, start + tokens)
    assert packed.position.shape == (start + tokens,)
    for i, length in enumerate(lengths.tolist()):
        end = start + length  # where the end token lies in the text itself
        row, column = packed.row[i], int(packed.column(torch.full((len(lengths),), end), start)[i])
        seen = (packed.mask[column] == 0).nonzero().flatten()
        assert packed.ids[row, seen].tolist() == texts[i, : end + 1].tolist()
        assert packed.position[seen].tolist() == list(range(end + 1))
    assert packed.mask.isfinite().diagonal().all()
    assert set(packed.mask.unique().tolist()) <= {0.0, float("-inf")}


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 10), min_size=1, max_size=40))
def test_packed_phrases_and_their_gradients_are_those_of_each_alone(lengths):
    torch.manual_seed(0)
    vision = {"image_size": 16, "patch_size": 8, "width": 16, "layers": 1, "head_width": 8}
    text = {"context_length": WIDTH, "vocab_size": 100, "width": 16, "heads": 2, "layers": 2}
    clip = CLIP(embed_dim=8, vision_cfg=vision, text_cfg=text).double()
    tower, ids, grounding = find_towers(clip).text, captions(len(lengths)), grounding_of(lengths)
    weights = torch.randn(len(lengths), 8, dtype=torch.float64)
    parts = [p for name, p in clip.named_parameters() if not name.startswith(("visual", "logit"))]

    packed = tower.encode_phrases(ids, grounding)
    ours = torch.autograd.grad((packed * weights).sum(), parts)
    end = torch.full((1,), END)
    alone = [
        tower.encode(torch.cat([row[: n + 1], end])[None])[0] for row, n in zip(ids, lengths, strict=True)
    ]
    theirs = torch.autograd.grad((torch.stack(alone) * weights).sum(), parts)
    torch.testing.assert_close(packed, torch.stack(alone))
    torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)


@settings(deadline=None)
@given(st.lists(st.integers(1, 75), min_size=2, max_size=400))
def test_a_table_wastes_little(lengths):
    rows, tokens = grounding_of(lengths).plan.table
    used = sum(lengths) + len(lengths)
    steps = [1 + max(lengths)] * 2  # one slot that is not full, and slots of unlike lengths
    assert used <= rows * tokens <= used + rows * sum(steps)
    assert rows >= 2
