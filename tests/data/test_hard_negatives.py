"""Hard negatives of a data set's phrases: nearly right, and never true of their boxes."""

import json

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from harmoclip.cli import app
from harmoclip.data import HardNegatives, JsonLines, Prepared, Sample, SimilarityLinker, open_dataset
from harmoclip.data.scenes import Scenes
from harmoclip.errors import InputError
from harmoclip.segment import CaptionSegmenter

segment = CaptionSegmenter()
IMAGE = Image.new("RGB", (8, 8))
LEFT, RIGHT = [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]


class Data(list):
    class_names = ("dog", "cat", "bus")


def sample(caption, *phrases, boxes=(LEFT,), **fields):
    """The phrases in turn for the boxes; those that the caption has are spans of it."""
    spans = tuple((caption.index(p), caption.index(p) + len(p)) if p in caption else p for p in phrases)
    links = fields.pop("links", tuple((min(i, len(boxes) - 1), i) for i in range(len(phrases))))
    return Sample(IMAGE, caption, list(boxes), spans, links, **fields)


def wrong(found):
    """What is known to be wrong of each box."""
    texts = found.phrase_texts
    return {(box, texts[phrase]) for box, phrase in found.negatives}


WORDS = sample("", "a red hat", "a blue cup", "a green car", "a woman", "a boy", "a helmet", image_id="words")


def test_linked_phrases_alone_get_negatives_and_keep_their_rows():
    given = sample("A red hat, a blue cup.", "A red hat", "a blue cup", links=((0, 0),))
    found = HardNegatives([WORDS, given], segment, count=9)(given)
    assert wrong(found) == {(0, "A blue hat"), (0, "A green hat"), (0, "A red helmet")}
    assert found.phrases[:2] == given.phrases
    assert found.links == given.links
    assert all(isinstance(phrase, str) for phrase in found.phrases[2:])


def test_nothing_that_is_said_of_the_box_elsewhere():
    one = sample("A red hat.", "A red hat", image_id=7)
    other = sample("A blue cap, a green car.", "A blue cap", "a green car", boxes=(LEFT, RIGHT), image_id=7)
    elsewhere = sample("A blue cap.", "A blue cap", image_id=8)
    assert wrong(HardNegatives([WORDS, one, elsewhere], segment, count=9)(one)) >= {(0, "A blue hat")}
    colors = {text for _, text in wrong(HardNegatives([WORDS, one, other], segment, count=9)(one))}
    assert "A green hat" in colors
    assert "A blue hat" not in colors


def test_nothing_that_the_class_says():
    animals = sample("", "a dog", "a cat", "a horse", image_id="words")
    given = sample("An animal, a horse.", "a horse", labels=torch.tensor([1]))
    data = Data([animals, given])
    assert (0, "a cat") in wrong(HardNegatives([*data], segment, count=9)(given))
    assert wrong(HardNegatives(data, segment, count=9)(given)) == {(0, "a dog")}


def test_each_phrase_of_a_longer_text_is_altered():
    given = sample("Some words.", "a man in a red hat")
    found = HardNegatives([WORDS, given], segment, count=4)(given)
    texts = {text for _, text in wrong(found)}
    assert "a man in a red helmet" in texts or "a man in a blue hat" in texts
    assert texts & {"a woman in a red hat", "a boy in a red hat"}
    assert len(texts) == 4


def test_a_phrase_of_several_boxes_is_wrong_of_each_of_them():
    given = sample("Two red hats.", "Two red hats", boxes=(LEFT, RIGHT), links=((0, 0), (1, 0)))
    found = HardNegatives([WORDS, given], segment, count=1)(given)
    assert len(found.negatives) == 2
    assert {box for box, _ in found.negatives} == {0, 1}
    assert len({phrase for _, phrase in found.negatives}) == 1


def test_negatives_that_are_there_stay():
    given = sample("A red hat.", "A red hat", "no hat", links=((0, 0),), negatives=((0, 1),))
    assert HardNegatives([WORDS, given], segment)(given) is given
    bare = sample("A red hat.", "A red hat", links=())
    assert HardNegatives([WORDS, bare], segment)(bare) is bare


def test_the_same_from_the_same_seed():
    scenes = Scenes("train", 20)
    first, again, other = (HardNegatives(scenes, segment, seed=seed) for seed in (0, 0, 1))
    found = [[wrong(step(s)) for s in map(scenes.__getitem__, range(20))] for step in (first, again, other)]
    assert found[0] == found[1] != found[2]
    assert all(found[0])


def test_none_is_no_number_of_negatives():
    with pytest.raises(InputError, match="count is 0: expected 1 or more"):
        HardNegatives([WORDS], segment, count=0)


@pytest.mark.parametrize("out", ["ready.jsonl", "shards"])
def test_the_command_writes_them(tmp_path, out):
    rows = []
    for i, caption in enumerate(("A red dog by a blue bus.", "A blue dog.", "A dog on a red bus.")):
        Image.new("RGB", (60, 40), (40 * i, 90, 10)).save(tmp_path / f"{i}.png")
        labels = ["dog", "bus"][: 1 + ("bus" in caption)]
        boxes = [[0.1 + 0.4 * row, 0.1, 0.4 + 0.4 * row, 0.8] for row in range(len(labels))]
        rows.append({"image": f"{i}.png", "caption": caption, "boxes": boxes, "labels": labels})
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["data", "prepare", str(tmp_path / "mine.jsonl"), str(tmp_path / out), "--negatives", "2"]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout.splitlines()[-1])
    read = open_dataset(tmp_path / out, "json_lines" if out.endswith("jsonl") else "shards")
    found = [read[i] for i in range(3)] if isinstance(read, JsonLines) else [*read]
    assert report["negatives"] == sum(len(s.negatives) for s in found) > 0
    assert report["linked_phrases"] == 1
    assert {text for s in found for _, text in wrong(s)} >= {"A blue dog", "a red bus", "A red dog"}


def test_a_second_reading_asks_no_model(monkeypatch):
    asked = []

    def similarity(harmo, tokenizer, transform, given):
        asked.append(given.caption)
        return given.boxes.new_ones(len(given.boxes), len(given.phrases))

    monkeypatch.setattr("harmoclip.data.tools.prepare.model_similarity", similarity)
    data = [sample("A red hat.", "A red hat", links=(), image_id=i) for i in range(2)]
    linked = Prepared([WORDS, *data], SimilarityLinker(None, None, None))
    found = Prepared(linked, HardNegatives(linked, segment))
    assert [wrong(found[i]) for i in (1, 2)] == [wrong(found[1])] * 2 != [set()] * 2
    assert asked == ["A red hat."] * 2
