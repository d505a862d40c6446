import torch

import harmoclip
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
