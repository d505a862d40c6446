import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harmoclip.data import Preprocessing, Sample, transform_for
from harmoclip.errors import InputError

MODES = ["shortest", "longest", "squash"]
PIXELS = ["pillow", "tensor"]


def preprocessing(size=(32, 32), scaled=None, resize="shortest", pixels="pillow", interpolation="bilinear"):
    unit = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    return Preprocessing(size, scaled or size, resize, interpolation, pixels=pixels, **unit)


def blank(width, height):
    return np.zeros((height, width, 3), dtype=np.uint8)


def white_bounds(image):
    """The box in [0, 1] that holds what is light, to half a pixel by its weight."""
    light = image[0]
    rows, columns = (light.amax(1) > 0.5).nonzero().flatten(), (light.amax(0) > 0.5).nonzero().flatten()
    height, width = light.shape
    return torch.tensor(
        [columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height]
    )


@given(
    width=st.integers(40, 160),
    height=st.integers(40, 160),
    corners=st.tuples(*[st.integers(1, 99)] * 4),
    mode=st.sampled_from(MODES),
    pixels=st.sampled_from(PIXELS),
    size=st.sampled_from([(48, 48), (32, 56)]),
    train=st.sampled_from(["no", "crop", "flip"]),
    seed=st.integers(0, 99),
)
def test_a_filled_box_ends_where_the_moved_box_says(width, height, corners, mode, pixels, size, train, seed):
    xs, ys = sorted(c * width // 100 for c in corners[:2]), sorted(c * height // 100 for c in corners[2:])
    xs, ys = [xs[0], max(xs[1], xs[0] + 8)], [ys[0], max(ys[1], ys[0] + 8)]
    if xs[1] > width or ys[1] > height:
        return
    array = blank(width, height)
    array[ys[0] : ys[1], xs[0] : xs[1]] = 255
    box = torch.tensor([[xs[0] / width, ys[0] / height, xs[1] / width, ys[1] / height]])
    transform = transform_for(
        preprocessing(size, (60, 64) if size == (48, 48) else size, mode, pixels),
        crop=(0.4, 1.0) if train == "crop" else None,
        flip=1.0 if train == "flip" else 0.0,
        min_visible=0.0,
        min_side=2.0,
    )
    torch.manual_seed(seed)
    moved = transform(Sample(Image.fromarray(array), "", box))
    if not len(moved.boxes):
        assert sum(moved.dropped.values()) == 1
        return
    seen = white_bounds(moved.image)
    step = torch.tensor([1 / size[1], 1 / size[0]] * 2)
    assert ((seen - moved.boxes[0]).abs() <= 1.01 * step).all(), (seen, moved.boxes[0])


@given(st.integers(2, 300), st.integers(2, 300), st.sampled_from(MODES), st.sampled_from(PIXELS))
def test_the_whole_picture_stays_the_whole_picture_without_a_crop(width, height, mode, pixels):
    config = preprocessing((24, 24), resize=mode, pixels=pixels)
    sample = Sample(Image.fromarray(blank(width, height)), "", torch.tensor([[0.0, 0.0, 1.0, 1.0]]))
    moved = transform_for(config, min_visible=0.0, min_side=0.0)(sample).boxes[0]
    long = torch.tensor([0, 0, 1, 1.0])
    if mode == "longest":
        short_side = 0 if width < height else 1
        assert moved[short_side] + moved[short_side + 2] == pytest.approx(1, abs=1.01 / 24)
        long[[short_side, short_side + 2]] = moved[[short_side, short_side + 2]]
    torch.testing.assert_close(moved, long)


def test_boxes_that_leave_the_picture_are_dropped_with_their_links_and_counted():
    image = Image.fromarray(blank(100, 50))  # the square in the middle stays: x from 0.25 to 0.75
    boxes = torch.tensor([
        [0.00, 0.0, 0.20, 1.0],  # gone
        [0.20, 0.0, 0.40, 1.0],  # three quarters stay
        [0.20, 0.0, 0.28, 1.0],  # three eighths stay
        [0.30, 0.2, 0.31, 0.9],  # thin
        [0.50, 0.5, float("nan"), 0.9],
        [0.60, 0.5, 0.50, 0.9],
        [0.30, 0.1, 0.70, 0.9],
    ])  # fmt: skip
    links = tuple((row, 0) for row in range(7))
    sample = Sample(image, "a dog", boxes, ((0, 5),), links, labels=torch.arange(7), dropped={"no area": 2})
    kept = transform_for(preprocessing(), min_visible=0.5, min_side=2)(sample)
    assert kept.labels.tolist() == [1, 6]
    assert kept.links == ((0, 0), (1, 0))
    assert kept.dropped == {"no area": 2, "out of view": 3, "mostly out of view": 1, "too small": 1}
    expected = torch.tensor([[0.0, 0.0, 0.3, 1.0], [0.1, 0.1, 0.9, 0.9]])
    torch.testing.assert_close(kept.boxes, expected)
    assert kept.boxes.dtype == torch.float32
    assert transform_for(preprocessing(), min_visible=0.3)(sample).labels.tolist() == [1, 2, 6]


@pytest.mark.parametrize(
    ("caption", "flips"),
    [
        ("a dog on the left", False),
        ("the Rightmost man", False),
        ("a left-handed player", False),
        ("leftovers on a bright plate", True),
        ("a dog", True),
    ],
)
def test_captions_that_speak_of_sides_are_not_mirrored(caption, flips):
    box = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    array = blank(20, 20)
    array[:, :10] = 255
    sample = Sample(Image.fromarray(array), caption, box)
    moved = transform_for(preprocessing((20, 20)), flip=1.0)(sample)
    torch.testing.assert_close(moved.boxes, torch.tensor([[0.7, 0.2, 0.9, 0.4]]) if flips else box)
    assert moved.image[0, 5, 2] == (0 if flips else 1)


def test_a_rendered_tensor_is_a_picture_too():
    image = torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8)
    from_tensor = transform_for(preprocessing())(Sample(image, ""))
    from_picture = transform_for(preprocessing())(Sample(Image.fromarray(image.permute(1, 2, 0).numpy()), ""))
    torch.testing.assert_close(from_tensor.image, from_picture.image)


@pytest.mark.parametrize(
    "wrong", [{"flip": 1.5}, {"crop": (0.5, 0.2)}, {"min_visible": -1}, {"min_side": -1}]
)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        transform_for(preprocessing(), **wrong)


@pytest.mark.parametrize(
    "texts", [{"phrases": ("the left dog",)}, {"more_captions": ("A dog, right of me",)}]
)
def test_other_texts_that_speak_of_sides_count_too(texts):
    box = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    sample = Sample(Image.fromarray(blank(20, 20)), "a dog", box, **texts)
    torch.testing.assert_close(transform_for(preprocessing((20, 20)), flip=1.0)(sample).boxes, box)
