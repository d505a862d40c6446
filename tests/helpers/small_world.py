"""A small model with its tokenizer, and a folder in COCO's layout."""

import json

import numpy as np
import torch
from open_clip.model import CLIP
from PIL import Image

from harmoclip.evaluate.encoder import Encoder
from harmoclip.harmonized import harmonize
from tests.helpers.tiny_clips import small_config

COLORS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}


def tokenizer(texts):
    """Each word a token of its own: start 98, words, end 99, zeros."""
    rows = torch.zeros(len(texts), 16, dtype=torch.int64)
    for row, text in zip(rows, texts, strict=True):
        words = [1 + sum(map(ord, w.strip(".").lower())) % 96 for w in text.split()][:14]
        row[: len(words) + 2] = torch.tensor([98, *words, 99])
    return rows


def preprocess(image):
    small = image.resize((32, 32))
    return torch.from_numpy(np.asarray(small, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)


def small_encoder():
    torch.manual_seed(0)
    return Encoder(harmonize(CLIP(**small_config())), preprocess, tokenizer, batch_size=2)


def write_coco(tmp_path):
    """COCO's own layout with three images: captions, instances, panoptic segments."""
    split = "val2017"
    (tmp_path / split).mkdir()
    (tmp_path / "annotations" / f"panoptic_{split}").mkdir(parents=True)
    images, instances, panoptic, captions = [], [], [], []
    for i, color in enumerate(COLORS.values()):
        image = Image.new("RGB", (60, 40), (128, 128, 128))
        image.paste(color, (10, 10, 40, 30))
        image.save(tmp_path / split / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": 60, "height": 40})
        ids = Image.new("RGB", (60, 40), (7, 0, 0))
        ids.paste((1, 1, 0), (10, 10, 40, 30))  # 1 + 256
        ids.save(tmp_path / "annotations" / f"panoptic_{split}" / f"{i}.png")
        thing = {"id": 257, "category_id": 10 * (i + 1), "bbox": [10, 10, 30, 20], "iscrowd": 0}
        tiny = {"id": 9, "category_id": 10, "bbox": [0, 0, 3, 3], "iscrowd": 1}
        stuff = {"id": 7, "category_id": 90, "bbox": [0, 0, 60, 40], "iscrowd": 0}
        instances += [{**thing, "image_id": i, "id": 10 * i}, {**tiny, "image_id": i, "id": 10 * i + 1}]
        panoptic.append({"image_id": i, "file_name": f"{i}.png", "segments_info": [thing, stuff, tiny]})
        captions += [{"image_id": i, "caption": f"caption {i} {j}"} for j in range(6)]
    things = [{"id": 10 * (i + 1), "name": name, "isthing": 1} for i, name in enumerate(COLORS)]
    wall = {"id": 90, "name": "wall-other-merged", "isthing": 0}
    for kind, rows, categories in (
        ("captions", captions, []), ("instances", instances, things), ("panoptic", panoptic, [*things, wall]),
    ):  # fmt: skip
        content = {"images": images, "annotations": rows, "categories": categories}
        (tmp_path / "annotations" / f"{kind}_{split}.json").write_text(json.dumps(content))
    return tmp_path
