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
