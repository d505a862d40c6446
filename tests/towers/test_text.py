"""Text towers of every family: tokens in context, phrases on their own, special tokens."""

import pytest
import torch
import torch.nn.functional as F

import harmoclip
from harmoclip import Grounding
from harmoclip.errors import InputError
from harmoclip.towers import find_towers
from harmoclip.towers.phrases import special_tokens, used_columns
from tests.helpers import small
from tests.helpers.passes import captured_of

pytest_plugins = ["tests.helpers.every_family"]


def spans_of(given):
    start = 0 if given.frame.start is None else 1
    spans = torch.tensor([[start + 1, start + 4], [start, start + 2], [start, start + 6], [start, start + 1]])
    return Grounding.empty().replace(
        spans=spans, text_index=torch.tensor([0, 1, 1, 0]), phrase_id=torch.tensor([5, 2, 9, 7])
    )


def expected_phrases(given, towers):
    g = spans_of(given)
    rows = [
        small.row(given.frame, given.texts[i, start:end].tolist())
        for (start, end), i in zip(g.spans.tolist(), g.text_index.tolist(), strict=True)
    ]
    return F.normalize(towers.encode_text(torch.tensor(rows)), dim=-1)


@pytest.mark.parametrize("told", [False, True])
def test_phrases_alone_equal_the_models_text(given, told):
    towers = find_towers(given.model.eval())
    if told:
        towers.text.tell_tokenizer(small.tokenizer(given.frame))
    elif towers.text.known_special() is None:  # a vocabulary of 100 words, and nothing else to go by
        with pytest.raises(InputError, match=r"harmonize\(model, tokenizer="):
            towers.text.encode_phrases(given.texts, spans_of(given))
        return
    alone = towers.text.encode_phrases(given.texts, spans_of(given))
    torch.testing.assert_close(
        F.normalize(alone, dim=-1), expected_phrases(given, towers), atol=1e-5, rtol=1e-4
    )


def test_no_phrases_are_no_rows_that_reach_the_tower(given):
    text = find_towers(given.model).text
    vectors = text.encode_phrases(given.texts, Grounding.empty())
    assert vectors.shape == (0, text.encode(given.texts).shape[1])
    vectors.sum().backward()
    assert text.taps().ids.module.weight.grad is not None


def test_tokens_are_in_context_and_reach_the_tower(given):
    harmo = harmoclip.harmonize(given.model)
    captured, (_, text) = captured_of(harmo, given)
    tower = harmo.towers.text
    tokens = tower.tokens(captured.text)
    assert tokens.shape[:2] == given.texts.shape
    vectors = tower.project(tokens)
    assert vectors.shape[-1] == text.shape[-1]
    (vectors[:, 2:5] * torch.randn_like(vectors[:, 2:5])).sum().backward()
    words = tower.taps().ids.module
    assert words.weight.grad.abs().sum() > 0


def test_a_pooled_token_projects_to_the_text_vector(given):
    """Where the text vector is one token's, the token's projection is that vector."""
    harmo = harmoclip.harmonize(given.model.eval())
    captured, (_, text) = captured_of(harmo, given)
    vectors = harmo.towers.text.project(harmo.towers.text.tokens(captured.text))
    if type(given.model).__name__ == "CoCa" or hasattr(getattr(harmo.towers.text, "text", None), "pooler"):
        pytest.skip("the text vector is a class token's or a mean")
    distance = (F.normalize(vectors, dim=-1) - F.normalize(text, dim=-1)[:, None]).abs().amax(-1)
    assert distance.amin(1).max() < 1e-5


@pytest.mark.parametrize("name", ["ViT-B-32", "CLIPModel", "openai-ViT", "MetaClip2Model"])
def test_captions_are_encoded_without_the_padding_that_all_share(name, given):
    """A step runs shorter rows: the same vectors and gradients."""
    harmo, run = harmoclip.harmonize(given.model.eval()), []
    words = harmo.towers.text.taps().ids.module
    handle = words.register_forward_hook(lambda module, args, output: run.append(args[0].shape[1]))
    found, _ = harmo._encode.captions(given.texts, Grounding.empty(), 2)
    assert run == [given.texts.shape[1] - 4]  # 9 words, start, end, and one place of padding
    handle.remove()
    expected = harmo.towers.encode_text(given.texts)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    gradients = [torch.autograd.grad((v * weights).sum(), words.weight) for v in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)  # sums in another order


@pytest.mark.parametrize("name", ["ViT-B-16-SigLIP", "coca_ViT-B-32", "ChineseCLIPModel", "roberta-ViT-B-32"])
def test_other_towers_and_other_devices_keep_whole_rows(name, given):
    tower = find_towers(given.model).text
    assert tower.without_padding(given.texts) is given.texts
    own = find_towers(small.small("bare-timm").model)
    run: list[int] = []
    own.model.encode_text = lambda ids: run.append(ids.shape[1])
    own.encode_captions(given.texts)
    assert run == [given.texts.shape[1]]  # a user's own way in is given whole rows
    clip, elsewhere = find_towers(small.small("ViT-B-32").model).text, given.texts.to("meta")
    assert clip.without_padding(elsewhere) is elsewhere


def test_what_all_rows_repeat_is_padding():
    assert used_columns(torch.tensor([[8, 5, 9, 9, 9], [8, 9, 9, 9, 9]])) == 3  # padded by the end token
    assert used_columns(torch.tensor([[8, 5, 9, 0, 0], [8, 5, 5, 5, 9]])) == 5
    assert used_columns(torch.tensor([[7, 7, 7]])) == 1
    assert used_columns(torch.empty(0, 5, dtype=torch.int64)) == 1


@pytest.mark.parametrize("frame", [small.Frame(98, 99, 0), small.Frame(None, 1, 1), small.Frame(98, None, 0)])
def test_special_tokens_are_read_off_a_tokenizer(frame):
    found = special_tokens(small.tokenizer(frame))
    assert found.start == (frame.start is not None)
    assert found.end == (frame.pad if frame.end is None else frame.end)
    assert found.pad == frame.pad


def test_a_tokenizer_that_does_not_pad_is_a_mistake():
    with pytest.raises(InputError, match="one length"):
        special_tokens(lambda texts: torch.tensor([[5] * (len(texts[0]) + 2)]))
