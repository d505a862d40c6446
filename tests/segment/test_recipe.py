"""The recipe of the tagger, from captions to weights that can be read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harmoclip.segment.english.tagger import Tagger, parts, tagger

ROOT = Path(__file__).parents[2]
CAPTIONS = ["A man rides a horse.", "Two dogs chase a red ball.", "A cat sits on the black-and-white sofa."]


@pytest.mark.slow
def test_recipe(tmp_path):
    (tmp_path / "captions.json").write_text(
        json.dumps({"annotations": [{"caption": c} for c in CAPTIONS * 40]})
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for script, *arguments in (
        ("silver.py", "captions.json", "silver.jsonl"),
        ("train.py", "silver.jsonl", "first.npz", "--epochs", "1", "--grammar", "50"),
        ("train.py", "silver.jsonl", "again.npz", "--epochs", "1", "--grammar", "50"),
    ):
        command = [sys.executable, str(ROOT / "tools/segmenter" / script), *arguments]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    with np.load(tmp_path / "first.npz") as first, np.load(tmp_path / "again.npz") as again:
        assert all(np.array_equal(first[name], again[name]) for name in first.files)
        labels, subjects = Tagger(dict(first))(["a", "man", "rides", "a", "horse"])
    assert len(labels) == len(subjects) == 5


def test_labels_do_not_depend_on_what_was_tagged_before():
    words = ["a", "black", "and", "white", "dog", "chases", "a", "zyxwvut-colored", "ball"]
    fresh, used = Tagger(weights()), tagger()
    used(["other", "words"] * 20)
    assert fresh(words) == used(words)
    assert fresh([]) == ([], [])


def weights() -> dict:
    path = ROOT / "harmoclip/segment/english/tagger.npz"
    assert path.stat().st_size < 2_000_000
    with np.load(path) as found:
        return dict(found)


def test_parts_of_words():
    assert parts("black-and-white") == ("white", "bla-", "ite")
    assert parts("28th") == ("00th", "00t", "0th")
    assert parts("-") == ("-", "--", "-")
