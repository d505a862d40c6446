import pytest

from harmoclip import CaptionSegmenter
from harmoclip.data.linking.by_words import WordLinker

NAMES = [
    ("person", "man", "woman", "skier"), ("dog", "puppy"), ("bear",), ("teddy bear", "stuffed bear"),
    ("traffic light",), ("bicycle", "bike"), ("motorcycle", "bike"), ("hot dog",),
]  # fmt: skip
PERSON, DOG, BEAR, TEDDY, LIGHT, BICYCLE, MOTORCYCLE, HOT_DOG = range(8)
segment = CaptionSegmenter()
linker = WordLinker(NAMES)


def links(caption, labels, areas=None, crowds=()):
    phrases = segment(caption)
    found = linker(phrases, labels, areas or [1.0] * len(labels), crowds)
    return [(row, phrases[p].text) for row, p in found]


@pytest.mark.parametrize(
    ("caption", "labels", "expected"),
    [
        ("A woman on a sofa.", [PERSON, DOG], [(0, "A woman")]),
        ("Two dogs play.", [DOG, PERSON, DOG], [(0, "Two dogs"), (2, "Two dogs")]),
        ("2 puppies play.", [DOG, DOG], [(0, "2 puppies"), (1, "2 puppies")]),
        ("A teddy bear in a chair.", [BEAR], []),
        ("A teddy bear in a chair.", [BEAR, TEDDY], [(1, "A teddy bear")]),
        ("A big brown bear in a river.", [TEDDY, BEAR], [(1, "A big brown bear")]),
        ("A hot dog on a plate.", [DOG], []),
        ("A dog toy on a table.", [DOG], []),
        ("A traffic light over a road.", [LIGHT], [(0, "A traffic light")]),
        ("A bright light over a road.", [LIGHT], []),
        ("A man rides a bike.", [MOTORCYCLE], [(0, "a bike")]),
        ("A man rides a bike.", [MOTORCYCLE, BICYCLE], [(1, "a bike")]),
        ("A red hydrant.", [PERSON, DOG], []),
    ],
)
def test_a_phrase_is_linked_by_its_longest_name(caption, labels, expected):
    assert links(caption, labels) == expected


def test_one_of_many_is_the_largest_where_it_is_clear():
    assert links("A dog in a park.", [DOG] * 3, [5, 20, 6]) == [(1, "A dog")]
    assert links("A dog in a park.", [DOG] * 3, [5, 20, 16]) == []
    assert links("Two dogs in a park.", [DOG] * 3, [5, 20, 16]) == [(1, "Two dogs"), (2, "Two dogs")]


def test_a_plural_means_all_of_them():
    assert links("People in a park.", [PERSON, DOG, PERSON]) == [(0, "People"), (2, "People")]
    assert len(links("A group of people in a park.", [PERSON] * 3)) == 3


def test_people_are_the_others_beside_a_man():
    assert links("A man watches people.", [PERSON] * 3, [2, 50, 3]) == [
        (1, "A man"),
        (0, "people"),
        (2, "people"),
    ]


def test_two_phrases_of_one_category_are_left_open():
    assert links("A man and a woman.", [PERSON, PERSON], [3, 90]) == []
    assert links("A dog next to another dog.", [DOG, DOG], [3, 90]) == []


def test_a_second_mention_means_the_same():
    assert links("A dog sits and a man holds the dog.", [DOG, PERSON]) == [
        (0, "A dog"),
        (1, "a man"),
        (0, "the dog"),
    ]


def test_crowds_are_only_many():
    assert links("A man in a street.", [PERSON, PERSON], [100, 5], crowds=[0]) == [(1, "A man")]
    assert links("People in a street.", [PERSON, PERSON], [100, 5], crowds=[0]) == [
        (0, "People"),
        (1, "People"),
    ]


def test_worn_colors_are_no_fruit():
    phrases = segment("A man in orange eats an orange.")
    assert WordLinker([("orange",)])(phrases, [0], [1.0]) == [(0, 2)]
