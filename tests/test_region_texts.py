"""Texts of their own, negatives, images without a caption, further captions: on a whole model."""

import pytest
import torch
import torch.nn.functional as F

import harmoclip
from harmoclip import Grounding
from harmoclip.errors import GroundingError, InputError
from harmoclip.losses import GlobalContrastiveLoss
from tests.helpers.tiny_clips import random_boxes, random_texts

FORMS = ["spans", "phrases", "both"]


def with_own_texts():
    """Three images, of which the second has no caption; rows 3 to 5 are texts of their own."""
    torch.manual_seed(4)
    texts = random_texts(6)
    texts[5] = texts[4]  # said twice, so encoded once
    grounding = Grounding(
        boxes=random_boxes(5),
        image_index=torch.tensor([0, 0, 1, 1, 2]),
        spans=torch.tensor([[2, 5], [1, 10], [1, 10], [1, 10], [3, 4]]),
        text_index=torch.tensor([0, 3, 4, 5, 2]),
        links=torch.tensor([[0, 0], [0, 1], [1, 1], [2, 2], [3, 3], [4, 4]]),
        phrase_id=torch.tensor([1, 2, 3, 3, 4]),
        negatives=torch.tensor([[0, 2], [4, 1], [4, 2]]),
        captioned=torch.tensor([True, False, True]),
    )
    return torch.randn(3, 3, 32, 32), texts, grounding


@pytest.mark.parametrize("lexemes", FORMS)
def test_a_text_of_its_own_is_encoded_as_the_model_does(clip, lexemes):
    _, texts, grounding = with_own_texts()
    vectors = harmoclip.harmonize(clip, lexemes=lexemes).encode_phrases(texts, grounding)
    assert torch.equal(vectors[2], vectors[3])
    if lexemes == "phrases":
        expected = F.normalize(clip.encode_text(texts[3:5]), dim=-1)
        torch.testing.assert_close(vectors[1:3], expected)


@pytest.mark.parametrize("lexemes", FORMS)
def test_the_global_term_sees_captions_alone(clip, lexemes):
    images, texts, grounding = with_own_texts()
    harmo = harmoclip.harmonize(clip, lexemes=lexemes)
    losses = harmo(images, texts, grounding)
    other = texts.clone()
    other[1] = random_texts(1)  # the row of the image without a caption is not read
    torch.testing.assert_close(harmo(images, other, grounding), losses)
    kept = torch.tensor([0, 2])
    expected = harmo(images[kept], texts[kept], Grounding.empty())["global_contrastive_loss"]
    torch.testing.assert_close(losses["global_contrastive_loss"], expected)
    losses["loss"].backward()
    assert clip.visual.proj.grad.abs().sum() > 0


def test_equal_texts_are_encoded_once_and_not_with_the_captions(clip, monkeypatch):
    images, texts, grounding = with_own_texts()
    harmo = harmoclip.harmonize(clip)
    rows = []
    encode_text = clip.encode_text
    monkeypatch.setattr(clip, "encode_text", lambda ids, *a, **k: rows.append(len(ids)) or encode_text(ids))
    harmo(images, texts, grounding)
    assert rows == [3]
    assert len(grounding.plan.first) == 4


@pytest.mark.parametrize("lexemes", FORMS)
def test_own_loop_gives_the_same_region_loss(clip, lexemes):
    images, texts, grounding = with_own_texts()
    harmo = harmoclip.harmonize(clip, lexemes=lexemes, weights={"hard_negative": 0.5})
    losses = harmo(images, texts, grounding)
    with harmo.capture() as captured:
        clip(images, texts)
    expected = losses["loss"] - losses["global_contrastive_loss"]
    torch.testing.assert_close(harmo.region_loss(captured, grounding), expected)
    if lexemes == "phrases":
        with harmo.capture() as captured:
            clip(images, texts[:3])
        torch.testing.assert_close(harmo.region_loss(captured, grounding, texts), expected)


def test_negatives_can_stay_out_of_the_rows(clip):
    images, texts, grounding = with_own_texts()
    harmo = harmoclip.harmonize(clip, row_negatives=False, weights={"hard_negative": 1.0})
    losses = harmo(images, texts, grounding)
    without = harmo(images, texts, grounding.replace(negatives=None))
    torch.testing.assert_close(losses["lexeme_region_loss"], without["lexeme_region_loss"])
    assert without["hard_negative_loss"] == 0 < losses["hard_negative_loss"]
    joined = harmoclip.harmonize(clip)(images, texts, grounding)
    assert joined["lexeme_region_loss"] > losses["lexeme_region_loss"]


@pytest.mark.parametrize("lexemes", FORMS)
def test_further_captions_join_one_contrast(clip, lexemes):
    images, texts, grounding = with_own_texts()
    texts = torch.cat([texts, random_texts(3)])
    more = torch.tensor([[6, -1], [7, 3], [8, 4]])
    harmo = harmoclip.harmonize(clip, lexemes=lexemes)
    loss = harmo(images, texts, grounding.replace(more_captions=more))["global_contrastive_loss"]
    vectors = clip.encode_text(texts)[torch.tensor([[0, 6, 0], [1, 7, 3], [2, 8, 4]])]
    there = torch.tensor([[True, True, False], [False, True, True], [True, True, True]])
    loss_of_vectors = GlobalContrastiveLoss()
    expected = loss_of_vectors(clip.encode_image(images), vectors, clip.logit_scale, captioned=there)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("lexemes", FORMS)
def test_kinds_of_captions_may_have_a_global_term_each(clip, lexemes):
    images, texts, grounding = with_own_texts()
    texts = torch.cat([texts, random_texts(3)])
    more = torch.tensor([[6, -1], [7, 3], [8, 4]])
    harmo = harmoclip.harmonize(clip, lexemes=lexemes, several_captions="separate")
    loss = harmo(images, texts, grounding.replace(more_captions=more))["global_contrastive_loss"]

    def alone(rows, kept):
        return harmo(images[kept], texts[rows], Grounding.empty())["global_contrastive_loss"]

    expected = alone([0, 2], [0, 2]) + alone([6, 7, 8], [0, 1, 2]) + alone([3, 4], [1, 2])
    torch.testing.assert_close(loss, expected)


def test_nothing_but_images_and_captions_and_nothing_at_all(clip):
    images, texts, _ = with_own_texts()
    harmo = harmoclip.harmonize(clip, lexemes="both", weights={"hard_negative": 1.0})
    nobody = Grounding.empty().replace(captioned=torch.tensor([False] * 3))
    losses = harmo(images, texts[:3], nobody)
    assert all(value == 0 and value.requires_grad for value in losses.values())
    losses["loss"].backward()


# -------------------------------------------------------------------- mistakes


def test_texts_that_nothing_uses_and_phrases_of_no_text(clip):
    images, texts, grounding = with_own_texts()
    harmo = harmoclip.harmonize(clip)
    with pytest.raises(GroundingError, match=r"texts\[6\] is used by nothing"):
        harmo(images, torch.cat([texts, texts[:1]]), grounding)
    with pytest.raises(GroundingError, match="text_index reaches 5 in row 3"):
        harmo(images, texts[:5], grounding)
    more = Grounding.empty().replace(more_captions=torch.tensor([[-1], [3], [8]]))
    with pytest.raises(GroundingError, match="more_captions reaches 8 in row 2"):
        harmo(images, texts, more)
    with pytest.raises(GroundingError, match="captioned has 3 rows, but the batch has 2 images"):
        harmo(images[:2], texts[:2], Grounding.empty().replace(captioned=grounding.captioned))
    with pytest.raises(InputError, match="3 images and 2 captions"):
        harmo(images, texts[:2], Grounding.empty())


def test_negatives_that_are_right_are_named():
    _, _, grounding = with_own_texts()
    for pair in ([2, 2], [2, 3]):  # the phrase itself, and another that says the same
        with pytest.raises(GroundingError, match=rf"negatives\[1\] is \[{pair[0]}, {pair[1]}\]"):
            grounding.replace(negatives=torch.tensor([[0, 2], pair]))
    with pytest.raises(GroundingError, match=r"negatives\[0\] is \[0, 9\]"):
        grounding.replace(negatives=torch.tensor([[0, 9]]))


def test_phrases_of_a_caption_that_is_not_there():
    _, _, grounding = with_own_texts()
    with pytest.raises(GroundingError, match=r"text_index\[0\] is 0, but captioned"):
        grounding.replace(captioned=torch.tensor([False, False, True]))
    with pytest.raises(GroundingError, match=r"more_captions\[1\]"):
        grounding.replace(more_captions=torch.tensor([[-1], [-2], [0]]))


def test_collate_puts_own_texts_behind_all_captions():
    index, nothing = torch.tensor([0]), torch.empty(0, 2, dtype=torch.int64)

    def sample(text_index, more):
        spans = torch.tensor([[1, 3]] * len(text_index))
        return Grounding(
            boxes=random_boxes(1), image_index=index, spans=spans, text_index=torch.tensor(text_index),
            links=nothing, phrase_id=torch.arange(len(text_index)), image_id=index,
            captioned=torch.tensor([True]), more_captions=torch.tensor([[more]]),
            negatives=torch.tensor([[0, 0]]),
        )  # fmt: skip

    joined = Grounding.collate([sample([0, 1, 2], 3), sample([1, 0], -1), sample([1], 2)])
    assert joined.text_index.tolist() == [0, 3, 4, 6, 1, 7]
    assert joined.more_captions.tolist() == [[5], [-1], [8]]
    assert joined.negatives.tolist() == [[0, 0], [1, 3], [2, 5]]
    assert joined.captioned.tolist() == [True] * 3


def test_clean_drops_negatives_with_their_box():
    _, _, grounding = with_own_texts()
    tensors = {
        name: getattr(grounding, name)
        for name in ("image_index", "spans", "text_index", "links", "phrase_id")
    }
    boxes = grounding.boxes.clone()
    boxes[0] = torch.tensor([1.2, 0, 1.3, 1])
    cleaned, dropped = Grounding.clean(boxes, **tensors, negatives=grounding.negatives)
    assert dropped["negatives"] == [0]
    assert cleaned.negatives.tolist() == [[3, 1], [3, 2]]


def test_a_grounding_does_not_change():
    grounding = Grounding.empty()
    with pytest.raises(AttributeError, match="replace"):
        grounding.boxes = random_boxes(1)
