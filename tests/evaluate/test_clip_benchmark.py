"""Data sets of clip_benchmark through the adapter: a stand-in by hand, and the library itself where it is."""

import io
import sys
import tarfile
from types import ModuleType, SimpleNamespace

import pytest
import torch
from PIL import Image

from harmoclip.errors import DataError, InputError, MissingDependencyError
from harmoclip.evaluate.registry import tasks_of
from harmoclip.evaluate.task import Request
from harmoclip.evaluate.yardsticks.clip_benchmark import classify, select
from tests.helpers.known import ColorEncoder
from tests.helpers.small_world import preprocess, small_encoder, tokenizer

COLORS = {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}
IMAGES = {name: Image.new("RGB", (8, 8), color) for name, color in COLORS.items()}


class Listed(list):
    """Rows with the names and sentences of classes, as clip_benchmark's data sets have them."""

    classes = tuple(COLORS)
    templates = ("a photo of {c}.", "{c}")


@pytest.fixture
def stand_in(monkeypatch):
    """A module in the place of clip_benchmark, with the data sets that a test sets."""
    builder = ModuleType("clip_benchmark.datasets.builder")
    builder.asked, builder.data = [], {}

    def build_dataset(name, **options):
        builder.asked.append((name, options))
        if name not in builder.data:
            raise ValueError(f"Unsupported dataset: {name}.")
        return builder.data[name]

    builder.build_dataset = build_dataset
    known = {"probe": "linear_probe", "colors": "zeroshot_classification"}
    builder.get_dataset_default_task = known.get
    for name in ("clip_benchmark", "clip_benchmark.datasets"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "clip_benchmark.datasets.builder", builder)
    return builder


def run(*request, **more):
    (task,) = tasks_of("clip-benchmark", Request(*request, **more))
    return task.run(ColorEncoder())


def test_classification_by_hand(stand_in):
    stand_in.data["colors"] = Listed([(IMAGES["red"], 0), (IMAGES["green"], 1), (IMAGES["green"], 2)])
    found = run("data", "colors", options=("split=val", "language=en"))
    assert found == {"acc1": pytest.approx(2 / 3), "mean_per_class_recall": pytest.approx(2 / 3)}
    ((name, options),) = stand_in.asked
    assert (name, options["root"], options["split"], options["download"]) == ("colors", "data", "val", False)


def test_a_stream_is_read_and_its_task_asked_without_the_prefix(stand_in):
    rows = Listed([(IMAGES["red"], 0), (IMAGES["blue"], 1)])
    stream = SimpleNamespace(classes=rows.classes, templates={name: [name] for name in rows.classes})
    stream = type("Stream", (), {**vars(stream), "__iter__": lambda self: iter(rows)})()
    stand_in.data["wds/colors"] = stream
    assert run("data", "wds/colors")["acc1"] == 0.5


def test_several_classes_an_image():
    rows = [(IMAGES["red"], torch.tensor([1, 0])), (IMAGES["green"], torch.tensor([1, 1]))]
    found = classify(ColorEncoder(), rows, ["red", "green"], ["{c}"])
    assert found == {"mean_average_precision": 1}
    rows[0] = (IMAGES["red"], torch.tensor([0, 0]))  # the best image for red is wrong, the second right
    assert classify(ColorEncoder(), rows, ["red", "green"], ["{c}"])["mean_average_precision"] == 0.75


def test_retrieval_and_selection(stand_in):
    stand_in.data["captions"] = [(IMAGES[name], [f"a {name} cat", name]) for name in COLORS]
    found = run("data", "captions", options=("task=zeroshot_retrieval",))
    assert (found["i2t_r1"], found["t2i_r1"], found["captions"]) == (1, 1, 6)
    stand_in.data["winoground"] = [
        ([IMAGES["red"], IMAGES["green"]], ["red", "green"]),
        ([IMAGES["red"], IMAGES["green"]], ["green", "red"]),
        ([IMAGES["red"], IMAGES["red"]], ["red", "green"]),
    ]
    found = run("data", "winoground", options=("task=image_caption_selection",))
    assert found == {name: pytest.approx(1 / 3) for name in ("text_acc", "image_acc", "acc")}
    assert select(ColorEncoder(), [(IMAGES["red"], ["red", "green", "blue"])])["acc"] == 1


def test_what_does_not_go_is_said(stand_in, monkeypatch):
    with pytest.raises(InputError, match="clip-benchmark:cifar10=FOLDER"):
        run("data")
    with pytest.raises(DataError, match="Unsupported dataset: nothing"):
        run("data", "nothing", options=("task=zeroshot_retrieval",))
    with pytest.raises(InputError, match="'linear_probe'"):
        run("data", "probe")
    with pytest.raises(InputError, match="did you mean 'split'"):
        run("data", "colors", options=("splits=val",))
    monkeypatch.setitem(sys.modules, "clip_benchmark.datasets.builder", None)
    with pytest.raises(MissingDependencyError, match="pip install clip-benchmark"):
        run("data", "colors")


def batches(rows, collate):
    return [collate([(preprocess(image), target) for image, target in rows[i : i + 2]]) for i in (0, 2)]


@pytest.fixture
def noise():
    return [Image.effect_noise((32, 32), 90).convert("RGB") for _ in range(4)]


def test_equals_the_librarys_own_classification(noise):
    theirs = pytest.importorskip("clip_benchmark.metrics.zeroshot_classification")
    encoder, names = small_encoder(), ["cat", "dog", "red car", "tree", "house", "boat"]
    rows = list(zip(noise, [0, 3, 5, 0], strict=True))
    templates = ["a {c}.", "the {c}."]
    scores, labels = their_scores(theirs, encoder, rows, names, templates)
    top = scores.topk(5, 1).indices == labels[:, None]
    recalls = [(scores.argmax(1) == labels)[labels == k].double().mean().item() for k in labels.unique()]
    assert classify(encoder, rows, names, templates) == {
        "acc1": top[:, 0].double().mean().item(),
        "acc5": top.any(1).double().mean().item(),
        "mean_per_class_recall": pytest.approx(sum(recalls) / len(recalls)),
    }
    several = [(image, torch.tensor(t)) for image, t in zip(noise, SEVERAL, strict=True)]
    scores, labels = their_scores(theirs, encoder, several, names, templates)
    expected = theirs.average_precision_per_class(scores, labels).mean().item()
    found = classify(encoder, several, names, templates)
    assert found == {"mean_average_precision": pytest.approx(expected, abs=1e-6)}


def their_scores(theirs, encoder, rows, names, templates):
    """What the library's own encoding gives: similarities and labels."""
    model = encoder.harmo.model
    classes = theirs.zero_shot_classifier(model, tokenizer, names, templates, "cpu", amp=False)
    loader = batches(rows, torch.utils.data.default_collate)
    return theirs.run_classification(model, classes, loader, "cpu", amp=False)


SEVERAL = [[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0], [1, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0]]


def collate_texts(rows):
    return torch.stack([image for image, _ in rows]), [texts for _, texts in rows]


def test_equals_the_librarys_own_selection_and_retrieval(noise):
    selection = pytest.importorskip("clip_benchmark.metrics.image_caption_selection")
    retrieval = pytest.importorskip("clip_benchmark.metrics.zeroshot_retrieval")
    encoder = small_encoder()
    rows = [(image, [f"word {i}", f"other {i}", "a cat"]) for i, image in enumerate(noise)]
    expected = selection.evaluate(
        encoder.harmo.model, batches(rows, collate_texts), tokenizer, "cpu", amp=False
    )
    assert dict(select(encoder, rows)) == pytest.approx(expected, abs=1e-6)
    pairs = [(image, [f"word {i}", f"other {i}"]) for i, image in enumerate(noise)]
    expected = retrieval.evaluate(
        encoder.harmo.model, batches(pairs, collate_texts), tokenizer, "cpu", amp=False, recall_k_list=[1, 2]
    )
    from harmoclip.evaluate import Captioned
    from harmoclip.evaluate import retrieval as ours

    captioned = Captioned.of(lambda i: noise[i], [texts for _, texts in pairs])
    image = encoder.image_vectors(captioned.read, captioned.images)
    text = encoder.text_vectors(captioned.captions)
    found = ours(image, text, captioned.image_of_text, ks=(1, 2))
    assert [found["t2i_r1"], found["i2t_r1"], found["t2i_r2"], found["i2t_r2"]] == pytest.approx(
        list(expected.values())
    )


@pytest.mark.filterwarnings(  # webdataset leaves the shard open
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_the_librarys_own_reader(tmp_path):
    pytest.importorskip("clip_benchmark.datasets.builder")
    with pytest.raises(DataError, match="clip_benchmark cannot read cifar10"):
        tasks_of("clip-benchmark", Request(str(tmp_path), "cifar10"))
    (tmp_path / "test").mkdir()
    (tmp_path / "classnames.txt").write_text("red\ngreen\n")
    (tmp_path / "zeroshot_classification_templates.txt").write_text("a {c} thing\n")
    (tmp_path / "test" / "nshards.txt").write_text("1")
    write_shard(tmp_path / "test" / "0.tar")
    assert run(str(tmp_path), "wds/colors") == {"acc1": 0.5, "mean_per_class_recall": 0.5}


def write_shard(path):
    """Images with their classes, as clip_benchmark's own builder writes them."""
    with tarfile.open(path, "w") as tar:
        for row, label in enumerate((0, 1)):
            png = io.BytesIO()
            IMAGES["red"].save(png, "PNG")
            for ending, content in (("png", png.getvalue()), ("cls", str(label).encode())):
                info = tarfile.TarInfo(f"s{row}.{ending}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
