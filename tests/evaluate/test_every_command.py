"""The command of every yardstick, run on a small sample in the layout of its release."""

import json
import pickle

import pytest
from PIL import Image
from typer.testing import CliRunner

from harmoclip import cli, models
from harmoclip.evaluate.registry import YARDSTICKS
from tests.evaluate import test_box_classes as boxes
from tests.evaluate import test_captioned as captioned
from tests.evaluate import test_clip_benchmark as benchmark
from tests.evaluate import test_detection as detection
from tests.evaluate import test_fg_ovd as fg_ovd
from tests.evaluate import test_flickr_entities as entities
from tests.evaluate import test_segmentation as segmentation
from tests.evaluate import test_whole_images as whole
from tests.helpers import small_world

stand_in = benchmark.stand_in
SAMPLES = {}


def sample(yardstick):
    """A function that writes a sample and gives what follows `=`, and further options."""

    def register(write):
        SAMPLES[yardstick] = write
        return write

    return register


@sample("scenes")
def scenes(root):
    return "4", []


@sample("own")
def own(root):
    boxes.draw(root / "a.png")
    row = {"image": "a.png", "caption": "a red wall", "boxes": [[0, 0, 20, 20], [20, 0, 20, 20]]}
    (root / "a.jsonl").write_text(json.dumps({**row, "phrases": ["a red wall"], "links": [[0, 0]]}) + "\n")
    return root / "a.jsonl", ["--option", "unit=pixel", "--option", "box_format=xywh"]


@sample("coco")
def coco(root):
    return small_world.write_coco(root), ["--regions", "masks"]


@sample("flickr30k")
def flickr30k(root):
    path = captioned.write_karpathy(root)
    content = json.loads(path.read_text())
    (root / "dataset_flickr30k.json").write_text(json.dumps(content))
    return root, ["--images", str(root)]


@sample("flickr-entities:val")
def flickr_entities(root):
    sentences = ["[/EN#1/people A red man] sees [/EN#2/other a green thing] .", "[/EN#2/other Green] ."]
    entities.write_entities(root, sentences, [(["1"], entities.RED), (["2"], entities.GREEN)])
    (root / "boxes.json").write_text(json.dumps([entities.entry(10, 10, 30, 40)]))
    return root, ["--proposals", str(root / "boxes.json")]


@sample("fg-ovd:hard")
def fine_grained(root):
    fg_ovd.write_fg_ovd(root, fg_ovd.BOXES)
    return root, []


@sample("segmentation:voc21")
def voc(root):
    return segmentation.write_voc(root), ["--option", "short_side=32", "--dense", "clear"]


@sample("detection")
def proposals(root):
    detection.write_coco(root, [(detection.RED, 5)], detection.CATEGORIES)
    return root, ["--proposals", str(detection.write_proposals(root, (detection.RED, 0.9)))]


@sample("lvis")
def lvis(root):
    detection.lvis(root)
    return root, []


@sample("boxes:objects365")
def objects365(root):
    boxes.draw(root / "val/patch16/a.png")
    boxes.write(root / "zhiyuan_objv2_val.json", boxes.content("images/v2/patch16/a.png", ["red", "green"]))
    return root, ["--option", "prompts=name"]


@sample("refcoco")
def refcoco(root):
    boxes.draw(root / "train2014/COCO_train2014_000000000007.jpg")
    content = boxes.content("COCO_train2014_000000000007.jpg", ["red", "green"])
    content["annotations"] = content["annotations"][:2]
    boxes.write(root / "instances.json", content)
    sentence = {"sent": "the red one", "raw": "the red one", "sent_id": 1, "tokens": []}
    ref = {
        "ref_id": 1, "ann_id": 1, "image_id": 7, "category_id": 10, "split": "val", "sentences": [sentence],
        "sent_ids": [1], "file_name": "COCO_train2014_000000000007_1.jpg",
    }  # fmt: skip
    (root / "refs(unc).p").write_bytes(pickle.dumps([ref]))
    return root, ["--images", str(root / "train2014")]


@sample("long-captions")
def long_captions(root):
    whole.write_images(root)
    lines = [{"image": f"{name}.jpg", "caption": f"All is {name}."} for name in whole.COLORS]
    (root / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return root, []


@sample("sugarcrepe")
def sugarcrepe(root):
    whole.write_images(root / "val2017")
    row = {"filename": "red.jpg", "caption": "a red cat", "negative_caption": "a green cat"}
    (root / "replace_att.json").write_text(json.dumps({"0": row}))
    return root, []


@sample("aro")
def aro(root):
    whole.write_images(root / "images")
    corner = {"bbox_x": 0, "bbox_y": 0, "bbox_w": 20, "bbox_h": 20}
    row = {"image_path": "red.jpg", **corner, "true_caption": "a on b", "false_caption": "b on a"}
    (root / "visual_genome_relation.json").write_text(json.dumps([{**row, "relation_name": "on"}]))
    return root, []


@sample("valse")
def valse(root):
    whole.write_images(root / "images")
    row = {"image_file": "red.jpg", "caption": "a red cat", "foil": "no cat", "mturk": {"caption": 3}}
    (root / "existence.json").write_text(json.dumps({"a": row}))
    return root, []


@sample("winoground")
def winoground(root):
    whole.write_images(root / "images", ".png")
    row = {"id": 0, "image_0": "red", "image_1": "green", "caption_0": "a b", "caption_1": "b a"}
    (root / "examples.jsonl").write_text(json.dumps(row))
    return root, []


@sample("clip-benchmark:colors")
def clip_benchmark(root):
    return root, ["--option", "split=test"]


@sample("class-folders")
def class_folders(root):
    for name in whole.COLORS:
        (root / name).mkdir()
        Image.new("RGB", (32, 32), whole.COLORS[name]).save(root / name / "a.png")
    return root, []


def test_every_yardstick_has_a_sample():
    assert {name.partition(":")[0] for name in SAMPLES} == set(YARDSTICKS)


@pytest.fixture
def _small_model(monkeypatch):
    def load_model(name, pretrained=None, device="cpu"):
        model = small_world.small_encoder().harmo.model
        return models.LoadedModel(model, small_world.preprocess, small_world.tokenizer, name)

    monkeypatch.setattr(models, "load_model", load_model)


def written(yardstick, root):
    """Write the sample; what follows `=`, and further options."""
    root.mkdir()
    return SAMPLES[yardstick](root)


@pytest.mark.parametrize("yardstick", SAMPLES)
@pytest.mark.usefixtures("_small_model")
def test_the_command(yardstick, tmp_path, stand_in):
    stand_in.data["colors"] = benchmark.Listed([(benchmark.IMAGES["red"], 0)])
    source, more = written(yardstick, tmp_path / "data")
    out = tmp_path / "out"
    arguments = ["evaluate", "tiny", "--on", f"{yardstick}={source}", "--out", str(out), "--json", *more]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, (result.exception, result.output)
    scores = json.loads(result.stdout.splitlines()[-1])["scores"]
    assert scores
    assert all(metrics["model"] for metrics in scores.values())
    page = (out / "report.html").read_text()
    assert all(task in page for task in scores)


@pytest.mark.parametrize(
    ("yardstick", "given", "message"),
    [
        ("scenes", ["--images", "photos"], "none of scenes=4 takes images, but photos is given"),
        ("scenes:val", [], "scenes takes no split, but val is given"),
        ("aro:val", [], "aro takes no split"),
        ("winoground:val", [], "winoground takes no split"),
        ("class-folders:val", [], "class-folders takes no split"),
        ("lvis", ["--proposals", "boxes.json"], "takes proposals, but boxes.json is given"),
        ("segmentation:voc21", ["--images", "photos"], "photos has no image *.jpg with labels"),
        ("valse", ["--images", "photos"], "1 of 1 images are missing, such as 'red.jpg'"),
    ],
)
@pytest.mark.usefixtures("_small_model")
def test_what_a_yardstick_cannot_use_is_refused(yardstick, given, message, tmp_path):
    name = next(known for known in SAMPLES if yardstick.startswith(known.partition(":")[0]))
    source, more = written(name, tmp_path / "data")
    arguments = ["evaluate", "tiny", "--on", f"{yardstick}={source}", "--out", str(tmp_path), *more, *given]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code
    assert message in str(result.exception)


@pytest.mark.parametrize(
    ("yardstick", "file", "content", "message"),
    [
        (
            "segmentation:voc21",
            "ImageSets/Segmentation/val.txt",
            None,
            "has no ImageSets/Segmentation/val.txt",
        ),
        ("flickr-entities:val", "val.txt", "", "val.txt lists no image"),
        ("flickr-entities:val", "boxes.json", "[]", "boxes.json has no proposal"),
        ("aro", "visual_genome_relation.json", "{}", "expected a list of entry objects, not {}"),
        ("own", "a.jsonl", '{"picture": "a.png"}', "line 1 has no 'image', only ['picture']"),
    ],
)
@pytest.mark.usefixtures("_small_model")
def test_a_file_that_is_not_what_it_should_be_is_named(yardstick, file, content, message, tmp_path):
    source, more = written(yardstick, tmp_path / "data")
    path = tmp_path / "data" / file
    path.unlink() if content is None else path.write_text(content)
    arguments = ["evaluate", "tiny", "--on", f"{yardstick}={source}", "--out", str(tmp_path / "out"), *more]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code
    assert message in str(result.exception)
