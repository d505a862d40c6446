"""The tokens around a text come from the tokenizer or the model, never from the texts of a batch."""

import copy

import pytest
import torch
import torch.nn.functional as F
from open_clip.model import CLIP, CustomTextCLIP

import harmoclip
from harmoclip import Grounding
from harmoclip.errors import InputError
from harmoclip.towers import find_towers
from tests.helpers import small

pytest_plugins = ["tests.helpers.every_family"]

PHRASE = Grounding.empty().replace(
    spans=torch.tensor([[1, 3]]), text_index=torch.tensor([0]), phrase_id=torch.tensor([7])
)


def siglip(name, pad):
    """A model that pools at its last token, and rows of its tokenizer: with padding, full, cut."""
    transformers = pytest.importorskip("transformers")
    if not hasattr(transformers, name):
        pytest.skip(f"the installed transformers has no {name}")
    given = small.small(name)
    rows = {
        "padded": [5, 7, 9, 1] + [pad] * 12,
        "full": [5, 7, 9, *range(20, 32), 1],
        "cut": [5, 7, 9, *range(20, 33)],
    }
    own = torch.tensor([[7, 9, 1] + [pad] * 13])
    return given.model.eval(), rows, own


BATCHES = [["padded"], ["full"], ["cut"], ["full", "padded"], ["cut", "full"], ["padded", "cut"]]


@pytest.mark.parametrize("batch", BATCHES, ids="-".join)
@pytest.mark.parametrize(("name", "pad"), [("SiglipModel", 1), ("Siglip2Model", 0)])
def test_siglips_phrases_are_the_models_own_whatever_the_batch(name, pad, batch):
    model, rows, own = siglip(name, pad)
    harmo = harmoclip.harmonize(model)
    found = harmo.encode_phrases(torch.tensor([rows[kind] for kind in batch]), PHRASE)
    expected = F.normalize(harmo.towers.encode_text(own), dim=-1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_siglip_2s_configuration_says_the_wrong_padding():
    """Its default is that of SigLIP, whose tokenizer pads with 1."""
    model, rows, own = siglip("Siglip2Model", 0)
    model.config.text_config.pad_token_id, model.config.text_config.eos_token_id = 1, 49407
    found = harmoclip.harmonize(model).encode_phrases(torch.tensor([rows["cut"]]), PHRASE)
    expected = F.normalize(find_towers(model).encode_text(own), dim=-1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("words", "pad"), [(32000, 1), (250000, 1), (256000, 0), (100, None)])
def test_open_clips_siglips_are_known_by_their_vocabulary(words, pad):
    config = small._shrink(small._config("ViT-B-16-SigLIP"))
    config["text_cfg"].update(vocab_size=words, width=8, heads=1)
    text = find_towers(small._open_clip(config)).text
    if pad is not None:
        assert text.special == (0, 1, pad)
        return
    with pytest.raises(InputError, match=r"harmonize\(model, tokenizer="):
        _ = text.special
    text.tell_tokenizer(small.tokenizer(small.Frame(None, 1, 0)))
    assert text.special == (0, 1, 0)


@pytest.mark.parametrize("name", ["ViT-B-16-SigLIP", "ViT-L-14-CLIPA"])
@pytest.mark.parametrize("batch", BATCHES, ids="-".join)
def test_without_a_tokenizer_a_pool_at_the_last_token_is_an_error_in_every_batch(given, batch):
    _, rows, _ = siglip(type(given.model).__name__ and "SiglipModel", 1)
    with pytest.raises(InputError, match=r"harmonize\(model, tokenizer="):
        harmoclip.harmonize(given.model).encode_phrases(torch.tensor([rows[kind] for kind in batch]), PHRASE)


def with_one_more_word(model):
    """The model with a word behind those that it had, which no tokenizer of its family knows."""
    embeddings = model.text_model.embeddings
    old = embeddings.token_embedding.weight.detach()
    embeddings.token_embedding = torch.nn.Embedding.from_pretrained(torch.cat([old, old[:1] * 2]))
    model.config.text_config.vocab_size += 1
    return model.eval()


CAPTION = torch.tensor([[98, 5, 100, 7, 8, 99] + [0] * 10])
WORD_7 = PHRASE.replace(spans=torch.tensor([[3, 4]]))


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("end", [99, 2])
def test_an_added_word_is_not_taken_for_the_end(end, told):
    """Old configurations say 2 for CLIP's end token; the model then takes the highest id of a row."""
    import transformers

    given = small.small("CLIPModel")
    config = copy.deepcopy(given.model.config)
    config.text_config.eos_token_id = end
    model = transformers.CLIPModel(config)
    with_one_more_word(model)
    tokenizer = small.tokenizer(small.CLIP_FRAME) if told else None
    harmo = harmoclip.harmonize(model, tokenizer=tokenizer)
    if end == 2 and not told:
        with pytest.raises(InputError, match=r"harmonize\(model, tokenizer="):
            harmo.encode_phrases(CAPTION, WORD_7)
        return
    own = harmo.towers.encode_text(torch.tensor([[98, 7, 99] + [0] * 13]))
    torch.testing.assert_close(
        harmo.encode_phrases(CAPTION, WORD_7), F.normalize(own, dim=-1), atol=1e-5, rtol=1e-4
    )


def test_old_configurations_with_clips_own_words_are_known():
    import transformers

    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 16}
    text = {**size, "eos_token_id": 2, "vocab_size": 49408}
    vision = {**size, "image_size": 16, "patch_size": 8}
    model = transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=vision))
    with_one_more_word(model)
    assert find_towers(model).text.special == (1, 49407, 0)


@pytest.mark.parametrize("family", [CLIP, CustomTextCLIP])
@pytest.mark.parametrize(("words", "end"), [(49408, 49407), (64000, 49407), (100, 99)])
def test_open_clips_end_token(family, words, end):
    config = small._shrink(small._config("ViT-B-32"))
    config["text_cfg"].update(vocab_size=words)
    assert find_towers(family(**config)).text.special == (1, end, 0)


def test_chinese_berts_end_token():
    import transformers

    assert find_towers(small.small("ChineseCLIPModel").model).text.special == (1, 97, 0)
    given = small.small("ChineseCLIPModel")
    config = copy.deepcopy(given.model.config)
    config.text_config.eos_token_id, config.text_config.vocab_size = None, 21128
    assert find_towers(transformers.ChineseCLIPModel(config)).text.special == (1, 102, 0)
    config.text_config.vocab_size = 100
    with pytest.raises(InputError, match=r"harmonize\(model, tokenizer="):
        _ = find_towers(transformers.ChineseCLIPModel(config)).text.special


def test_a_tokenizer_beside_the_weights_says_what_the_configuration_does_not(tmp_path):
    import transformers

    given = small.small("CLIPModel")
    config = copy.deepcopy(given.model.config)
    config.text_config.eos_token_id = 2
    transformers.CLIPModel(config).save_pretrained(tmp_path)
    small.hugging_face_tokenizer().save_pretrained(tmp_path)
    model = transformers.CLIPModel.from_pretrained(tmp_path)
    assert find_towers(model).text.special == (1, 99, 0)


@pytest.mark.parametrize("told", [False, True])
def test_phrases_do_not_depend_on_the_other_captions(given, told):
    """A caption with the highest id of all, one without an end token, and one that is full."""
    tower = find_towers(given.model.eval()).text
    if told:
        tower.tell_tokenizer(small.tokenizer(given.frame))
    elif tower.known_special() is None:
        pytest.skip("says that it has to be told")
    start = tower.special.start
    first = given.texts[:1]
    full = torch.cat([first[:, :start], torch.randint(10, 90, (1, small.LENGTH - start))], 1)
    phrase = PHRASE.replace(spans=torch.tensor([[start + 1, start + 3]]))
    alone = tower.encode_phrases(first, phrase)
    for other in (full, given.texts[1:]):
        torch.testing.assert_close(tower.encode_phrases(torch.cat([first, other]), phrase), alone)
