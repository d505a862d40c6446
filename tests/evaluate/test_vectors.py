"""A model that gives NaN, infinity or zeros is an error, never a score, wherever vectors are scored."""

import math

import pytest
import torch
from PIL import Image

from harmoclip.data import Sample
from harmoclip.data.scenes import Scenes
from harmoclip.errors import DataError, EvaluationError, InputError
from harmoclip.evaluate import (
    box_scores,
    macro,
    micro,
    name_boxes,
    pointing,
    referring,
    retrieval,
    top_k,
    zero_shot,
)
from harmoclip.evaluate.vectors import unit_vectors
from tests.helpers.small_world import small_encoder

BAD = [math.nan, math.inf, -math.inf, 0.0]


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("count", [1, 50, 100])
@pytest.mark.parametrize("side", [0, 1])
def test_retrieval_says_how_many_and_where(value, count, side):
    vectors = [torch.randn(100, 8), torch.randn(100, 8)]
    vectors[side][100 - count :] = value
    what = ("image", "text")[side]
    with pytest.raises(EvaluationError, match=rf"^{count} of 100 {what} vectors are .*row {100 - count}\b"):
        retrieval(*vectors)


@pytest.mark.parametrize("value", BAD[:3])
def test_one_number_that_is_not_finite_is_enough(value):
    image = torch.randn(4, 8)
    image[2, 5] = value
    with pytest.raises(EvaluationError, match=r"1 of 4 image vectors.*row 2"):
        retrieval(image, torch.randn(4, 8))


def test_what_overflowed_in_half_precision_is_noticed():
    image = (torch.randn(4, 8) * 1e5).half()
    with pytest.raises(EvaluationError, match=r"not finite"):
        retrieval(image, torch.randn(4, 8))
    with pytest.raises(EvaluationError, match=r"all zeros"):
        retrieval((torch.randn(4, 8) * 1e-9).half(), torch.randn(4, 8))


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1.0, 1e20, 1e30])
def test_size_does_not_matter_where_squares_leave_the_type(scale):
    vectors = torch.randn(5, 8)
    torch.testing.assert_close(unit_vectors(vectors * scale, "vectors"), unit_vectors(vectors, "vectors"))
    assert retrieval(vectors * scale, vectors)["i2t_r1"] == 1


@pytest.mark.parametrize("value", BAD)
def test_top_k_says_how_many(value):
    vectors, classes = torch.randn(6, 8), torch.randn(3, 8)
    for one, other in ((vectors.clone().fill_(value), classes), (vectors, classes.clone().fill_(value))):
        with pytest.raises(EvaluationError, match=r"(6 of 6|3 of 3)"):
            top_k(one, other, torch.zeros(6, dtype=torch.int64))


def test_shares_of_what_is_no_number_are_refused():
    for right in (torch.tensor([1.0, math.nan]), []):
        with pytest.raises(EvaluationError):
            micro(right)
        with pytest.raises(EvaluationError):
            macro(right, torch.zeros(len(right), dtype=torch.int64))


@pytest.mark.parametrize(
    ("image", "text", "owner"),
    [
        (torch.empty(0, 8), torch.empty(0, 8), None),
        (torch.randn(2, 8), torch.empty(0, 8), []),
        (torch.empty(2, 0), torch.empty(2, 0), None),
    ],
)
def test_nothing_is_no_score(image, text, owner):
    with pytest.raises(EvaluationError, match=r"there are no"):
        retrieval(image, text, owner)


def test_vectors_of_two_models_are_refused():
    with pytest.raises(InputError, match=r"8 dimensions .* 9"):
        retrieval(torch.randn(2, 8), torch.randn(2, 9))
    with pytest.raises(InputError, match=r"\[8\]: expected \[N, D\]"):
        retrieval(torch.randn(8), torch.randn(8))


def test_lists_are_taken_as_they_are():
    image, text = torch.randn(2, 8), torch.randn(4, 8)
    assert retrieval(image.tolist(), text.tolist(), [0, 0, 1, 1]) == retrieval(
        image, text, torch.tensor([0, 0, 1, 1])
    )
    for wrong in ([0, 0, 1], [0, 0, 0, 0], [0, 1, 2, 1], [[0, 0, 1, 1]]):
        with pytest.raises(InputError, match=r"at least one caption"):
            retrieval(image, text, wrong)


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0], [0.0, 1.0]])
def test_labels_that_no_class_has_are_named(labels):
    with pytest.raises(InputError, match=r"labels"):
        top_k(torch.randn(2, 8), torch.randn(3, 8), labels)


def broken(tower, value=math.nan):
    """A model one of whose towers gives a constant."""
    encoder = small_encoder()
    weight = encoder.harmo.model.text_projection if tower == "text" else encoder.harmo.model.visual.proj
    torch.nn.init.constant_(weight, value)
    return encoder


@pytest.mark.parametrize("value", [math.nan, 0.0])
@pytest.mark.parametrize("tower", ["image", "text"])
def test_every_measure_of_a_broken_model_is_an_error(tower, value, tmp_path):
    encoder, scenes = broken(tower, value), Scenes("test", 4)
    for measure in (
        lambda: box_scores(name_boxes(encoder, scenes, "name")),
        lambda: box_scores(name_boxes(encoder, scenes, "name", "crops")),
        lambda: referring(encoder, scenes),
        lambda: pointing(encoder, scenes),
    ):
        with pytest.raises(EvaluationError, match=r"\d+ of \d+ (\w+ vectors|images by their patches) are"):
            measure()
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (32, 32), (9, 90, 9)).save(tmp_path / "cat" / "a.png")
    with pytest.raises(
        EvaluationError, match=r"1 of 1 image vectors.*a\.png" if tower == "image" else "text"
    ):
        zero_shot(encoder, tmp_path, "name")


def test_one_bad_box_of_many_is_named():
    encoder = small_encoder()
    pool = encoder.harmo.encode_regions

    def encode_regions(images, boxes):
        vectors = pool(images, boxes)
        vectors[-1] = math.nan
        return vectors

    encoder.harmo.encode_regions = encode_regions
    boxes = torch.tensor([[0.1, 0.1, 0.5, 0.5]]).repeat(2, 1)
    samples = [Sample(Image.new("RGB", (9, 9)), "x", boxes, key=f"{i}.jpg") for i in range(3)]
    with pytest.raises(
        EvaluationError, match=r"2 of 6 region vectors are .*box 1 of 1\.jpg, box 1 of 2\.jpg"
    ):
        encoder.region_vectors(samples)


def test_a_data_set_without_labels_is_named():
    class Unlabelled(list):
        class_names = ("a", "b")

    sample = Sample(Image.new("RGB", (9, 9)), "x", torch.tensor([[0.1, 0.1, 0.5, 0.5]]), key="x.jpg")
    with pytest.raises(DataError, match=r"'x\.jpg' has 1 boxes without labels"):
        name_boxes(small_encoder(), Unlabelled([sample]), "name")
