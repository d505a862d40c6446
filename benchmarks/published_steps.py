"""The training steps of CLIPSelf, FineCLIP and FG-CLIP, as options of harmonize and by their own recipes.

`python benchmarks/step.py --published` measures them. Both forms of a step ask the same of the same batch;
`tests/test_published_objectives.py` shows that the values of the options are those of the formulas. Each
recipe encodes what its paper encodes, every text in a row as long as the context.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from step_batch import DEVICE, Batch, clip_step, draw
from torch import Tensor

from harmoclip import Grounding, Options, harmonize
from harmoclip.crops import crop_boxes
from harmoclip.harmonized import Harmonized
from harmoclip.losses import DistillationLoss, GlobalContrastiveLoss, HardNegativeLoss, Positives
from harmoclip.ops import region_pool
from harmoclip.tensors import l2_normalize

WRONG = 10  # descriptions that are wrong for each box, as in FG-CLIP
PLAIN = Positives(same_box=0.0, overlap=None)
OPTIONS = {
    "clipself": Options(
        dense="value", normalize_dense=True, global_region="crops",
        weights={"global_contrastive": 0, "lexeme_region": 0, "global_region": 1},
    ),
    "fineclip": Options(
        dense="value", normalize_dense=True, global_region="live_crops", positives=PLAIN,
        weights={"lexeme_region": 1, "global_region": 1},
    ),
    "fg_clip": Options(
        dense="value", positives=PLAIN, row_negatives=False,
        weights={"lexeme_region": 0.1, "global_region": 0, "hard_negative": 0.5},
    ),
}  # fmt: skip
contrast, distance, hard = GlobalContrastiveLoss(), DistillationLoss(), HardNegativeLoss()


def described(model: Any, images: int, boxes: int) -> Batch:
    """A batch where each box has a description of its own and ten wrong ones, each image a short caption."""
    pixels, texts, grounding = draw(model, images, boxes)
    count, length = len(grounding.spans), texts.shape[1]
    rows = torch.zeros(count * (1 + WRONG) + images, length, dtype=torch.int64)
    words = 1 + torch.randint(2, 8, (len(rows),))
    place = torch.arange(length)
    rows = torch.where(place <= words[:, None], torch.randint(1000, 40000, rows.shape), rows)
    rows[:, 0], rows[torch.arange(len(rows)), words] = 49406, 49407
    own = torch.arange(count * (1 + WRONG))
    grounding = Grounding(
        boxes=grounding.boxes.cpu(), image_index=grounding.image_index.cpu(),
        spans=torch.stack([torch.ones_like(own), words[: len(own)]], 1), text_index=images + own,
        links=torch.stack([own[:count], own[:count]], 1), phrase_id=own,
        negatives=torch.stack([own[: count * WRONG] % count, count + own[: count * WRONG]], 1),
        more_captions=images + len(own) + torch.arange(images)[:, None],
    )  # fmt: skip
    return pixels, torch.cat([texts, rows.to(DEVICE)]), grounding.to(DEVICE)


def for_method(name: str, batch: Batch) -> Batch:
    """The part of the batch that a method uses."""
    images, texts, g = batch
    if name == "fg_clip":
        return batch
    count = len(g.boxes)
    described_only = Grounding(
        g.boxes.cpu(), g.image_index.cpu(), g.spans[:count].cpu(), g.text_index[:count].cpu(),
        g.links.cpu(), g.phrase_id[:count].cpu(),
    )  # fmt: skip
    return images, texts[: len(images) + count], described_only.to(DEVICE)


# ------------------------------------------------------------------ their own recipes


def regions(harmo: Harmonized, images: Tensor, g: Grounding, *, normalize: bool) -> Tensor:
    """One image pass, every patch projected, boxes pooled from the patches."""
    with harmo.capture() as captured:
        harmo.towers.encode_image(images)
    tower = harmo.towers.image
    dense = tower.dense(captured.image, "value")
    patches = tower.project(dense.tokens[:, dense.prefix :])
    return region_pool(
        l2_normalize(patches) if normalize else patches, g.boxes, g.image_index, grid=dense.grid
    )


def clipself(harmo: Harmonized, teacher: Any, batch: Batch) -> Tensor:
    images, _, g = batch
    with torch.no_grad():
        crops = teacher.encode_image(crop_boxes(images, g.boxes, g.image_index))
    return distance(regions(harmo, images, g, normalize=True), crops)


def fineclip(harmo: Harmonized, teacher: Any, batch: Batch) -> Tensor:
    (images, texts, g), model = batch, harmo.towers
    f, t = model.encode_image(images), model.encode_text(texts[: len(images)])
    r, p = regions(harmo, images, g, normalize=True), model.encode_text(texts[len(images) :])
    crops = model.encode_image(crop_boxes(images, g.boxes, g.image_index))
    scale = model.logit_scale
    return contrast(f, t, scale) + contrast(r, p, scale) + distance(r, crops, learn_target=True)


def fg_clip(harmo: Harmonized, teacher: Any, batch: Batch) -> Tensor:
    (images, texts, g), model = batch, harmo.towers
    count, scale = len(images), model.logit_scale
    f, r = model.encode_image(images), regions(harmo, images, g, normalize=False)
    long, phrases, short = model.encode_text(texts).split([count, len(g.spans), count])
    loss = contrast(f, long, scale) + contrast(f, short, scale)
    loss = loss + 0.1 * contrast(r, phrases[: len(r)], scale)
    return loss + 0.5 * hard(r, phrases, g.links, g.negatives, scale)


RECIPES: dict[str, Callable[[Harmonized, Any, Batch], Tensor]] = {
    "clipself": clipself,
    "fineclip": fineclip,
    "fg_clip": fg_clip,
}


def options_step(harmo: Harmonized, batch: Batch) -> Tensor:
    loss: Tensor = harmo(*batch)["loss"]
    return loss


def gated_steps(model: Any, batch: Batch) -> dict[str, Callable[[], Tensor]]:
    """The plain step twice, and both forms of each method, whose values agree."""
    teacher = copy.deepcopy(model).requires_grad_(False).eval()
    captions = batch[0], batch[1][: len(batch[0])], batch[2]
    plain = partial(clip_step, model, captions)
    found: dict[str, Callable[[], Tensor]] = {"clip": plain, "again": plain}
    for name, options in OPTIONS.items():
        given: dict[str, Any] = {}
        if name == "clipself":
            given = {"teacher": teacher, "weights": {**options.weights, "teacher": 0}}
        harmo, part = harmonize(model, options, **given), for_method(name, batch)
        found[name] = partial(options_step, harmo, part)
        found[f"{name}_recipe"] = partial(RECIPES[name], harmo, teacher, part)
        with torch.no_grad():
            values = found[name](), found[f"{name}_recipe"]()
        torch.testing.assert_close(*values, rtol=1e-3, atol=1e-3)
    return found
