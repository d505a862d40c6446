import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harmoclip.errors import InputError
from harmoclip.evaluate import retrieval


def by_hand(image, text, owner):
    """Ranks by plain loops over cosines."""
    cosine = torch.nn.functional.normalize(image, dim=1) @ torch.nn.functional.normalize(text, dim=1).T
    i2t, t2i = [], []
    for i in range(len(image)):
        best = max(cosine[i, j] for j in range(len(text)) if owner[j] == i)
        i2t.append(1 + sum(cosine[i, j] > best for j in range(len(text)) if owner[j] != i))
    for j in range(len(text)):
        t2i.append(1 + sum(cosine[i, j] > cosine[owner[j], j] for i in range(len(image)) if i != owner[j]))
    return torch.tensor(i2t), torch.tensor(t2i)


def some_vectors(seed, images=5, texts=11):
    generator = torch.Generator().manual_seed(seed)
    image, text = torch.randn(images, 3, generator=generator), torch.randn(texts, 3, generator=generator)
    owner = torch.cat(
        [torch.arange(images), torch.randint(0, images, (texts - images,), generator=generator)]
    )
    return image, text, owner


@given(st.integers(0, 1000), st.integers(1, 7))
def test_equals_the_loops(seed, chunk):
    image, text, owner = some_vectors(seed)
    result = retrieval(image, text, owner, ks=(1, 3), chunk=chunk)
    i2t, t2i = by_hand(image, text, owner)
    assert result["i2t_r1"] == pytest.approx((i2t <= 1).float().mean().item())
    assert result["t2i_r3"] == pytest.approx((t2i <= 3).float().mean().item())
    assert result["t2i_median_rank"] == t2i.median().item()
    assert result["i2t_median_rank"] == i2t.median().item()


@pytest.mark.parametrize("k", [1, 5, 10])
def test_equals_torchmetrics_hit_rate(k):
    torchmetrics = pytest.importorskip("torchmetrics")
    image, text, owner = some_vectors(3, images=40, texts=200)
    cosine = torch.nn.functional.normalize(image, dim=1) @ torch.nn.functional.normalize(text, dim=1).T
    target = torch.arange(40)[:, None] == owner
    result = retrieval(image, text, owner)
    for name, scores, right in (("i2t", cosine, target), ("t2i", cosine.T, target.T)):
        rows = torch.arange(len(scores))[:, None].expand_as(scores)
        hit_rate = torchmetrics.retrieval.RetrievalHitRate(top_k=k)
        expected = hit_rate(scores.flatten(), right.flatten(), indexes=rows.flatten())
        assert result[f"{name}_r{k}"] == pytest.approx(expected.item())


def test_equal_vectors_give_no_credit():
    same = torch.ones(9, 4)
    result = retrieval(same, same)
    assert result["i2t_r1"] == 0
    assert result["i2t_median_rank"] == 5


def test_memory_is_bounded_by_the_chunk(monkeypatch):
    module = sys.modules["harmoclip.evaluate.retrieval"]

    seen = []
    ranks = module.best_ranks
    monkeypatch.setattr(module, "best_ranks", lambda s, t: seen.append(s.numel()) or ranks(s, t))
    retrieval(torch.randn(50, 4), torch.randn(250, 4), torch.arange(250) // 5, chunk=8)
    assert max(seen) == 8 * 250


def test_every_image_needs_a_caption():
    with pytest.raises(InputError, match="at least one caption"):
        retrieval(torch.randn(3, 4), torch.randn(3, 4), torch.tensor([0, 0, 1]))
