"""Photographs in one call: boxes named, texts found, from every kind of image."""

import json

import numpy as np
import pytest
import torch
from open_clip.model import CLIP
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from harmoclip import cli, harmonize
from harmoclip.errors import DataError, EvaluationError, InputError
from harmoclip.images import to_image
from harmoclip.models import LoadedModel
from harmoclip.prompts import sentences
from harmoclip.windows import Windows
from tests.helpers.small_world import preprocess, tokenizer
from tests.helpers.tiny_clips import small_config

NAMES = ["a red hat", "dog", "old_car"]


@pytest.fixture
def harmo():
    return harmonize(LoadedModel(CLIP(**small_config()), preprocess, tokenizer, "small"))


@pytest.fixture
def photo():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8))


@pytest.fixture
def colors():
    """A model whose patch vectors are the colors of the patches, and whose texts are colors."""
    return Colors()


class Colors(nn.Module):
    """`red`, `green` and `blue` are the axes of its joint space."""

    def __init__(self):
        super().__init__()
        self.towers, self.weight = self, nn.Parameter(torch.ones(()))
        self.logit_scale = torch.tensor(3.0)

    @staticmethod
    def tokenizer(texts):
        return torch.tensor([["red", "green", "blue"].index(text) for text in texts])

    @staticmethod
    def preprocess(image):
        return torch.from_numpy(np.asarray(image.resize((32, 32)), dtype=np.float32) / 255).permute(2, 0, 1)

    def encode_text(self, ids):
        return torch.eye(3)[ids]

    def encode_dense(self, images):
        return nn.functional.normalize(nn.functional.avg_pool2d(images, 8).permute(0, 2, 3, 1) + 1e-6, dim=-1)


def test_labels_are_the_cosines_of_the_models_own_vectors(harmo, photo):
    boxes = torch.tensor([[0.1, 0.2, 0.5, 0.9], [0.5, 0.0, 1.0, 1.0]])
    found = harmo.label(photo, boxes, NAMES)
    harmo.eval()
    vectors = harmo.encode_regions(preprocess(photo)[None], [boxes]).double()
    texts = torch.cat([harmo.model.encode_text(tokenizer(sentences(name, "photo"))) for name in NAMES])
    cosines = vectors @ nn.functional.normalize(texts.double(), dim=1).T
    shares = (cosines * harmo.model.logit_scale.exp()).softmax(1)
    for label, cosine, share in zip(found, cosines.tolist(), shares.tolist(), strict=True):
        assert label.cosines == pytest.approx(dict(zip(NAMES, cosine, strict=True)), abs=1e-5)
        assert label.scores == pytest.approx(dict(zip(NAMES, share, strict=True)), abs=1e-5)
        assert label.name == max(label.scores, key=label.scores.get) == next(iter(label.scores))
        assert str(label) == f"{label.name} {label.score:.0%}"
        assert label.name in label._repr_html_()


def test_units_and_kinds_of_boxes_and_images_agree(harmo, photo, tmp_path):
    photo.save(tmp_path / "photo.png")
    pixels = [[9, 8, 45, 36]]
    expected = harmo.label(photo, torch.tensor([[0.1, 0.2, 0.5, 0.9]]), NAMES)[0].cosines
    array = np.asarray(photo)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    files = [tmp_path / "photo.png", str(tmp_path / "photo.png")]
    images = [*files, array, array / 255, np.flip(array, 1)[:, ::-1], tensor, photo.convert("RGBA")]
    for image in images:
        for boxes in (pixels, np.array(pixels), torch.tensor(pixels)):
            found = harmo.label(image, boxes, NAMES, unit="pixel")
            assert found[0].cosines == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"boxes": [[9, 8, 45, 36]]}, "unit='pixel'"),
        ({"boxes": [[0.1, 0.2, 0.5, 0.9]], "unit": "pixel"}, "fractions of the image"),
        ({"unit": "pixels"}, "'fraction' or 'pixel'"),
        ({"boxes": [[0.5, 0.2, 0.1, 0.9]]}, r"boxes\[0\]"),
        ({"boxes": [["a", 0, 1, 1]]}, "4 numbers"),
        ({"names": []}, "a list of texts"),
        ({"names": "dog"}, "a list of texts"),
        ({"names": ["dog", "dog"]}, "'dog' twice"),
        ({"names": ["dog", " "]}, "texts with words"),
        ({"prompts": "photos"}, "expected name, photo"),
        ({"image": np.zeros((4, 4, 5), np.uint8)}, r"ndarray of shape \[4, 4, 5\]"),
        ({"image": torch.randn(3, 4, 4)}, "before|values from"),
        ({"image": torch.zeros(1, 3, 4, 4)}, r"shape \[1, 3, 4, 4\]"),
        ({"image": np.zeros((4, 4), np.int64)}, "int64"),
        ({"image": None}, "NoneType"),
    ],
)
def test_mistakes_are_named(harmo, photo, arguments, message):
    given = {"image": photo, "boxes": [[0.1, 0.2, 0.5, 0.9]], "names": NAMES, **arguments}
    with pytest.raises(InputError, match=message):
        harmo.label(**given)


def test_files_that_are_no_images_are_named(harmo, tmp_path):
    with pytest.raises(DataError, match=r"none\.jpg does not exist"):
        harmo.heatmap(tmp_path / "none.jpg", "a dog")


def test_no_boxes_have_no_labels(harmo, photo):
    assert harmo.label(photo, torch.empty(0, 4), NAMES) == []


def test_nan_is_no_score(harmo, photo):
    with torch.no_grad():
        harmo.model.logit_scale.fill_(1.0)
        next(harmo.model.visual.parameters()).fill_(float("nan"))
    with pytest.raises(EvaluationError, match="not finite"):
        harmo.label(photo, [[0.1, 0.2, 0.5, 0.9]], NAMES)
    with pytest.raises(EvaluationError, match="not finite"):
        harmo.heatmap(photo, "a dog")


@pytest.mark.parametrize("size", [(64, 64), (200, 64), (64, 200), (33, 32), (500, 40)])
def test_heat_is_where_the_thing_is_on_photographs_of_any_shape(colors, size):
    from harmoclip.photographs import heatmap

    width, height = size
    image = Image.new("RGB", size, (0, 0, 255))
    left, top = width // 2, height // 2
    image.paste((255, 0, 0), (left, top, width, height))
    maps = heatmap(colors, image, ["red", "blue"])
    assert maps.shape == (2, height, width)
    expected = torch.zeros(height, width, dtype=torch.bool)
    expected[top:, left:] = True
    wrong = (maps[0] > maps[1]) != expected
    assert wrong.float().mean() < 0.15
    edge = min(size) // 6
    assert maps[0, top + edge :, left + edge :].min() > maps[0, : top - edge, : left - edge].max()


def test_finer_windows_find_small_things(colors):
    from harmoclip.photographs import heatmap

    image = Image.new("RGB", (256, 256), (0, 0, 255))
    image.paste((255, 0, 0), (96, 64, 112, 80))
    coarse, fine = (heatmap(colors, image, "red", windows=Windows(side)) for side in (32, 256))
    assert fine.shape == coarse.shape == (256, 256)
    assert fine.max() > 0.9 > coarse.max()
    row, column = divmod(int(fine.argmax()), 256)
    assert 64 <= row < 80
    assert 96 <= column < 112


def test_one_text_is_one_map_and_the_model_stays_as_it_was(harmo, photo):
    harmo.train()
    harmo.model.visual.ln_post.eval()
    one, several = harmo.heatmap(photo, "a dog"), harmo.heatmap(photo, ["a dog", "a cat"])
    torch.testing.assert_close(several[0], one)
    assert one.shape == (40, 90)
    assert not one.requires_grad
    assert harmo.training
    assert harmo.model.transformer.training
    assert not harmo.model.visual.ln_post.training


def test_files_are_seen_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert to_image(tmp_path / "turned.jpg").size == (20, 30)


def test_articles_are_said_once():
    assert sentences("a red hat", "photo") == ["a photo of a red hat."]
    assert sentences("An apple", "photo") == ["a photo of an apple."]
    assert sentences("theatre", "photo") == ["a photo of a theatre."]


# ---------------------------------------------------------------------- the commands


@pytest.fixture
def command(harmo, photo, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "harmoclip.models.load_model", lambda *_, **__: LoadedModel(harmo.model, preprocess, tokenizer, "")
    )
    monkeypatch.chdir(tmp_path)
    photo.save("photo.png")

    def run(*arguments, stdin=None):
        return CliRunner().invoke(cli.app, list(arguments), input=stdin)

    return run


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("[[9, 8, 45, 36]]", ["--unit", "pixel"]),
        ('{"boxes": [[0.1, 0.2, 0.5, 0.9]]}', []),
        ("0.1, 0.2, 0.5, 0.9\n", []),
        ("9 8 36 28\n", ["--unit", "pixel", "--box-format", "xywh"]),
    ],
)
def test_label_command(command, harmo, photo, tmp_path, text, options):
    result = command(
        "label", "photo.png", "--boxes", "-", "--names", ",".join(NAMES), "--json", *options, stdin=text
    )
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["boxes"]
    assert row["cosines"] == pytest.approx(
        harmo.label(photo, [[0.1, 0.2, 0.5, 0.9]], NAMES)[0].cosines, abs=1e-5
    )
    assert to_image(tmp_path / "photo.labels.png").width > 90


def test_label_command_reads_files_and_prints(command, tmp_path):
    (tmp_path / "boxes.json").write_text("[[0.1, 0.2, 0.5, 0.9]]")
    (tmp_path / "names.txt").write_text("dog\ncat\n")
    result = command("label", "photo.png", "--boxes", "boxes.json", "--names", "names.txt", "--out", "x.png")
    assert "box 0: " in result.stdout
    assert (tmp_path / "x.png").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "holds no boxes"),
        ("1 2 x 4", "line 1"),
        ("[[9, 8, 45, 36]]", "unit"),
        ("[[0.5, 0.5, 0.5, 0.9]]", "no area"),
        ("[[0.5, 0.5, 0.1, 0.1]]", "xywh"),
        ("[[0.5, 0.5, 0.9]]", "4 numbers"),
    ],
)
def test_label_command_names_what_is_wrong(command, text, message):
    result = command("label", "photo.png", "--boxes", "-", "--names", "dog,cat", stdin=text)
    assert isinstance(result.exception, DataError)
    assert message in str(result.exception)


def test_label_command_takes_more_names_than_a_path_may_be_long():
    from harmoclip.cli.label import read_names

    names = [f"a dog of the kind {i}" for i in range(60)]
    assert read_names(",".join(names)) == names


def test_boxes_that_are_a_folder_are_told(command, tmp_path):
    result = command("label", "photo.png", "--boxes", str(tmp_path), "--names", "dog,cat")
    assert isinstance(result.exception, DataError)


def test_heatmap_command(command, harmo, photo, tmp_path):
    result = command("heatmap", "photo.png", "a red hat", "a dog", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["size"] == [90, 40]
    expected = harmo.heatmap(photo, ["a red hat", "a dog"])
    for seen, map_ in zip(told["texts"], expected, strict=True):
        assert seen["highest"] == pytest.approx(map_.max().item(), abs=1e-6)
        x, y = seen["most_similar_pixel"]
        assert map_[y, x] == map_.max()
    assert to_image(tmp_path / "photo.heatmap.png").width > 90
    plain = command("heatmap", "photo.png", "a dog", "--short-side", "64")
    assert "a dog: cosine" in plain.stdout
