import pytest
import torch

from harmoclip.data import Sample
from harmoclip.errors import DataError, EvaluationError
from harmoclip.evaluate import Encoder
from harmoclip.evaluate.both_sides import both_sides, questions, region_side
from harmoclip.harmonized import harmonize
from harmoclip.train.evaluation import measure


def sample(caption, phrases, links, labels=None, key=""):
    boxes = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]])
    labels = None if labels is None else torch.tensor(labels)
    return Sample(torch.rand(3, 32, 32), caption, boxes, phrases, links, labels=labels, key=key)


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
    assert asked.rows.tolist() == [0, 1, 3]
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
    clip.encode_text = lambda rows: torch.stack([ids[order[int(i)]] for i in rows[:, 0]])
    harmo.train()
    harmo.model.visual.ln_post.eval()
    found = measure(
        harmo, samples, lambda texts: torch.tensor([[order.index(t)] * 16 for t in texts]), order[:4], 1
    )
    assert found == {"i2t_r1": 1, "i2t_r5": 1, "t2i_r1": 1, "t2i_r5": 1, "box_top1": 1, "trade_off": 1}
    assert harmo.training
    assert not harmo.model.visual.ln_post.training


def test_a_model_that_diverged_in_training_gets_no_measures(clip):
    harmo = harmonize(clip)
    samples = [sample("a", (), (), [0, 1], key="one"), sample("b", (), (), [1, 0], key="two")]
    encode = harmo.encode_regions
    harmo.encode_regions = lambda *inputs: encode(*inputs) * float("nan")
    with pytest.raises(EvaluationError, match="4 of 4 region vectors"):
        measure(harmo, samples, random_tokens, ["x", "y"], 1)
    assert harmo.training


def test_unusable_boxes_are_named_and_the_others_measured(clip):
    boxes = torch.tensor([[0.0, 0.0, 0.5, 1.0001], [0.7, 0.1, 0.7, 0.9]])
    samples = [
        sample("a", (), (), [0, 1], key="one").replace(boxes=boxes),
        sample("b", (), (), [1, 0], key="two"),
    ]
    encoder = Encoder(harmonize(clip), torch.as_tensor, random_tokens, ready=True)
    found = both_sides(encoder, samples, ["x", "y"])
    assert [text.split(" [")[0] for text in found.left_out] == ["one, box 1"]
    assert found.metric("box_top1").chance == 0.5
    with pytest.raises(DataError, match="1 boxes were left out, the first is one, box 0"):
        region_side(encoder, [samples[0].replace(boxes=boxes[1:], labels=torch.tensor([1]))], ["x", "y"])


def random_tokens(texts):
    rows = torch.zeros(len(texts), 16, dtype=torch.int64)
    rows[:, 0], rows[:, 1], rows[:, 2] = 98, torch.tensor([ord(text[0]) % 97 for text in texts]), 99
    return rows
