"""Longer texts: positions stretched as Long-CLIP does, everything else following, and undone."""

import copy
import json
import sys

import open_clip
import pytest
import torch
from open_clip.model import CLIP, CustomTextCLIP

import harmoclip
from harmoclip.errors import InputError, UnsupportedModelError
from harmoclip.evaluate.encoder import Encoder
from harmoclip.stretch import stretched_table
from harmoclip.tokenizers import HfTokenizer, with_length
from harmoclip.towers import find_towers
from tests.helpers import small
from tests.helpers.tiny_clips import OPEN_CLIP, write_hugging_face

pytest_plugins = ["tests.helpers.every_family"]

KEPT, LENGTH = 12, 37
CAUSAL = ("ViT-B-32", "RN50", "CLIPModel", "MetaClip2Model", "openai-ViT", "bare-timm")
PARTS = ("CLIPTextModelWithProjection", "MetaClip2TextModelWithProjection")
OTHERS = (
    "ViT-B-16-SigLIP",
    "SiglipModel",
    "coca_ViT-B-32",
    "roberta-ViT-B-32",
    "ChineseCLIPModel",
    "AltCLIPModel",
)


def long_clip(table):
    """The rows that Long-CLIP's own loop makes of 77: 20 kept, 57 times 4 behind them."""
    new = torch.zeros(4 * len(table) - 3 * 20, table.shape[1])
    new[:20] = table[:20]
    for i in range(20, len(table)):
        step = (table[i + 1] - table[i] if i + 1 < len(table) else table[i] - table[i - 1]) / 4
        for j in range(4):
            new[20 + 4 * (i - 20) + j] = table[i] + j * step
    return new


def test_the_table_is_long_clips():
    table = torch.randn(77, 8)
    torch.testing.assert_close(stretched_table(table, 248, 20), long_clip(table))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_kept_positions_keep_their_bits_and_a_line_stays_one(dtype):
    table = torch.randn(16, 4, dtype=dtype)
    table[10:] = torch.arange(6)[:, None]
    longer = stretched_table(table, 22, 10)
    assert longer.dtype == dtype
    assert torch.equal(longer[:10], table[:10])
    assert torch.equal(longer[10:], (torch.arange(12)[:, None] / 2).expand(12, 4).to(dtype))


def padded_to(ids, frame, length):
    return torch.cat([ids, ids.new_full((len(ids), length - ids.shape[1]), frame.pad)], 1)


@pytest.mark.parametrize("name", [*CAUSAL, *PARTS])
def test_short_texts_keep_their_vectors_and_undo_leaves_no_trace(name, given):
    model = given.model.eval() if name in CAUSAL else small.part(name, given.model).eval()
    state, vectors = copy.deepcopy(model.state_dict()), find_towers(model).encode_text(given.texts)
    stretched = harmoclip.stretch_context(model, LENGTH, kept=KEPT)
    assert stretched.context_length == find_towers(model).text.context_length == LENGTH
    longer = padded_to(given.texts, given.frame, LENGTH)
    torch.testing.assert_close(find_towers(model).encode_text(longer), vectors, rtol=1e-5, atol=1e-6)
    stretched.undo()
    stretched.undo()
    assert all(torch.equal(model.state_dict()[key], value) for key, value in state.items())
    assert torch.equal(find_towers(model).encode_text(given.texts), vectors)


@pytest.mark.parametrize("name", CAUSAL)
def test_later_words_count_and_learn(name, given):
    model, rows = given.model.eval(), []
    harmoclip.stretch_context(model, LENGTH, kept=KEPT)
    for word in (20, 21):
        rows.append(small.row(given.frame, [50] * 13)[:14] + [50] * 14 + [word, given.frame.end])
    ids = padded_to(torch.tensor(rows), given.frame, LENGTH)
    vectors = find_towers(model).encode_text(ids)
    assert (vectors[0] - vectors[1]).abs().max() > 1e-4
    vectors.sum().backward()
    grad = find_towers(model).text.positions.grad
    assert grad.shape[0] == LENGTH
    assert grad[26].abs().sum() > 0


@pytest.mark.parametrize("name", CAUSAL)
def test_a_stretched_model_harmonizes(name, given):
    harmoclip.stretch_context(given.model, LENGTH, kept=KEPT)
    batch = copy.copy(given.texts)
    texts = padded_to(batch, given.frame, LENGTH)
    harmo = harmoclip.harmonize(given.model, lexemes="both")
    one = torch.zeros(2, dtype=torch.int64)
    pairs = torch.tensor([[0, 0], [1, 1]])
    grounding = harmoclip.Grounding(
        torch.tensor([[0.1, 0.1, 0.6, 0.6]]).repeat(2, 1), torch.tensor([0, 1]),
        torch.tensor([[1, 3], [2, 6]]), torch.tensor([0, 1]), pairs, torch.tensor([5, 6]), one + pairs[:, 0],
    )  # fmt: skip
    loss = harmo(given.images, texts, grounding)["loss"]
    loss.backward()
    assert loss.isfinite()
    with pytest.raises(InputError, match="stretch its context first"):
        harmoclip.stretch_context(given.model, 60)
    with pytest.raises(InputError, match=f"rows of {LENGTH + 1} tokens"):
        harmo(given.images, padded_to(texts, given.frame, LENGTH + 1), grounding)


@pytest.mark.parametrize("name", OTHERS)
def test_others_say_why_not(name, given):
    with pytest.raises(UnsupportedModelError, match="cannot be stretched"):
        harmoclip.stretch_context(given.model, 600)


def test_impossible_lengths_and_wrapped_models():
    model = small.small("ViT-B-32").model
    with pytest.raises(InputError, match="length is 16: expected more than the 16"):
        harmoclip.stretch_context(model, 16)
    with pytest.raises(InputError, match="kept is 20: expected 0 to 14"):
        harmoclip.stretch_context(model, 40)
    with pytest.raises(InputError, match="wrapped by OptimizedModule"):
        harmoclip.stretch_context(torch.compile(model), 40, kept=4)
    stretched = harmoclip.stretch_context(model, 40, kept=4)
    with harmoclip.harmonize(model), pytest.raises(InputError, match="undo that after"):
        stretched.undo()
    stretched.undo()


def clip_model(family):
    text = {**OPEN_CLIP["text_cfg"]}
    return family(**{**OPEN_CLIP, "text_cfg": text})


@pytest.mark.parametrize("family", [CLIP, CustomTextCLIP])
def test_the_tokenizer_follows_and_the_old_one_is_refused(family):
    model, old = clip_model(family), open_clip.SimpleTokenizer(context_length=32)
    stretched = harmoclip.stretch_context(model, 80)
    assert stretched.tokenizer(["word " * 70]).shape == (1, 80)
    harmo = harmoclip.harmonize(model, tokenizer=stretched.tokenizer)
    assert harmoclip.data.Collator(harmo.tokenizer).tokenizer(["a dog"]).shape == (1, 80)
    harmo.remove()
    assert harmoclip.harmonize(model).tokenizer(["a dog"]).shape == (1, 80)
    with pytest.raises(InputError, match="gives rows of 32 tokens, and the model reads rows of 80"):
        harmoclip.harmonize(model, tokenizer=old)
    encoder = Encoder(harmoclip.harmonize(model), torch.as_tensor, old, ready=True)
    with pytest.raises(InputError, match="texts are rows of 32 tokens, and the model reads rows of 80"):
        encoder.text_vectors(["a dog"])
    new, fresh = stretched.tokenizer, clip_model(family)
    with pytest.raises(InputError, match="gives rows of 80 tokens, and the model reads rows of 32"):
        harmoclip.harmonize(fresh, tokenizer=new)
    assert old(["a"]).shape == (1, 32)


def test_tokenizers_of_every_library_take_another_length():
    small.small("openai-ViT")
    tokenize = sys.modules["clip"].tokenize
    raw = small.hugging_face_tokenizer()
    for tokenizer in (tokenize, open_clip.tokenize, open_clip.SimpleTokenizer(), raw, HfTokenizer(raw, 9)):
        assert with_length(tokenizer, 60)(["a red dog"]).shape == (1, 60)
    with pytest.raises(InputError, match="without a context_length"):
        with_length(lambda texts: None, 60)


def test_stock_open_clip_loads_what_was_stretched(tmp_path):
    from safetensors.torch import save_file

    model = clip_model(CLIP).eval()
    tokenizer = harmoclip.stretch_context(model, 80).tokenizer
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    config = {**OPEN_CLIP, "text_cfg": {**OPEN_CLIP["text_cfg"], "context_length": model.context_length}}
    config = {"model_cfg": config, "preprocess_cfg": {}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    pytest.importorskip("open_clip", minversion="3")
    again = open_clip.create_model(f"local-dir:{tmp_path}").eval()
    texts = ["a dog", "word " * 70]
    rows = open_clip.get_tokenizer(f"local-dir:{tmp_path}")(texts)
    assert torch.equal(rows, tokenizer(texts))
    assert torch.equal(again.encode_text(rows), model.encode_text(rows))


def test_stock_transformers_loads_what_was_stretched(tmp_path):
    import transformers

    model = transformers.CLIPModel.from_pretrained(write_hugging_face(tmp_path / "old")).eval()
    stretched = harmoclip.stretch_context(model, 80)
    tokenizer = stretched.tokenizer
    model.save_pretrained(tmp_path / "new")
    tokenizer.tokenizer.save_pretrained(tmp_path / "new")
    transformers.AutoImageProcessor.from_pretrained(tmp_path / "old").save_pretrained(tmp_path / "new")
    again = transformers.CLIPModel.from_pretrained(tmp_path / "new").eval()
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "new")
    texts = ["a dog", "word " * 70]
    rows = theirs(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    assert torch.equal(rows, tokenizer(texts))
    assert rows.shape == (2, 80)
    encode = [find_towers(m).encode_text(rows) for m in (model, again)]
    assert torch.equal(*encode)
    loaded = harmoclip.load_model(str(tmp_path / "new"))
    assert loaded.tokenizer(["a"]).shape == (1, 80)
    assert harmoclip.harmonize(loaded.model, tokenizer=loaded.tokenizer).tokenizer(["a"]).shape == (1, 80)
    with pytest.raises(InputError, match="rows of 32 tokens"):
        harmoclip.harmonize(again, tokenizer=transformers.AutoTokenizer.from_pretrained(tmp_path / "old"))
