import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.ops import box_iou

from harmoclip.data.scenes import CLASS_NAMES, HELD_OUT, PAIRS, SPLITS, Scenes
from harmoclip.data.scenes.paint import paint
from harmoclip.data.scenes.things import COLORS, SHAPES, Group, extent, outline
from harmoclip.errors import InputError

SCENES = {split: [Scenes(split, 120)[i] for i in range(120)] for split in SPLITS}
ALL = [sample for samples in SCENES.values() for sample in samples]


def test_the_same_seed_and_index_give_the_same_scene_in_another_process():
    code = (
        "import hashlib; from harmoclip.data.scenes import Scenes; s = Scenes('test', 20)[7];"
        "print(hashlib.sha256(s.image.tobytes() + s.caption.encode()).hexdigest())"
    )
    seen = {subprocess.check_output([sys.executable, "-c", code], text=True) for _ in range(2)}
    assert len(seen) == 1
    assert Scenes("test", 20, seed=1)[7].caption != SCENES["test"][7].caption


@pytest.mark.parametrize("split", SPLITS)
def test_scenes_hold_two_to_six_things_apart_inside_the_image(split):
    for sample in SCENES[split]:
        boxes = sample.boxes
        assert 2 <= len(boxes) <= 6
        assert (boxes >= 0).all()
        assert (boxes <= 1).all()
        assert (boxes[:, :2] < boxes[:, 2:]).all()
        assert box_iou(boxes, boxes).fill_diagonal_(0).max() == 0
    assert set(Counter(len(s.boxes) for s in SCENES[split])) >= {3, 4, 5, 6}


def test_held_out_pairs_show_only_in_novel():
    assert len(HELD_OUT) == 8
    assert {c for c, _ in HELD_OUT} == set(COLORS)
    assert {s for _, s in HELD_OUT} == set(SHAPES)
    shown = {split: [{PAIRS[k] for k in s.labels.tolist()} for s in SCENES[split]] for split in SPLITS}
    assert not any(pairs & HELD_OUT for split in ("train", "test") for pairs in shown[split])
    assert all(pairs & HELD_OUT for pairs in shown["novel"])


def test_twins_show_the_same_colors_and_shapes_in_other_pairs():
    for one, other in zip(SCENES["test"][::2], SCENES["test"][1::2], strict=True):
        pairs = [{PAIRS[k] for k in s.labels.tolist()} for s in (one, other)]
        assert pairs[0].isdisjoint(pairs[1])
        assert {c for c, _ in pairs[0]} == {c for c, _ in pairs[1]}
        assert {s for _, s in pairs[0]} == {s for _, s in pairs[1]}


def test_splits_differ():
    captions = [{s.caption for s in SCENES[split]} for split in SPLITS]
    assert not captions[0] & captions[1]
    assert min(len(c) for c in captions) > 110


@pytest.mark.parametrize("sample", ALL[::3], ids=lambda s: s.key)
def test_phrases_name_the_things_they_are_linked_to(sample):
    for phrase, text in enumerate(sample.phrase_texts):
        labels = [sample.labels[r].item() for r, p in sample.links if p == phrase]
        if not labels:
            assert re.match(r"[Aa]n? (white|black|grey|green|blue|sandy|wooden|tiled)", text)
            continue
        color, shape = PAIRS[labels[0]]
        assert set(labels) == {labels[0]}
        assert re.search(rf"\b{shape}(s|es)?$", text)
        assert color in text or text.startswith("the ")
        number = {"two": 2, "three": 3}.get(text.split()[0].lower(), 1)
        assert text.startswith("the ") or number == len(labels)
        assert len(labels) == (sample.labels == labels[0]).sum()


def centre(sample, phrase):
    rows = [r for r, p in sample.links if p == phrase]
    return sample.boxes[rows]


RELATIONS = {
    "left of": lambda a, b: a[:, 2].max() <= b[:, 0].min(),
    "right of": lambda a, b: a[:, 0].min() >= b[:, 2].max(),
    "above": lambda a, b: a[:, 3].max() <= b[:, 1].min(),
    "over": lambda a, b: a[:, 3].max() <= b[:, 1].min(),
    "below": lambda a, b: a[:, 1].min() >= b[:, 3].max(),
    "under": lambda a, b: a[:, 1].min() >= b[:, 3].max(),
}


def test_position_words_are_right():
    seen = Counter()
    for sample in ALL:
        for p, ((_, end), (start, _)) in enumerate(zip(sample.spans, sample.spans[1:], strict=False)):
            between = sample.caption[end:start]
            for word, holds in RELATIONS.items():
                if re.search(rf"\b{word}\b", between):
                    seen[word] += 1
                    assert holds(centre(sample, p), centre(sample, p + 1)), sample.caption
        for p, (_, end) in enumerate(sample.spans):
            if found := re.match(r" in the (top|bottom) (left|right) corner", sample.caption[end:]):
                seen["corner"] += 1
                x, y = (centre(sample, p)[0].view(2, 2)).mean(0)
                assert (y < 1 / 3) == (found[1] == "top")
                assert (x < 1 / 3) == (found[2] == "left")
    assert min(seen[word] for word in [*RELATIONS, "corner"]) > 2


@pytest.mark.parametrize("shape", SHAPES)
def test_a_painted_thing_fills_its_box(shape):
    from random import Random

    x1, y1, x2, y2 = extent(outline(shape, 0.15))
    box = (0.25, 0.3, 0.55, 0.3 + 0.3 * (y2 - y1) / (x2 - x1))
    thing = Group("red", shape, "", "", (box,), (0.15,))
    image, bare = (np.asarray(paint(g, "a black background", 200, Random(3)), int) for g in ([thing], []))
    ys, xs = (abs(image - bare).sum(2) > 60).nonzero()
    seen = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) / 200
    np.testing.assert_allclose(seen, box, atol=0.012)


def test_render_shares_one_tensor_and_draws_the_same():
    scenes = Scenes("train", 5, size=32)
    samples = scenes.render()
    assert samples[0].image.shape == (3, 32, 32)
    assert samples[0].image.dtype == torch.uint8
    assert len({s.image.untyped_storage().data_ptr() for s in samples}) == 1
    drawn = torch.from_numpy(np.asarray(scenes[3].image).copy()).permute(2, 0, 1)
    torch.testing.assert_close(samples[3].image, drawn)
    assert isinstance(scenes[3].image, Image.Image)


def test_class_names_and_errors():
    assert len(set(CLASS_NAMES)) == 64
    assert CLASS_NAMES[8] == "an orange circle"
    for wrong in ({"split": "val"}, {"length": 0}, {"size": 4}):
        with pytest.raises(InputError):
            Scenes(**{"split": "train", "length": 3} | wrong)
    with pytest.raises(IndexError):
        Scenes("train", 3)[3]
