"""Where words begin and end, and how a caption is read."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmoclip.segment.reading import read
from harmoclip.segment.words import inside_word, whole_words


@pytest.mark.parametrize(
    "marked",
    [
        "a black|-|and|-|white cat",
        "a 3|-|y|ear|-|old's",
        "the man 's lap",
        "the man'|s lap",
        "the dogs' beds - two",
        "is|n|'|t and/|or w/a",
        "1/|2 cup, 3.|5 or 4. x",
        "at five o'|clock in O'|Brien's",
        "l'homme d'un dell'acqua",
        "b&|w dogs & cats",
        "犬と猫",
        "cafe|\u0301",
    ],
)
def test_inside_word(marked):
    text = marked.replace("|", "")
    inside = {len(marked[:i].replace("|", "")) for i, c in enumerate(marked) if c == "|"}
    missed = {place for place in inside if not inside_word(text, place)}
    assert not missed
    spaces = {i for i, c in enumerate(text) if c == " "} | {0, len(text)}
    assert not any(inside_word(text, place) for place in spaces)


@pytest.mark.parametrize(
    ("text", "place"),
    [("the man's lap", 7), ("l'homme", 2), ("w/a ball", 2), ("犬と猫", 1), ("a-", 1), ("dog. Cat", 3)],
)
def test_between_words(text, place):
    assert not inside_word(text, place)


@given(st.text(alphabet="ab -'/1.&", max_size=20), st.data())
def test_whole_words_hold_the_span(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    first, last = whole_words(text, start, end)
    assert first <= start <= end <= last
    assert not inside_word(text, first)
    assert not inside_word(text, last)


@pytest.mark.parametrize(
    ("caption", "text"),
    [
        ("A man &amp; a &quot;cat&#34;", 'A man and a "cat"'),
        ("caf&eacute;&nbsp;&amp;lt;", "café <"),
        ("a dog w/a ball w/o leash, b&amp;w", "a dog with a ball without leash, black-and-white"),
        ("A cat 🐱👩‍👩‍👧 <br/>here", "A cat    here"),
        ("the man’s non‑stick pan", "the man's non-stick pan"),
        ("A MAN IN A CAFÉ", "a man in a café"),
        ("&unknown; R&B, 1 < 2", "&unknown; R&B, 1 < 2"),
    ],
)
def test_reading(caption, text):
    assert read(caption).text == text


@given(st.lists(st.sampled_from(["&amp;", "w/", "🐶", "’", "dog", " ", "<b>", "É"]) | st.text(max_size=3)))
def test_places_lead_back_to_the_caption(pieces):
    caption = "".join(pieces)
    reading = read(caption)
    places = reading.places
    assert len(places) == len(reading.text) + 1
    assert places[-1] == len(caption)
    assert all(a <= b for a, b in pairwise(places))
    plain = [i for i, c in enumerate(reading.text) if places[i + 1] == places[i] + 1 and c.isalnum()]
    same = [i for i in plain if reading.text[i].casefold() == caption[places[i]].casefold()]
    assert len(same) == len(plain)
