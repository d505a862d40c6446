import itertools

import open_clip
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harmoclip import images
from harmoclip.data import Collator, Loader, Sample, SeveralCaptions, Shards
from harmoclip.data.several_captions import join_captions
from harmoclip.errors import InputError
from harmoclip.images import each_image_once, open_image

PIXELS = torch.zeros(3, 8, 8)
WORDS = ("a dog", "the red hat", "two men", "grass", "a red hat")
CORNERS = ((0.0, 0.0, 0.5, 0.5), (0.25, 0.0, 1.0, 1.0), (0.0, 0.5, 0.5, 1.0))


@st.composite
def samples(draw):
    """Samples of one image: phrases of the caption or of their own, the boxes that each names."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3, unique=True))
        caption = f"{number}: {', '.join(words)}."
        phrases = [
            word if draw(st.booleans()) else (caption.index(word), caption.index(word) + len(word))
            for word in words
        ]
        boxes = draw(st.lists(st.sampled_from(CORNERS), max_size=3))
        pairs = st.tuples(st.integers(0, max(len(boxes) - 1, 0)), st.integers(0, len(words) - 1))
        links = draw(st.lists(pairs, max_size=4, unique=True)) if boxes else []
        found.append(Sample(PIXELS, caption, boxes, tuple(phrases), tuple(links), key="one.jpg"))
    return found


def linked(sample):
    return {(tuple(sample.boxes[r].tolist()), sample.phrase_texts[p]) for r, p in sample.links}


@given(samples(), st.integers(1, 4))
def test_what_is_joined_has_all_captions_boxes_phrases_and_links(each, phrases_of):
    joined = join_captions(each, phrases_of)
    giving = each[:phrases_of]
    assert (joined.caption, *joined.more_captions) == tuple(s.caption for s in each)
    assert joined.phrase_texts == tuple(text for s in giving for text in s.phrase_texts)
    assert linked(joined) == set().union(*map(linked, giving))
    for corners in CORNERS:  # as often as the sample that has it most often
        count = [sum(tuple(box) == corners for box in s.boxes.tolist()) for s in (joined, *giving)]
        assert count[0] == max(count[1:])


def test_classes_stay_with_their_boxes_and_no_negative_is_right():
    boxes = torch.tensor(CORNERS)
    one = Sample(
        PIXELS, "a red hat", boxes[:2], ("a red hat", "a blue hat", "a cap"), ((0, 0),), torch.tensor([5, 6]),
        negatives=((0, 1), (0, 2)),
    )  # fmt: skip
    other = Sample(PIXELS, "", boxes[[0, 0, 2]], ("a cap",), ((0, 0),), torch.tensor([6, 5, 7]))
    joined = join_captions([other, one], 2)
    assert joined.caption == "a red hat"
    assert joined.more_captions == ()
    assert joined.boxes.tolist() == boxes[[0, 0, 2, 1]].tolist()
    assert joined.labels.tolist() == [6, 5, 7, 6]
    assert joined.links == ((0, 0), (1, 1))
    assert joined.negatives == ((1, 2), (1, 3))  # a cap is right for another box, of another class
    same = join_captions([other.replace(labels=None), one.replace(labels=None)], 2)
    assert same.links == ((0, 0), (0, 1))
    assert same.negatives == ((0, 2),)  # a cap is right for this box
    assert join_captions([one, other.replace(labels=None)], 2).labels is None


class Captions:
    """Five captions of each of four images, and one of a fifth."""

    class_names = ("dog",)
    is_thing = (True,)

    def __init__(self):
        self.rows = [(image, n) for image in range(4) for n in range(5)] + [(4, 0)]
        self.image_ids = [image for image, _ in self.rows]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, row):
        image, number = self.rows[row]
        caption = f"{image} dog {number}"
        return Sample(PIXELS, caption, torch.tensor(CORNERS[:1]), ((2, 5),), ((0, 0),), key=str(image))


def test_a_sample_is_an_image_with_some_of_its_captions():
    images_of = SeveralCaptions(Captions(), 3, phrases_of=2)
    assert (len(images_of), images_of.image_ids) == (5, [0, 1, 2, 3, 4])
    assert (images_of.class_names, images_of.is_thing) == (("dog",), (True,))
    drawn = [images_of[2] for _ in range(40)]
    for sample in drawn:
        captions = sample.caption, *sample.more_captions
        assert len(set(captions)) == 3
        assert all(text.startswith("2 dog") for text in captions)
        assert sample.phrase_texts == ("dog", "dog")
        assert sample.links == ((0, 0), (0, 1))
    assert len({sample.caption for sample in drawn}) == 5
    assert images_of[4].more_captions == ()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_draws_the_same_captions_again(workers):
    def begin():
        return Loader(SeveralCaptions(Captions(), 2), list, batch_size=2, workers=workers, seed=3)

    def captions(batches):
        return [(s.caption, *s.more_captions) for batch in batches for s in batch]

    whole = captions(itertools.islice(begin().endless(), 6))
    stopped = begin()
    captions(itertools.islice(stopped.endless(), 3))
    resumed = begin()
    resumed.load_state_dict(stopped.state_dict())
    assert captions(itertools.islice(resumed.endless(), 3)) == whole[6:]


def test_a_batch_teaches_from_every_caption():
    images_of = SeveralCaptions(Captions(), 3, transform=lambda s: s.replace(caption=f"{s.caption} again"))
    batch = Collator(open_clip.tokenize)([images_of[0], images_of[4]])
    assert batch.texts.shape[0] == 2 + 2 + 1  # "dog" of further captions is one text of its own
    assert (batch.grounding.more_captions >= 0).tolist() == [[True, True], [False, False]]
    assert batch.grounding.links.tolist() == [[0, 0], [0, 1], [0, 2], [1, 3]]


def test_a_file_is_decoded_once_for_all_captions(tmp_path, monkeypatch):
    path, decoded = tmp_path / "one.png", []
    Image.new("RGB", (6, 4)).save(path)
    decode = images._decode
    monkeypatch.setattr(images, "_decode", lambda *asked: decoded.append(asked) or decode(*asked))
    with each_image_once():
        assert open_image(path) is open_image(path)
        open_image(path, upright=False)
    assert len(decoded) == 2
    assert open_image(path) is not open_image(path)


def test_what_cannot_be_is_said():
    with pytest.raises(InputError, match="captions is 0"):
        SeveralCaptions(Captions(), 0)
    with pytest.raises(InputError, match="captions is 2, phrases_of 3"):
        SeveralCaptions(Captions(), 2, phrases_of=3)
    with pytest.raises(InputError, match="list has no image_ids"):
        SeveralCaptions([], 2)
    with pytest.raises(InputError, match="Shards has no image_ids"):
        SeveralCaptions(Shards.__new__(Shards), 2)
