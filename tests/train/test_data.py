import itertools
import json
from types import SimpleNamespace

import open_clip
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from harmoclip.data import Shards, write_shards
from harmoclip.data.scenes import Scenes
from harmoclip.data.tools.convert import mixed_order
from harmoclip.errors import InputError
from harmoclip.models import LoadedModel
from harmoclip.train import load_config
from harmoclip.train.data import Batches, held_out

MODEL = SimpleNamespace(visual=SimpleNamespace(preprocess_cfg={"size": 32}))
LOADED = LoadedModel(MODEL, None, open_clip.tokenize, "no tower")


@pytest.fixture
def shards(tmp_path):
    write_shards(Scenes("train", 30), tmp_path / "shards", samples_per_shard=5)
    return tmp_path / "shards" / "{00000..00005}.tar"


def batches(*overrides, ranks=1):
    Accelerator(cpu=True)
    where = SimpleNamespace(process_index=0, num_processes=ranks, device=torch.device("cpu"))
    return Batches(load_config(None, ["data.batch_size=4", "seed=2", *overrides]), LOADED, where)


@pytest.mark.parametrize("kind", ["scenes", "shards"])
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_batches_go_on_from_their_state_with_the_same_pixels(kind, workers, shards):
    source = ["data.format=scenes", "data.size=18"] if kind == "scenes" else [f"data.path={shards}"]
    options = [*source, "data.crop=0.5", "data.flip=0.5", f"data.workers={workers}"]
    whole = list(itertools.islice(batches(*options), 9))
    stopped = batches(*options)
    list(itertools.islice(stopped, 5))
    resumed = batches(*options)
    resumed.load_state_dict(stopped.state_dict())
    for one, other in zip(whole[5:], itertools.islice(resumed, 4), strict=True):
        torch.testing.assert_close(one.batch.images, other.batch.images, rtol=0, atol=0)
        torch.testing.assert_close(one.batch.texts, other.batch.texts, rtol=0, atol=0)


def test_shards_are_shuffled_as_the_configuration_says(shards):
    first = [next(iter(batches(f"data.path={shards}", f"data.shuffle={n}"))).batch.texts for n in (0, 100)]
    in_order = open_clip.tokenize([s.caption for s in itertools.islice(Shards(str(shards)), 4)])
    assert torch.equal(first[0], in_order)
    assert not torch.equal(first[1], in_order)


def test_several_captions_of_an_image_are_one_sample(tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "one.png")
    Image.new("RGB", (32, 32), "red").save(tmp_path / "two.png")
    rows = [
        {
            "image": image,
            "caption": f"a dog {n}",
            "boxes": [[0, 0, 1, 1]],
            "phrases": [[0, 5]],
            "links": [[0, 0]],
        }
        for image in ("one.png", "two.png", "one.png", "two.png", "one.png")
        for n in range(3)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = f"data.path={path}", "data.batch_size=2"
    found = batches(*options, "data.captions=3", "data.phrases_of=1")
    assert found.samples() == 2
    batch, counts, _ = next(iter(found))
    assert batch.grounding.more_captions.shape == (2, 2)
    assert (counts.samples, counts.boxes, counts.links) == (2, 2, 2)
    with pytest.raises(InputError, match="captions is 1, phrases_of 2"):
        batches(*options, "data.phrases_of=2")


def test_a_state_of_another_number_of_processes_is_refused():
    options = ["data.format=scenes", "data.size=18"]
    with pytest.raises(InputError, match="of 1 processes, this run has 2"):
        batches(*options, ranks=2).load_state_dict(batches(*options).state_dict())


def test_data_without_splits_is_held_out_by_its_path(shards):
    options = [f"data.path={shards}", "evaluation.samples=7"]
    assert held_out(load_config(None, options), LOADED) is None
    samples, class_names, broken = held_out(
        load_config(None, [*options, f"evaluation.path={shards}"]), LOADED
    )
    scenes = Scenes("train", 30)
    assert [s.caption for s in samples] == [scenes[row].caption for row in mixed_order(scenes)[:7]]
    assert class_names == scenes.class_names
    assert not broken


def test_a_mistake_in_what_is_held_out_says_so(tmp_path):
    (tmp_path / "mine.jsonl").write_text("{}")
    options = [f"data.path={tmp_path / 'mine.jsonl'}", "evaluation.split=val"]
    with pytest.raises(InputError, match=r"^evaluation: json_lines has no option 'split'"):
        held_out(load_config(None, options), LOADED)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "data.path is null: expected where the data is"),
        (["data.format=voc", "data.path=x"], "format is 'voc': expected one of coco, .*hugging_face"),
        (["data.format=grit", "data.path=x.tar", "data.images=y"], "grit has no option 'images'"),
        (["data.path=x.tar", "data.shuffle=-1"], "shuffle is -1"),
    ],
)
def test_data_that_cannot_be_opened_says_why(options, said):
    with pytest.raises(InputError, match=said):
        batches(*options)
