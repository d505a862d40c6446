import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harmoclip.errors import InputError
from harmoclip.evaluate import retrieval, top_k


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


@given(st.integers(0, 1000), st.integers(1, 7))
def test_equals_the_loops(seed, chunk):
    generator = torch.Generator().manual_seed(seed)
    image, text = torch.randn(5, 3, generator=generator), torch.randn(11, 3, generator=generator)
    owner = torch.cat([torch.arange(5), torch.randint(0, 5, (6,), generator=generator)])
    result = retrieval(image, text, owner, ks=(1, 3), chunk=chunk)
    i2t, t2i = by_hand(image, text, owner)
    assert result["i2t_r1"] == pytest.approx((i2t <= 1).float().mean().item())
    assert result["t2i_r3"] == pytest.approx((t2i <= 3).float().mean().item())
    assert result["t2i_median_rank"] == t2i.median().item()


def test_equal_vectors_give_no_credit():
    same = torch.ones(9, 4)
    result = retrieval(same, same)
    assert result["i2t_r1"] == 0
    assert result["i2t_median_rank"] == 5


def test_every_image_needs_a_caption():
    with pytest.raises(InputError, match="at least one caption"):
        retrieval(torch.randn(3, 4), torch.randn(3, 4), torch.tensor([0, 0, 1]))


def test_top_k():
    vectors = torch.tensor([[1.0, 0.2], [0.3, 1.0]])
    classes = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert top_k(vectors, classes, torch.tensor([2, 1])).tolist() == [False, True]
    assert top_k(vectors, classes, torch.tensor([2, 1]), k=2).tolist() == [True, True]
