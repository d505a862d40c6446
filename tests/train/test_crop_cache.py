"""The teacher's vectors of crops are computed once, and are those that a step would compute."""

import open_clip
import pytest
import torch

from harmoclip import Grounding, harmonize
from harmoclip.errors import InputError
from harmoclip.train.crop_cache import CropCache
from harmoclip.train.log import read_lines
from harmoclip.train.loop import train

pytest_plugins = ["tests.helpers.small_runs"]
TOWER = {"width": 32, "layers": 2}
CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {**TOWER, "image_size": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {**TOWER, "context_length": 16, "vocab_size": 64, "heads": 2},
}
BOXES = torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.25, 0.25, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0]])


@pytest.fixture
def harmo():
    torch.manual_seed(0)
    return harmonize(open_clip.CLIP(**CONFIG), teacher=True, global_region="crops")


@pytest.fixture
def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def grounding():
    spans = torch.tensor([[1, 3]])
    return Grounding(
        boxes=BOXES,
        image_index=torch.tensor([0, 0, 1]),
        spans=spans,
        text_index=torch.tensor([0]),
        links=torch.tensor([[0, 0]]),
        phrase_id=torch.tensor([0]),
    )


@pytest.fixture
def seen(harmo):
    """How many crops the teacher has encoded, pass by pass."""
    counts = []
    harmo.teacher.visual.register_forward_pre_hook(lambda module, given: counts.append(len(given[0])))
    return counts


def test_they_are_the_vectors_of_a_step_and_are_computed_once(harmo, images, grounding, seen, tmp_path):
    cache = CropCache(tmp_path, harmo)
    first = cache(images, grounding)
    again = cache(images, grounding)
    assert seen == [3]
    assert torch.equal(first, again)
    texts = torch.randint(1, 60, (2, 16))
    given, computed = harmo(images, texts, grounding, first), harmo(images, texts, grounding)
    torch.testing.assert_close(given["global_region_loss"], computed["global_region_loss"])


def test_another_process_and_a_later_run_find_them(harmo, images, grounding, seen, tmp_path):
    one, other = CropCache(tmp_path, harmo), CropCache(tmp_path, harmo, rank=1)
    first = one(images, grounding)
    one.write()
    assert torch.equal(other(images, grounding), first)
    assert torch.equal(CropCache(tmp_path, harmo)(images, grounding), first)
    assert seen == [3]
    more = grounding.replace(boxes=BOXES * 0.5)
    other(images, more)
    other.write()
    assert torch.equal(one(images, more), other(images, more))
    assert seen == [3, 3]
    assert sorted(path.name for path in one.folder.iterdir()) == [
        "0-000000.safetensors",
        "1-000000.safetensors",
    ]


def test_other_pixels_boxes_and_teachers_are_others(harmo, images, grounding, seen, tmp_path):
    cache = CropCache(tmp_path, harmo)
    cache(images, grounding)
    cache(images.flip(-1), grounding)
    cache(images, grounding.replace(boxes=torch.cat([BOXES[:1], BOXES[1:] * 0.5])))
    assert seen == [3, 3, 2]
    none = grounding.replace(
        boxes=BOXES[:0], image_index=grounding.image_index[:0], links=grounding.links[:0]
    )
    assert cache(images, none).shape == (0, 16)
    another = harmonize(open_clip.CLIP(**CONFIG), teacher=True, global_region="crops")
    assert CropCache(tmp_path, another).folder != cache.folder


def test_files_are_written_whole_as_they_fill(harmo, images, grounding, tmp_path):
    cache = CropCache(tmp_path, harmo, rows=2)
    first = cache(images, grounding)
    assert [path.name for path in cache.folder.iterdir()] == ["0-000000.safetensors"]
    assert torch.equal(cache(images, grounding), first)


@pytest.mark.parametrize("options", [{"teacher": True}, {"global_region": "crops"}])
def test_a_model_without_crops_of_a_teacher_is_refused(options, tmp_path):
    with pytest.raises(InputError, match='expected teacher=True and global_region="crops"'):
        CropCache(tmp_path, harmonize(open_clip.CLIP(**CONFIG), **options))


def test_a_run_with_kept_crops_has_the_losses_of_one_without(config, tmp_path):
    objective = ["objective.teacher=true", "objective.global_region=crops", "data.size=12", "steps=5"]
    train(config(tmp_path / "without", *objective))
    for run in ("first", "second"):
        train(config(tmp_path / run, *objective, f"data.crops={tmp_path / 'crops'}"))
    losses = [read_lines(tmp_path / run / "losses.jsonl") for run in ("without", "first", "second")]
    for other in losses[1:]:
        for one, its in zip(losses[0], other, strict=True):
            assert one["loss"] == pytest.approx(its["loss"], rel=1e-4)
    assert len(list((tmp_path / "crops").glob("*/*.safetensors"))) == 1  # the second run found them all
