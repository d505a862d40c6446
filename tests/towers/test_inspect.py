"""`harmoclip inspect`, and loading by name."""

import json

import open_clip
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from harmoclip.cli.inspect import inspect
from harmoclip.errors import InputError, MissingDependencyError
from harmoclip.inspect import zoo
from harmoclip.models import load_model
from harmoclip.segment import align
from harmoclip.tokenizers import HfTokenizer
from tests.helpers import small

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(inspect)


def run(*words):
    return CliRunner().invoke(app, list(words))


def test_inspect_an_architecture_without_its_weights():
    result = run("ViT-B-32", "--json")
    seen = json.loads(result.stdout)
    assert seen["grid"] == [7, 7]
    assert seen["kinds"] == ["plain", "value", "self", "clear"]
    assert seen["default_kind"] == "value"
    assert seen["joint"] == 512
    assert seen["widths"] == [768, 512]
    assert 1.5e8 < seen["parameters"] < 1.6e8
    assert seen["taps"][0].startswith("visual.conv1, visual.transformer.resblocks.11")
    assert 0.03 < seen["work"]["value"] < 0.12
    table = run("ViT-B-32").stdout
    for words in ("OpenClipViT", "7 x 7", "image 768, text 512", "value (default)", "512 dimensions"):
        assert words in table


def test_inspect_all_counts(monkeypatch):
    monkeypatch.setattr(zoo, "names", lambda: ["ViT-B-32", "roberta-ViT-B-32"])
    result = run("--all")
    assert result.exit_code == 0
    assert "2 of 2 architectures harmonize" in result.stderr
    monkeypatch.setattr(zoo, "build", lambda name: torch.nn.Linear(2, 2))
    result = run("--all")
    assert result.exit_code == 1
    assert "0 of 2 architectures harmonize" in result.stderr


def test_one_model_or_all():
    for words in ((), ("ViT-B-32", "--all")):
        assert isinstance(run(*words).exception, InputError)


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(InputError, match="Nearest: ViT-B-16"):
        load_model("Vit-B-16")


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(InputError, match=r"config\.json"):
        load_model(str(tmp_path))


def test_weights_of_an_unknown_tag():
    with pytest.raises(InputError, match=r"no weights called 'nope': expected one of openai, .*file"):
        load_model("ViT-B-32", "nope")


@pytest.mark.parametrize("name", ["hf:openai/clip-vit-base-patch32", "hf-hub:laion/some", None])
def test_a_model_with_its_own_weights_takes_no_others(name, tmp_path):
    with pytest.raises(InputError, match="brings its own weights"):
        load_model(name or str(tmp_path), "openai")


def test_load_weights_of_a_file(tmp_path):
    model = load_model("RN50").model
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    loaded = load_model("RN50", str(tmp_path / "weights.pt"))
    torch.testing.assert_close(loaded.model.text_projection, model.text_projection, rtol=0, atol=0)


def test_load_open_clip():
    model, preprocess, tokenizer, name = load_model("RN50")
    assert preprocess(Image.new("RGB", (50, 40))).shape == (3, 224, 224)
    assert tokenizer(["a dog"]).shape == (1, 77)
    assert name == "RN50"
    assert not next(model.parameters()).is_meta


@pytest.fixture
def hugging_face_folder(tmp_path):
    """A small CLIPModel on disk, with a tokenizer of whole words and an image processor."""
    import transformers

    processor = transformers.CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    for part in (small.small("CLIPModel").model, small.hugging_face_tokenizer(), processor):
        part.save_pretrained(tmp_path)
    return tmp_path


def test_load_and_inspect_a_hugging_face_folder(hugging_face_folder):
    loaded = load_model(str(hugging_face_folder))
    assert isinstance(loaded.tokenizer, HfTokenizer)
    assert loaded.tokenizer(["a red dog"])[0].tolist() == [98, 2, 4, 3, 99] + [0] * 11
    assert loaded.preprocess(Image.new("RGB", (50, 40))).shape == (3, 32, 32)
    span = align(loaded.tokenizer)("a red dog", [(2, 9)])[0]
    assert (span.start, span.end, span.status) == (2, 4, "exact")
    seen = json.loads(run(str(hugging_face_folder), "--json").stdout)
    assert seen["image"] == "HfViT"
    assert seen["grid"] == [4, 4]
    assert seen["widths"] == [48, 48]
    assert "HfViT" in run(f"hf:{hugging_face_folder}").stdout


@pytest.fixture
def open_clip_folder(tmp_path):
    """A small open_clip model on disk."""
    config = small._shrink(small._config("RN50"))
    config["text_cfg"]["vocab_size"] = 49408
    torch.save(small._open_clip(dict(config)).state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    described = {"model_cfg": config, "preprocess_cfg": {"size": 64}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(described), encoding="utf-8")
    return tmp_path


def test_inspect_an_open_clip_folder(open_clip_folder):
    if not hasattr(open_clip.factory, "parse_model_name"):
        with pytest.raises(MissingDependencyError, match=open_clip.__version__):
            load_model(str(open_clip_folder))
        return
    seen = json.loads(run(str(open_clip_folder), "--json").stdout)
    assert seen["image"] == "ClipResNet"
    assert seen["grid"] == [2, 2]


@pytest.mark.parametrize(("architecture", "widths"), [("ViT-B-16-SigLIP", (768, 768)), ("RN50", (2048, 512))])
def test_widths(architecture, widths):
    assert zoo.run(zoo.build(architecture)).widths == widths
