import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image

from harmoclip.draw import draw_boxes, draw_matrix, draw_similarity, pixels
from harmoclip.errors import InputError

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _close():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def test_boxes_are_drawn_where_they_are():
    ax = draw_boxes(Image.new("RGB", (40, 20)), torch.tensor([[0.25, 0.5, 0.75, 1.0]]), ["a dog"])
    (line,) = ax.lines
    assert (line.get_xdata().min(), line.get_xdata().max()) == (9.5, 29.5)
    assert (line.get_ydata().min(), line.get_ydata().max()) == (9.5, 19.5)
    assert [text.get_text() for text in ax.texts] == ["a dog"]


def test_similarity_covers_the_image():
    ax = draw_similarity(torch.rand(3, 20, 40), torch.rand(5, 7))
    picture, heat = ax.images
    assert picture.get_extent() == heat.get_extent()
    assert heat.get_array().shape == (5, 7)


def test_matrix_shows_every_value():
    ax = draw_matrix(torch.tensor([[0.25, 0.5]]), ["box"], ["a", "b"])
    assert [text.get_text() for text in ax.texts] == ["0.25", "0.50"]


def test_pixels_of_tensors_and_images_agree():
    array = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    for image in (Image.fromarray(array), tensor, tensor / 255):
        np.testing.assert_array_equal(pixels(image), array)


def test_wrong_counts():
    image = Image.new("RGB", (8, 8))
    with pytest.raises(InputError, match="2 labels for 1 boxes"):
        draw_boxes(image, torch.rand(1, 4), ["a", "b"])
    with pytest.raises(InputError, match=r"\[1, 2\]"):
        draw_matrix(torch.rand(1, 2), ["a"], ["b"])


@pytest.mark.parametrize("boxes", [torch.tensor([[10.0, 10.0, 30.0, 20.0]]), [[10, 10, 30, 20]]])
def test_boxes_in_pixels_are_drawn_as_told(boxes):
    image = Image.new("RGB", (40, 20))
    (line,) = draw_boxes(image, boxes, unit="pixel").lines
    assert (line.get_xdata().min(), line.get_xdata().max()) == (9.5, 29.5)
    with pytest.raises(InputError, match=r"boxes\[0\] is \[10\.0.*unit='pixel'"):
        draw_boxes(image, boxes)


def test_boxes_of_another_unit_or_shape_are_refused():
    image = Image.new("RGB", (40, 20))
    inner = torch.tensor([[0.1, 0.1, 0.5, 0.5]])
    with pytest.raises(InputError, match="they are fractions"):
        draw_boxes(image, inner, unit="pixel")
    with pytest.raises(InputError, match="'fraction' or 'pixel'"):
        draw_boxes(image, inner, unit="pixels")
    for wrong in (inner[0], torch.tensor([[0.1, float("nan"), 0.5, 0.5]])):
        with pytest.raises(InputError, match="boxes"):
            draw_boxes(image, wrong)
    assert len(draw_boxes(image, torch.tensor([[-0.1, 0.0, 0.5, 1.2]])).lines) == 1
    assert not draw_boxes(image, torch.empty(0, 4)).lines


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.rand(3, 20, 40) * 4 - 2, "before the model's preprocessing"),
        (torch.rand(3, 20, 40) * 2 - 1, "undo its normalization"),
        (torch.full((3, 20, 40), float("nan")), r"expected \[0, 1\]"),
        (torch.rand(1, 3, 20, 40), r"\[3, H, W\]"),
        (torch.rand(20, 40, 3), r"\[3, H, W\]"),
        (torch.zeros(3, 20, 40, dtype=torch.int64), "expected uint8"),
        (np.zeros((20, 40, 3), dtype=np.uint8), "expected a PIL image"),
    ],
)
def test_what_is_no_image_is_refused(image, message):
    for draw in (
        lambda: draw_similarity(image, torch.rand(5, 7)),
        lambda: draw_boxes(image, torch.tensor([[0.1, 0.1, 0.5, 0.5]])),
    ):
        with pytest.raises(InputError, match=message):
            draw()


def test_images_that_resampling_took_a_little_beyond_are_drawn():
    image = torch.rand(3, 5, 6)
    np.testing.assert_array_equal(pixels(image * 1.2 - 0.1), pixels((image * 1.2 - 0.1).clamp(0, 1)))


@pytest.mark.parametrize(
    "similarity", [torch.rand(1, 5, 7), torch.full((5, 7), float("nan")), torch.empty(0, 7)]
)
def test_what_is_no_similarity_is_refused(similarity):
    with pytest.raises(InputError, match="similarity is of shape"):
        draw_similarity(Image.new("RGB", (40, 20)), similarity)
