import torch
from PIL import Image

import harmoclip
from harmoclip.data import Sample
from harmoclip.evaluate import Metric, Metrics
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
