"""One pass of both towers of a small model."""

from harmoclip.towers import find_towers


def encode(given):
    """The model's own vectors of its images and captions."""
    towers = find_towers(given.model)
    return towers.encode_image(given.images), towers.encode_text(given.texts)


def captured_of(harmo, given):
    """What a capture reads while both towers run, and their vectors."""
    with harmo.capture() as captured:
        vectors = encode(given)
    return captured, vectors
