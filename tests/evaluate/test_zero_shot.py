import pytest
import torch
from PIL import Image
from small_world import preprocess, small_subject

from harmoclip.errors import DataError
from harmoclip.evaluate import zero_shot


def test_folders_are_the_classes(tmp_path):
    subject = small_subject()
    for i, name in enumerate(["n01", "red_thing"]):
        (tmp_path / name).mkdir()
        for j in range(3):
            Image.new("RGB", (32, 32), (80 * i, 80 * j, 9)).save(tmp_path / name / f"{j}.png")
    (tmp_path / "class_names.txt").write_text("n01\tgreen apple\n")
    classes = subject.class_vectors(["green apple", "red thing"], "photo")
    files = sorted(tmp_path.glob("*/*.png"))
    with torch.no_grad():
        vectors = subject.harmo.model.encode_image(torch.stack([preprocess(Image.open(f)) for f in files]))
    guess = (torch.nn.functional.normalize(vectors) @ classes.T).argmax(1)
    expected = (guess == torch.tensor([0, 0, 0, 1, 1, 1])).float().mean().item()
    scores = zero_shot(subject, tmp_path, "photo")
    assert scores["zero_shot_top1"] == scores["zero_shot_macro_top1"] == pytest.approx(expected)
    assert scores["zero_shot_top5"] == 1


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="one folder a class"):
        zero_shot(small_subject(), tmp_path)
