import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harmoclip.evaluate import macro, micro, top_k


def test_top_k():
    vectors = torch.tensor([[1.0, 0.2], [0.3, 1.0]])
    classes = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert top_k(vectors, classes, torch.tensor([2, 1])).tolist() == [False, True]
    assert top_k(vectors, classes, torch.tensor([2, 1]), k=2).tolist() == [True, True]


@settings(max_examples=15)
@given(st.integers(0, 500), st.integers(1, 5))
def test_equals_scikit_learn(seed, k):
    metrics = pytest.importorskip("sklearn.metrics")
    generator = torch.Generator().manual_seed(seed)
    vectors, classes = torch.randn(30, 8, generator=generator), torch.randn(6, 8, generator=generator)
    labels = torch.randint(0, 6, (30,), generator=generator)
    cosine = torch.nn.functional.normalize(vectors) @ torch.nn.functional.normalize(classes).T
    expected = metrics.top_k_accuracy_score(labels, cosine, k=k, labels=range(6))
    assert micro(top_k(vectors, classes, labels, k)) == pytest.approx(expected)
    present = labels.unique().tolist()
    recall = metrics.recall_score(labels, cosine.argmax(1), labels=present, average="macro", zero_division=0)
    assert macro(top_k(vectors, classes, labels), labels) == pytest.approx(recall)


def test_macro_leaves_out_a_class_without_rows():
    right, labels = torch.tensor([True, False, True]), torch.tensor([0, 0, 3])
    assert macro(right, labels) == pytest.approx((0.5 + 1) / 2)
    assert micro(right) == pytest.approx(2 / 3)
