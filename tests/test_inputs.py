"""What `Harmonized` takes besides tensors of the right kind, and what it says to the rest."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image

import harmoclip
from harmoclip.errors import GroundingError, InputError

BOXES = [[0.1, 0.2, 0.5, 0.9], [0.0, 0.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    "boxes",
    [
        [BOXES, []], [np.array(BOXES), np.zeros((0, 4))], [torch.tensor(BOXES).double(), torch.empty(0)],
        (torch.tensor(BOXES), torch.empty(0, 4)), [torch.tensor(BOXES), []],
    ],
    ids=["lists", "numpy", "float64", "tuple", "mixed"],
)  # fmt: skip
def test_boxes_of_each_image(clip, boxes):
    harmo, images = harmoclip.harmonize(clip), torch.randn(2, 3, 32, 32)
    expected = harmo.encode_regions(images, [torch.tensor(BOXES), torch.empty(0, 4)])
    torch.testing.assert_close(harmo.encode_regions(images, boxes), expected)


@pytest.mark.parametrize("make", [list, np.array, torch.tensor], ids=["list", "numpy", "tensor"])
def test_boxes_with_an_index_or_of_one_image(clip, make):
    harmo, images = harmoclip.harmonize(clip), torch.randn(2, 3, 32, 32)
    expected = harmo.encode_regions(images, torch.tensor(BOXES), torch.tensor([1, 1]))
    torch.testing.assert_close(harmo.encode_regions(images, make(BOXES), make([1, 1])), expected)
    torch.testing.assert_close(harmo.encode_regions(images[1], make(BOXES)), expected)
    torch.testing.assert_close(harmo.encode_regions(images[1:], make(BOXES)), expected)


def test_one_image_a_list_and_an_array(clip):
    harmo, images = harmoclip.harmonize(clip), torch.randn(2, 3, 32, 32)
    expected = harmo.encode_dense(images)
    torch.testing.assert_close(harmo.encode_dense(images[0]), expected[:1])
    torch.testing.assert_close(harmo.encode_dense(list(images)), expected)
    torch.testing.assert_close(harmo.encode_dense(images.numpy()), expected)


def test_rounding_at_the_edge(clip):
    harmo, image = harmoclip.harmonize(clip), torch.randn(3, 32, 32)
    inside = harmo.encode_regions(image, [[0.5, 0.0, 1.0, 0.5]])
    torch.testing.assert_close(harmo.encode_regions(image, [[0.5, -0.00005, 1.0000005, 0.5]]), inside)
    with pytest.raises(GroundingError, match=r"boxes\[0\] is \[0.5, 0.0, 1.0\d*, 0.5\]"):
        harmo.encode_regions(image, [[0.5, 0.0, 1.001, 0.5]])


def test_the_objective_takes_arrays_and_lists(clip, batch):
    images, texts, grounding = batch
    harmo = harmoclip.harmonize(clip)
    expected = harmo(images, texts, grounding)
    torch.testing.assert_close(harmo(list(images), texts.tolist(), grounding), expected)
    torch.testing.assert_close(harmo(images.numpy(), texts.numpy(), grounding), expected)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (Image.new("RGB", (32, 32)), "Preprocess"),
        ([Image.new("RGB", (32, 32))], "Preprocess"),
        ("photo.jpg", "Preprocess"),
        (["photo.jpg"], "Preprocess"),
        (None, "Preprocess"),
        (np.zeros((32, 32, 3), np.uint8), "floating point"),
        (torch.zeros(32, 32), r"shape \[32, 32\]"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "torch.uint8"),
        ([torch.zeros(3, 32, 32), torch.zeros(3, 32, 24)], "one shape"),
    ],
)
def test_images_that_are_none(clip, batch, images, message):
    harmo = harmoclip.harmonize(clip)
    for call in (
        lambda: harmo.encode_dense(images),
        lambda: harmo.encode_regions(images, [BOXES]),
        lambda: harmo(images, batch[1], batch[2]),
    ):
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.parametrize(
    ("boxes", "index", "message"),
    [
        (BOXES, None, "image_index"),
        ("boxes", None, "expected one tensor"),
        (3.5, None, "expected one tensor"),
        ([["a", "b", "c", "d"]], [0], "no tensor"),
        ([BOXES, [[0.1, 0.2, 0.3]]], None, r"shape \[1, 3\]"),
        (torch.tensor(BOXES), torch.tensor([0.5, 1.0]), "whole number"),
        (torch.tensor(BOXES), torch.tensor([0]), "each of the 2 boxes"),
        ([BOXES, BOXES], torch.tensor([0, 1, 1, 1]), "leave image_index out"),
    ],
)
def test_boxes_that_are_none(clip, boxes, index, message):
    with pytest.raises(InputError, match=message):
        harmoclip.harmonize(clip).encode_regions(torch.randn(2, 3, 32, 32), boxes, index)


def test_texts_that_are_none(clip, batch):
    harmo = harmoclip.harmonize(clip)
    for texts in ("a dog", ["a dog"], None, batch[1].float(), [[1, 2], [3]]):
        with pytest.raises(InputError, match="texts are"):
            harmo(batch[0], texts, batch[2])


# -------------------------------------------------------------------- options


def test_an_unknown_option_is_answered_with_the_nearest(clip):
    with pytest.raises(InputError, match="no option 'lexeme': did you mean 'lexemes'"):
        harmoclip.harmonize(clip, lexeme="spans")
    with pytest.raises(InputError, match="there is no teacher"):
        harmoclip.harmonize(clip, weights={"teacher": 1.0})


def test_options_may_be_given_whole_and_changed(clip):
    options = harmoclip.Options(lexemes="both", weights={"global_region": 0})
    harmo = harmoclip.harmonize(clip, options, lexemes="spans")
    assert harmo.options.lexemes == "spans"
    assert "global_region" not in harmo.weights


def test_the_signature_lists_every_option():
    import inspect
    from dataclasses import fields

    parameters = inspect.signature(harmoclip.harmonize).parameters
    assert {option.name for option in fields(harmoclip.Options)} <= set(parameters)
    assert parameters["lexemes"].default == "phrases"
    assert all(option.metadata["meaning"] for option in fields(harmoclip.Options))


def test_a_teacher_can_be_the_model_as_it_is(clip, batch):
    losses = harmoclip.harmonize(clip, teacher=True)(*batch)
    torch.testing.assert_close(losses["teacher_loss"], torch.tensor(0.0), rtol=0, atol=1e-6)
    given = harmoclip.harmonize(clip, teacher=copy.deepcopy(clip).requires_grad_(False))(*batch)
    torch.testing.assert_close(losses, given)


@pytest.mark.parametrize("frozen", ["image", "text", "both"])
def test_balance_with_a_frozen_tower(clip, batch, frozen):
    for name, parameter in clip.named_parameters():
        of_image = name.startswith("visual.")
        parameter.requires_grad_((frozen == "text" and of_image) or (frozen == "image" and not of_image))
    clip.logit_scale.requires_grad_(True)
    losses = harmoclip.harmonize(clip, balance=True)(*batch)
    losses["loss"].backward()
    assert all(value.isfinite() for value in losses.values())


def test_a_batch_of_one_is_told(clip, batch):
    images, texts, _ = batch
    harmo = harmoclip.harmonize(clip)
    with pytest.warns(UserWarning, match="one image over all ranks"):
        harmo(images[:1], texts[:1], harmoclip.Grounding.empty())
    harmo.eval()(images[:1], texts[:1], harmoclip.Grounding.empty())  # nobody trains on it


def test_crops_may_be_given(clip, batch):
    images, texts, grounding = batch
    harmo = harmoclip.harmonize(clip, global_region="crops")
    crops = torch.randn(len(grounding.boxes), 24)
    loss = harmo(images, texts, grounding, crops)["global_region_loss"]
    regions = harmo.encode_regions(images, grounding.boxes, grounding.image_index)
    expected = (1 - (regions * torch.nn.functional.normalize(crops, dim=1)).sum(1)).mean()
    torch.testing.assert_close(loss, expected)
    with pytest.raises(InputError, match="2 crops and 6 boxes"):
        harmo(images, texts, grounding, crops[:2])
