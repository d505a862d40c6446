"""Runs on texts longer than the model was built for."""

import open_clip
import pytest
import torch

from harmoclip import load_model
from harmoclip.errors import InputError, UnsupportedModelError
from harmoclip.towers import find_towers
from harmoclip.train import train
from harmoclip.train.loop import Run
from tests.helpers.tiny_clips import CONTEXT_LENGTH, OPEN_CLIP, write_hugging_face, write_open_clip

pytest_plugins = ["tests.helpers.small_runs"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

LONG = 80
TEXTS = ["a dog", "a very small red square " * 12]


def stock_open_clip(folder):
    name = f"local-dir:{folder}"
    return open_clip.create_model(name).eval(), open_clip.get_tokenizer(name)(TEXTS)


def stock_transformers(folder):
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = tokenizer(TEXTS, padding="max_length", truncation=True, return_tensors="pt")
    return transformers.AutoModel.from_pretrained(folder).eval(), rows["input_ids"]


@pytest.mark.parametrize("library", ["open_clip", "transformers"])
def test_a_run_with_longer_texts_is_loaded_by_stock_libraries(library, config, tmp_path):
    more, stock = [], stock_open_clip
    if library == "transformers":
        more, stock = [f"model.name={write_hugging_face(tmp_path / 'tiny')}"], stock_transformers
    run = Run(config(tmp_path / "run", f"model.context_length={LONG}", "steps=2", *more))
    assert next(iter(run.batches)).batch.texts.shape[1] == LONG
    run.train()
    model, rows = stock(tmp_path / "run/final")
    assert torch.equal(rows, run.loaded.tokenizer(TEXTS))
    assert (rows[1] != rows[1, -1]).sum() > CONTEXT_LENGTH
    ours = find_towers(run.loaded.model.eval())
    with torch.no_grad():
        torch.testing.assert_close(
            find_towers(model).encode_text(rows), ours.encode_text(rows), rtol=0, atol=0
        )
    again = load_model(str(tmp_path / "run/final"))
    assert torch.equal(again.tokenizer(TEXTS), rows)


def test_a_stretched_run_goes_on_and_its_model_can_be_trained_again(config, tmp_path):
    chosen = (f"model.context_length={LONG}", "checkpoint.every=2")
    whole = train(config(tmp_path / "whole", *chosen, "steps=4", "optimizer.schedule=constant"))
    train(config(tmp_path / "part", *chosen, "steps=2", "optimizer.schedule=constant"))
    assert train(config(tmp_path / "part", *chosen, "steps=4", "optimizer.schedule=constant")) == whole
    with pytest.raises(InputError, match=r"another configuration: model\.context_length"):
        train(config(tmp_path / "part", "checkpoint.every=2", "steps=4", "optimizer.schedule=constant"))
    final = f"model.name={tmp_path / 'whole/final'}"
    train(config(tmp_path / "same", final, f"model.context_length={LONG}", "steps=1"))
    with pytest.raises(InputError, match=r"model\.context_length is 40: .* more than the 80 positions"):
        train(config(tmp_path / "shorter", final, "model.context_length=40"))


def test_a_text_tower_that_cannot_be_stretched_says_so(config, tmp_path, monkeypatch):
    monkeypatch.setitem(OPEN_CLIP["text_cfg"], "no_causal_mask", True)
    name = f"model.name={write_open_clip(tmp_path / 'both-ways')}"
    with pytest.raises(UnsupportedModelError, match=r"model\.context_length is 80: .* cannot be stretched"):
        train(config(tmp_path / "run", name, f"model.context_length={LONG}"))
