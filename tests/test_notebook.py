import pickle

import torch
from open_clip import SimpleTokenizer
from PIL import Image

import harmoclip
from harmoclip.data import (
    Collator,
    JsonLines,
    Loader,
    PhraseCache,
    Prepared,
    Sample,
    Shards,
    check_dataset,
    transform_for,
    write_lines,
    write_shards,
)
from harmoclip.data.scenes import Scenes
from harmoclip.evaluate import Metric, Metrics
from harmoclip.evaluate.evaluated import Evaluated
from harmoclip.segment import CaptionSegmenter


def test_grounding_shows_its_counts(batch):
    html = batch[2]._repr_html_()
    assert "<th>regions</th><td>6</td>" in html
    assert "<td>[0, 2, 3, 1]</td>" in html
    assert "<td>[]</td>" in harmoclip.Grounding.empty()._repr_html_()


def test_phrase_shows_its_parts_escaped():
    phrase = next(p for p in CaptionSegmenter()("A man in a red hat walks two dogs.") if "hat" in p.text)
    html = phrase._repr_html_()
    assert all(f"<td>{part}</td>" in html for part in ("hat", "red", "yes"))


def test_harmonized_shows_its_options_and_taps(clip):
    html = harmoclip.harmonize(clip)._repr_html_()
    assert "resblocks.2" in html
    assert "<th>lexemes</th><td>phrases</td>" in html
    assert torch.is_grad_enabled()


def test_sample_shows_its_image_with_boxes_and_their_phrases_escaped():
    image = Image.new("L", (1000, 500))
    sample = Sample(
        image, "a <b> dog", [[0.1, 0.2, 0.5, 0.9]], ((0, 9), "a pet"), ((0, 0), (0, 1)), key="x.jpg"
    )
    html = sample._repr_html_()
    assert ">a &lt;b&gt; dog, a pet</text>" in html
    assert '<rect x="64.0" y="64.0" width="256.0" height="224.0"' in html
    assert "<b> dog" not in html
    ready = sample.replace(image=torch.zeros(3, 8, 8))._repr_html_()
    assert "[3, 8, 8]" in ready


def test_metrics_show_units_and_chance():
    html = Metrics(
        [Metric("box_top1", 0.5, chance=0.1), Metric("boxes", 20, "count")], ["a.jpg"]
    )._repr_html_()
    assert "<td>50.0 %, chance 10.0 %</td>" in html
    assert "<th>left out</th><td>1</td>" in html


def test_phrases_show_their_caption_and_a_row_each():
    caption = "A man & a dog in a <red> hat."
    phrases = CaptionSegmenter(keep_all=True)(caption)
    html = phrases._repr_html_()
    assert phrases == list(phrases)
    assert html.count("border-bottom") == len(phrases) == html.count("<tr>") - 1
    assert "&amp;" in html
    assert "<red>" not in html
    del phrases[1:]  # relations that lead to nothing show their words
    assert phrases._repr_html_().count("<tr>") == 2


def test_phrases_of_a_cache_and_of_a_pipe_know_their_caption(tmp_path):
    caption = "A dog on grass"
    cache = PhraseCache(tmp_path / "phrases.sqlite")
    for found in (cache(caption), cache(caption), *CaptionSegmenter().pipe([caption])):
        assert found.caption == pickle.loads(pickle.dumps(found)).caption == caption


def test_a_data_set_shows_its_size_its_classes_and_its_first_sample(tmp_path):
    scenes = Scenes("train", 3)
    write_lines(scenes, tmp_path / "scenes.jsonl")
    for shown in (scenes, JsonLines(tmp_path / "scenes.jsonl"), Prepared(scenes)):
        html = shown._repr_html_()
        assert "<th>samples</th><td>3</td>" in html
        assert "64: a red circle" in html
        assert "<svg" in html
    write_shards(scenes, tmp_path / "shards")
    assert "<svg" in Shards(tmp_path / "shards")._repr_html_()


def test_a_data_set_whose_first_image_is_broken_says_so(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"image": "none.jpg", "caption": "a dog"}\n')
    assert "none.jpg does not exist" in JsonLines(tmp_path / "a.jsonl")._repr_html_()


def test_what_lies_between_data_and_loss_has_a_face(clip):
    transform = transform_for({"size": 32})
    loader = Loader(
        Scenes("train", 6), Collator(SimpleTokenizer(context_length=32)), transform=transform, batch_size=2
    )
    next(iter(loader))
    assert "<th>next</th><td>batch 1 of epoch 0</td>" in loader._repr_html_()
    assert "bicubic" in transform._repr_html_()
    assert "<th>images</th><td>[2, 3, 32, 32]</td>" in next(iter(loader))._repr_html_()
    assert "<th>samples</th><td>3</td>" in check_dataset(Scenes("train", 3))._repr_html_()
    towers = harmoclip.harmonize(clip).towers
    assert "value (default)" in towers._repr_html_()
    assert f"{sum(p.numel() for p in clip.visual.parameters()):,}" in towers.image._repr_html_()
    assert f"{towers.text.context_length} tokens" in towers.text._repr_html_()
    assert "reads with" in CaptionSegmenter()._repr_html_()


def test_an_evaluation_shows_its_tables():
    columns = {name: Metrics([Metric("r1", value)]) for name, value in (("before", 0.25), ("after", 0.5))}
    html = Evaluated("a", {"whole <images>": columns})._repr_html_()
    assert "<td>25.0 %</td><td>50.0 %</td><td>+25.0 %</td>" in html
    assert "whole &lt;images&gt;" in html
