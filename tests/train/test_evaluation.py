import pytest
import torch

from harmoclip.data import Sample
from harmoclip.errors import DataError
from harmoclip.harmonized import harmonize
from harmoclip.train.evaluation import measure, questions, trade_off


def sample(caption, phrases, links, labels=None, key=""):
    boxes = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]])
    labels = None if labels is None else torch.tensor(labels)
    return Sample(torch.rand(3, 32, 32), caption, boxes, phrases, links, labels=labels, key=key)


def test_trade_off_needs_both_sides():
    assert trade_off({"i2t_r1": 1.0, "t2i_r1": 1.0, "box_top1": 0.0}) == 0
    assert trade_off({"i2t_r1": 0.2, "t2i_r1": 0.4, "box_top1": 0.6}) == pytest.approx(2 * 0.3 * 0.6 / 0.9)


def test_classes_are_asked_of_every_box():
    asked = questions([sample("a dog", (), (), [1, 0]), sample("a cat", (), (), [2, 2])], ["x", "y", "z"])
    assert asked.names == ["x", "y", "z"]
    assert asked.answers.int().argmax(1).tolist() == [1, 0, 2, 2]


def test_without_classes_linked_phrases_are_asked_and_equal_ones_merged():
    samples = [
        sample("a dog and the cat", ((0, 5), (10, 17)), ((0, 0), (1, 1))),
        sample("The dog", ((0, 7),), ((1, 0),)),
    ]
    asked = questions(samples, None)
    assert len(asked.names) == 2
    assert [len(b) for b in asked.boxes] == [2, 1]
    assert asked.answers.tolist() == [[True, False], [False, True], [True, False]]


def test_no_named_box_is_an_error():
    with pytest.raises(DataError, match="no held-out box"):
        questions([sample("a dog", (), ())], None)


def test_measures_follow_the_vectors(clip):
    """Names whose vectors are the regions' own are all found, whatever the model."""
    harmo = harmonize(clip.eval())
    samples = [sample("a", (), (), [0, 1], key="one"), sample("b", (), (), [2, 3], key="two")]
    images = torch.stack([s.image for s in samples])
    vectors = harmo.encode_regions(images, [s.boxes for s in samples])
    ids = {f"name {i}": v for i, v in enumerate(vectors)}
    ids |= {"a": clip.encode_image(images)[0], "b": clip.encode_image(images)[1]}
    order = list(ids)
    harmo.towers.encode_text = lambda rows: torch.stack([ids[order[int(i)]] for i in rows[:, 0]])
    harmo.train()
    found = measure(
        harmo, samples, lambda texts: torch.tensor([[order.index(t)] for t in texts]), order[:4], 1
    )
    assert found == {"i2t_r1": 1, "i2t_r5": 1, "t2i_r1": 1, "t2i_r5": 1, "box_top1": 1, "trade_off": 1}
    assert harmo.training
