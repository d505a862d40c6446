"""Which phrases mean the same object."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmoclip.segment import CaptionSegmenter, link_mentions, phrase_id, shared_phrase_ids

segment = CaptionSegmenter()


def groups(*captions: str) -> set[frozenset[str]]:
    """The objects that have several mentions, as the texts of these."""
    phrases = [segment(caption) for caption in captions]
    objects: dict[int, list[str]] = {}
    for row, found in zip(link_mentions(phrases), phrases, strict=True):
        for number, phrase in zip(row, found, strict=True):
            objects.setdefault(number, []).append(phrase.text)
    return {frozenset(texts) for texts in objects.values() if len(texts) > 1}


@pytest.mark.parametrize(
    ("captions", "linked"),
    [
        (["A dog runs.", "The brown dog in a park"], [{"A dog", "The brown dog"}]),
        (["A man on a sofa", "A guy sits on a couch"], [{"A man", "A guy"}, {"a sofa", "a couch"}]),
        (["Two men in hats", "A couple of guys"], [{"Two men", "A couple of guys"}]),
        (["A red car", "A blue car"], []),
        (["A young woman", "An elderly woman"], []),
        (["Two dogs", "A dog", "Three dogs"], []),
        (["A man talks to another man", "A man in a hat"], []),
        (["A man in a suit and a man in a hat", "A man"], []),
        (["A brown dog chases a ball. The animal is fast."], [{"A brown dog", "The animal"}]),
        (["A dog lies by a cat. The animal sleeps."], []),
        (["A ball by a box. The ball is red."], [{"A ball", "The ball"}]),
        (["A ball lies by a ball."], []),
        (["A man and another man talk. The man laughs."], []),
        (["A golden retriever lies by a kitten. The dog sleeps."], [{"A golden retriever", "The dog"}]),
        (["The man's hat is red. The woman's hat is blue."], []),
        (["The edge of the table is by the edge of the bed."], []),
        (["The edge of a pool", "The edge of the pool"], [{"The edge of a pool", "The edge of the pool"}]),
        (
            ["A bowl of soup by the bowl of rice", "the bowl of soup"],
            [{"A bowl of soup", "the bowl of soup"}],
        ),
        (["The left hand touches the right hand."], []),
        (["A man in black", "A woman watches someone."], []),
        (["Someone waves.", "Someone and others run.", "others"], []),
        (["Two dogs, one in a hat.", "Two cats. The one in a boat sits."], []),
    ],
)
def test_linked_where_it_is_sure(captions, linked):
    assert groups(*captions) == {frozenset(texts) for texts in linked}


def test_shared_ids_are_those_of_the_longest_mention():
    phrases = [segment("A dog runs."), segment("The brown dog in a park")]
    assert shared_phrase_ids(phrases) == [
        [phrase_id("brown dog")],
        [phrase_id("brown dog"), phrase_id("a park")],
    ]


@settings(max_examples=50, derandomize=True, deadline=None)
@given(
    st.lists(
        st.lists(
            st.sampled_from(["a dog", "the dog", "a red car", "two men", "the animal", "another dog", "cars"])
        ).map(" and ".join)
    )
)
def test_objects_are_numbered_by_first_mention(captions):
    phrases = [segment(caption) for caption in captions]
    numbers = link_mentions(phrases)
    assert [len(row) for row in numbers] == [len(found) for found in phrases]
    seen = [number for row in numbers for number in row]
    assert [n for i, n in enumerate(seen) if n not in seen[:i]] == list(range(len(set(seen))))
