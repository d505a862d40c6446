"""A harmonized model knows, or is told, its tokenizer."""

import copy
import sys

import open_clip
import pytest
import torch
from open_clip.model import CLIP, CustomTextCLIP

import harmoclip
from harmoclip.data import Collator
from harmoclip.errors import InputError
from harmoclip.tokenizers import HfTokenizer
from tests.helpers import small

TEXTS = ["A red dog & a cat.", "", "many words " * 40]
CLIPS_ROWS = {"": [98, 2, 1, 1, 1, 96], "a": [98, 50, 2, 1, 1, 96]}  # open_clip's mode "clips"
LEFT_ROWS = {"": [1, 1, 1, 98, 2], "a": [1, 1, 98, 50, 2]}


def clip_config():
    config = small._shrink(small._config("ViT-B-32"))
    return {**config, "text_cfg": {**config["text_cfg"], "vocab_size": 49408}}


@pytest.mark.parametrize("family", [CLIP, CustomTextCLIP])
def test_clips_own_vocabulary_is_known(family):
    harmo = harmoclip.harmonize(family(**clip_config()))
    expected = open_clip.get_tokenizer("ViT-B-32", context_length=small.LENGTH)(TEXTS)
    assert torch.equal(harmo.tokenizer(TEXTS), expected)
    assert harmo.tokenizer is harmo.tokenizer
    assert Collator(harmo.tokenizer).tokenizer is harmo.tokenizer


def test_openais_model_is_known():
    given = small.small("openai-ViT")
    clip = sys.modules["clip"]
    given.model.token_embedding = torch.nn.Embedding(49408, 64)
    harmo = harmoclip.harmonize(given.model)
    expected = clip.clip.tokenize(TEXTS[:2], context_length=small.LENGTH)
    assert torch.equal(harmo.tokenizer(TEXTS[:2]), expected)


@pytest.mark.parametrize("name", ["ViT-B-16-SigLIP", "ViT-B-32", "CLIPModel", "roberta-ViT-B-32"])
def test_a_model_that_names_none_says_what_to_do(name):
    harmo = harmoclip.harmonize(small.small(name).model)  # a vocabulary of 100
    with pytest.raises(InputError, match=r"harmonize\(model, tokenizer="):
        _ = harmo.tokenizer


def test_a_tokenizer_is_told():
    given = small.small("ViT-B-16-SigLIP")
    tokenizer = small.tokenizer(given.frame)
    harmo = harmoclip.harmonize(given.model, tokenizer=tokenizer)
    assert harmo.tokenizer is tokenizer
    assert harmo.towers.text.special == (0, 1, 1)
    assert copy.deepcopy(harmo).tokenizer(["dog"]).tolist() == tokenizer(["dog"]).tolist()


def test_a_tokenizer_of_transformers_is_made_to_pad():
    given = small.small("CLIPModel")
    harmo = harmoclip.harmonize(given.model, tokenizer=small.hugging_face_tokenizer())
    assert harmo.tokenizer(["a red dog"]).tolist() == [[98, 2, 4, 3, 99] + [0] * 11]
    assert harmo.towers.text.special == (1, 99, 0)


def test_a_hugging_face_model_finds_the_tokenizer_beside_its_weights(tmp_path):
    import transformers

    given = small.small("CLIPModel")
    given.model.save_pretrained(tmp_path)
    model = transformers.CLIPModel.from_pretrained(tmp_path)
    with pytest.raises(InputError, match="cannot load a tokenizer"):
        _ = harmoclip.harmonize(model).tokenizer
    small.hugging_face_tokenizer().save_pretrained(tmp_path)
    found = harmoclip.harmonize(model).tokenizer
    assert isinstance(found, HfTokenizer)
    assert found(["a red dog"]).tolist() == [[98, 2, 4, 3, 99] + [0] * 11]
    assert found(["dog " * 40]).shape == (1, 16)


def test_open_clips_hugging_face_tower_names_its_tokenizer(tmp_path):
    small.hugging_face_tokenizer().save_pretrained(tmp_path)
    given = small.small("roberta-ViT-B-32")
    given.model.text.config.name_or_path = str(tmp_path)
    found = harmoclip.harmonize(given.model).tokenizer
    assert found(["a red dog"])[0, :5].tolist() == [98, 2, 4, 3, 99]
    assert found(["a red dog"]).shape == (1, 77)


def test_a_wrong_tokenizer_leaves_no_trace():
    given = small.small("ViT-B-32")
    for rows in ({"": [98, 99], "a": [98, 50, 99]}, LEFT_ROWS):
        with pytest.raises(InputError, match="padded at the right"):
            harmoclip.harmonize(
                given.model, tokenizer=lambda texts, rows=rows: torch.tensor([rows[texts[0]]])
            )
    assert not any(module._forward_hooks for module in given.model.modules())


def test_a_class_token_in_the_last_place_is_no_padding():
    found = harmoclip.towers.phrases.special_tokens(lambda texts: torch.tensor([CLIPS_ROWS[texts[0]]]))
    assert found == (1, 2, 1)
