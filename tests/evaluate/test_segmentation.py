"""Zero-shot segmentation on a small sample in the layouts of the releases, and against torchmetrics."""

import numpy as np
import pytest
import torch
from PIL import Image

from harmoclip.errors import DataError, EvaluationError, InputError
from harmoclip.evaluate.registry import tasks_of
from harmoclip.evaluate.segmentation import (
    IGNORED,
    Background,
    confusion_of,
    mean_iou,
    most_similar,
    pixel_scores,
    segmentation,
)
from harmoclip.evaluate.task import Request
from harmoclip.evaluate.yardsticks.segmentation import LAYOUTS, SegmentedImages
from harmoclip.evaluate.yardsticks.segmentation_names import (
    CITYSCAPES,
    COCO_OBJECT,
    COCO_STUFF,
    CONTEXT,
    VOC,
)
from harmoclip.windows import Windows
from tests.helpers.known import ColorEncoder
from tests.helpers.small_world import small_encoder


class Patches(ColorEncoder):
    """Every 8 x 8 patch of a window of 32 pixels is its mean color."""

    input_size = (32, 32)

    def dense_vectors(self, samples):
        for sample in samples:
            grid = sample.image.resize((32, 32), Image.Resampling.NEAREST)
            pixels = torch.from_numpy(np.array(grid, dtype=np.float32)).permute(2, 0, 1)[None] / 255
            mean = torch.nn.functional.avg_pool2d(pixels, 8).permute(0, 2, 3, 1)
            dense = torch.cat([mean, torch.full((1, 4, 4, 1), 0.05)], -1)
            yield [sample], torch.nn.functional.normalize(dense, dim=-1)


class TwoHalves:
    """One image, red on the left and green on the right; its labels have a mistake and pixels not asked."""

    class_names = ("crimson, red", "green", "blue")

    def __init__(self, labels):
        self._labels = labels

    def __len__(self):
        return 1

    def image(self, index):
        picture = Image.new("RGB", (64, 32), (250, 0, 0))
        picture.paste((0, 250, 0), (32, 0, 64, 32))
        return picture

    def labels(self, index):
        return self._labels


def halves():
    labels = torch.zeros(32, 64, dtype=torch.int64)
    labels[:, 32:] = 1
    return labels


def test_scores_by_hand():
    labels = halves()
    labels[:16, 32:48] = 2  # 256 pixels that the model calls green
    labels[16:, 48:] = IGNORED
    found = segmentation(Patches(), TwoHalves(labels), Windows(32), "name")
    # red 1024 of 1024; green 512 right, 256 others called green; blue never guessed
    assert found["miou"] == pytest.approx((1 + 512 / 768 + 0) / 3)
    assert found["mean_accuracy"] == pytest.approx((1 + 1 + 0) / 3)
    assert found["pixel_accuracy"] == pytest.approx((1024 + 512) / 1792)
    assert found["pixels"] == 1792


def test_a_class_that_is_nowhere_is_left_out():
    assert segmentation(Patches(), TwoHalves(halves()), Windows(32), "name")["miou"] == 1


def test_equals_torchmetrics():
    torchmetrics = pytest.importorskip("torchmetrics")
    labels, guess = torch.randint(0, 6, (40, 30)), torch.randint(0, 6, (40, 30))
    labels[torch.rand(40, 30) < 0.2] = IGNORED
    metric = torchmetrics.JaccardIndex(task="multiclass", num_classes=6, ignore_index=IGNORED)
    expected = metric(guess, labels).item()
    assert mean_iou(confusion_of(labels, guess, 6))["miou"] == pytest.approx(expected)


@pytest.mark.parametrize(
    "windows", [Windows(48), Windows(48, 32, 10), Windows(None, 20), Windows(100, 500, 50)]
)
def test_windows_cover_the_image(windows):
    image = TwoHalves(None).image(0)
    scores = pixel_scores(Patches(), image, torch.eye(4)[:2], windows)
    assert scores.shape[1] == (windows.short_side or 32)
    assert scores.isfinite().all()
    guess = scores.argmax(0)
    assert (guess[:, : guess.shape[1] // 4] == 0).all()
    assert (guess[:, -guess.shape[1] // 4 :] == 1).all()


def test_one_window_of_the_input_is_the_models_own_dense_features():
    encoder, image = small_encoder(), Image.effect_noise((32, 32), 90).convert("RGB")
    vectors = torch.nn.functional.normalize(torch.randn(3, 24))
    with torch.no_grad():
        dense = encoder.harmo.encode_dense(encoder.preprocess(image)[None])
    expected = torch.nn.functional.interpolate(
        (dense @ vectors.T).permute(0, 3, 1, 2), (32, 32), mode="bilinear"
    )[0]
    torch.testing.assert_close(pixel_scores(encoder, image, vectors, Windows(32)), expected)


def write_voc(root):
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for name in ("a", "b", "c"):
        Image.effect_noise((60, 40), 90).convert("RGB").save(root / "JPEGImages" / f"{name}.jpg")
    for name in ("a", "b"):
        labels = np.zeros((40, 60), dtype=np.uint8)
        labels[:, 30:], labels[:5] = 20, IGNORED
        palette = Image.fromarray(labels)
        palette.putpalette([7 * i % 256 for i in range(768)])
        palette.save(root / "SegmentationClass" / f"{name}.png")
    (root / "ImageSets/Segmentation/val.txt").write_text("a\n")
    return root


@pytest.mark.parametrize(("split", "asked"), [("voc21", 35 * 60), ("voc20", 35 * 30)])
def test_voc_with_and_without_background(tmp_path, split, asked):
    (task,) = tasks_of("segmentation", Request(str(write_voc(tmp_path)), split, options=("short_side=64",)))
    found = task.run(Patches())
    assert found["pixels"] == asked
    assert 0 <= found["miou"] <= 1


def test_ade20k_and_cityscapes_and_coco_stuff(tmp_path):
    ade, city, stuff = tmp_path / "ade", tmp_path / "city", tmp_path / "stuff"
    for image, label in (
        (ade / "images/validation/x.jpg", ade / "annotations/validation/x.png"),
        (city / "leftImg8bit/val/ulm/u_leftImg8bit.png", city / "gtFine/val/ulm/u_gtFine_labelTrainIds.png"),
        (stuff / "val2017/1.jpg", stuff / "stuffthingmaps/val2017/1.png"),
    ):
        for path in (image, label):
            path.parent.mkdir(parents=True)
        Image.effect_noise((32, 32), 90).convert("RGB").save(image)
        Image.new("L", (32, 32), 1).save(label)
    rows = ["Idx\tRatio\tTrain\tVal\tName", "1\t.1\t1\t1\twall", "2\t.1\t1\t1\tbuilding, edifice"]
    (ade / "objectInfo150.txt").write_text("\n".join(rows) + "\n")
    (stuff / "labels.txt").write_text("0: unlabeled\n1: person\n2: wall-other\n3: street sign\n")
    for split, root, names in (
        ("ade20k", ade, ("wall", "building")),
        ("cityscapes", city, CITYSCAPES),
        ("coco-stuff", stuff, ("person", "wall", "")),
    ):
        assert SegmentedImages(root, LAYOUTS[split]).class_names == names
        (task,) = tasks_of("segmentation", Request(str(root), split, options=("short_side=32",)))
        assert task.run(Patches())["pixels"] == 32 * 32


def test_the_lists_have_their_published_length():
    lists = (VOC, CONTEXT, CITYSCAPES, COCO_OBJECT, COCO_STUFF)
    assert [len(names) for names in lists] == [20, 59, 19, 80, 171]
    assert all(len(set(names)) == len(names) for names in lists)


@pytest.mark.parametrize("split", ["coco-object", "coco-stuff171"])
def test_coco_in_the_layout_that_is_made_for_it(tmp_path, split):
    ending = {"coco-object": "_instanceTrainIds.png", "coco-stuff171": "_labelTrainIds.png"}[split]
    for folder in ("images/val2017", "annotations/val2017"):
        (tmp_path / folder).mkdir(parents=True)
    Image.effect_noise((32, 24), 90).convert("RGB").save(tmp_path / "images/val2017/7.jpg")
    last = {"coco-object": 80, "coco-stuff171": 170}[split]
    Image.new("L", (32, 24), last).save(tmp_path / "annotations/val2017" / f"7{ending}")
    data = SegmentedImages(tmp_path, LAYOUTS[split])
    assert data.class_names[last] == {"coco-object": "toothbrush", "coco-stuff171": "wood"}[split]
    (task,) = tasks_of("segmentation", Request(str(tmp_path), split, options=("short_side=32",)))
    assert task.run(Patches())["pixels"] == 32 * 24


def reference_background(scores, owner, classes, scale, threshold, smallest):
    """The rule of SCLIP's paper, pixel by pixel in float64."""
    values = torch.softmax(scores.double() * scale, 0)
    best = torch.stack([values[owner == k].amax(0) for k in range(classes)])
    first = best.argmax(0)
    others = int((first != 0).sum())
    guess = torch.zeros_like(first)
    for y in range(first.shape[0]):
        for x in range(first.shape[1]):
            allowed = [k for k in range(1, classes) if int((first == k).sum()) > smallest * others]
            value, label = max([(best[0, y, x].item(), 0)] + [(best[k, y, x].item(), k) for k in allowed])
            guess[y, x] = 0 if value < threshold else label
    return guess


@pytest.mark.parametrize("smallest", [0.0, 0.3])
def test_the_background_is_what_is_sure_of_nothing(smallest):
    torch.manual_seed(0)
    owner = torch.tensor([0, 0, 1, 2, 2, 3, 4])
    for _ in range(20):
        scores = torch.randn(7, 5, 6) / 20
        guess = most_similar(scores, owner, 5, Background(40, 0.4, smallest))
        expected = reference_background(scores, owner, 5, 40, 0.4, smallest)
        assert torch.equal(guess, expected)
    assert torch.equal(most_similar(scores, owner, 5), owner[scores.argmax(0)])


def test_options_change_names_and_windows(tmp_path):
    root = write_voc(tmp_path)
    (tmp_path / "mine.txt").write_text("nothing\n" + "\n".join(["red, crimson"] * 20) + "\n")
    options = (f"names={tmp_path / 'mine.txt'}", "prompts=photo", "short_side=48", "stride=16")
    (task,) = tasks_of("segmentation", Request(str(root), "voc21", options=options))
    assert task.run(Patches())["pixels"] == 35 * 60
    with pytest.raises(InputError, match="did you mean 'short_side'"):
        tasks_of("segmentation", Request(str(root), "voc21", options=("shortside=48",)))
    with pytest.raises(InputError, match="prompts are 'many'"):
        tasks_of("segmentation", Request(str(root), "voc21", options=("prompts=many",)))
    with pytest.raises(InputError, match="'stride=half' cannot be read"):
        tasks_of("segmentation", Request(str(root), "voc21", options=("stride=half",)))


def test_what_does_not_fit_is_named(tmp_path):
    with pytest.raises(InputError, match="voc21, voc20"):
        tasks_of("segmentation", Request(str(tmp_path)))
    root = write_voc(tmp_path)
    (root / "ImageSets/Segmentation/val.txt").write_text("a\nc\n")
    with pytest.raises(DataError, match=r"c\.jpg has no labels"):
        tasks_of("segmentation", Request(str(root), "voc20"))
    with pytest.raises(DataError, match="reach from 0 to 7"):
        segmentation(Patches(), TwoHalves(halves() * 7), Windows(32), "name")
    with pytest.raises(DataError, match="64 x 32, and its labels are 32 x 64"):
        segmentation(Patches(), TwoHalves(halves().T), Windows(32), "name")
    with pytest.raises(DataError, match="no pixel"):
        segmentation(Patches(), TwoHalves(torch.full((32, 64), IGNORED)), Windows(32), "name")
    with pytest.raises(InputError, match="stride is 0"):
        Windows(stride=0)


def test_a_model_that_diverged_has_no_miou():
    encoder = small_encoder()
    torch.nn.init.constant_(encoder.harmo.model.visual.proj, float("nan"))
    with pytest.raises(EvaluationError, match="patch vectors are not finite"):
        segmentation(encoder, TwoHalves(halves()), Windows(32), "name")
