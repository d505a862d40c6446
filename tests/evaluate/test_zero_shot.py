import pytest
import torch
from PIL import Image

from harmoclip.errors import DataError
from harmoclip.evaluate import zero_shot
from harmoclip.evaluate.zero_shot import ClassFolder
from tests.helpers.small_world import preprocess, small_encoder


def test_folders_are_the_classes(tmp_path):
    encoder = small_encoder()
    for i, name in enumerate(["n01", "red_thing"]):
        (tmp_path / name).mkdir()
        for j in range(3):
            Image.new("RGB", (32, 32), (80 * i, 80 * j, 9)).save(tmp_path / name / f"{j}.png")
    (tmp_path / "class_names.txt").write_text("n01\tgreen apple\n")
    classes = encoder.class_vectors(["green apple", "red thing"], "photo")
    files = sorted(tmp_path.glob("*/*.png"))
    with torch.no_grad():
        vectors = encoder.harmo.model.encode_image(torch.stack([preprocess(Image.open(f)) for f in files]))
    guess = (torch.nn.functional.normalize(vectors) @ classes.T).argmax(1)
    expected = (guess == torch.tensor([0, 0, 0, 1, 1, 1])).float().mean().item()
    scores = zero_shot(encoder, tmp_path, "photo")
    assert scores["zero_shot_top1"] == scores["zero_shot_macro_top1"] == pytest.approx(expected)
    assert scores["zero_shot_top5"] == 1


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="one folder a class"):
        zero_shot(small_encoder(), tmp_path)


def test_hidden_folders_are_no_classes_and_empty_ones_are_named(tmp_path):
    for name in ("cat", "dog", ".ipynb_checkpoints", "empty", "dog/.thumbnails"):
        (tmp_path / name).mkdir()
    for name in (
        "cat/a.png",
        "dog/b.png",
        "dog/._b.png",
        ".ipynb_checkpoints/a.png",
        "dog/.thumbnails/b.png",
        "c.png",
    ):
        Image.new("RGB", (32, 32), (9, 90, 9)).save(tmp_path / name)
    (tmp_path / "class_names.txt").write_text("cat\tgrey cat\nfish\tred fish\n", encoding="utf-8")
    data = ClassFolder.open(tmp_path)
    assert data.names == ["grey cat", "dog", "empty"]
    assert [path.name for path in data.files] == ["a.png", "b.png"]
    scores = zero_shot(small_encoder(), tmp_path, "name")
    assert scores["zero_shot_images"] == 2
    assert scores.metric("zero_shot_top1").chance == pytest.approx(1 / 3)
    assert [text.split(":")[0] for text in scores.left_out] == [
        "class 'empty'", "c.png", "class 'fish' of class_names.txt",
    ]  # fmt: skip


def test_a_broken_image_is_named(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a\.png"):
        zero_shot(small_encoder(), tmp_path, "name")


@pytest.mark.parametrize("folders", [["n01440764", "n01484850"], list(map(str, range(1000)))])
def test_folders_of_imagenet_have_its_names(tmp_path, folders):
    for name in folders:
        (tmp_path / name).mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / folders[0] / "a.jpg")
    names = ClassFolder.open(tmp_path).names
    assert names[0] == "tench"
    assert "great white shark" in names


def test_other_folders_keep_their_names(tmp_path):
    for name in ("0", "1"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "a.jpg")
    assert ClassFolder.open(tmp_path).names == ["0", "1"]
