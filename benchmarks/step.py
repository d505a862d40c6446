"""The training step: plain CLIP, harmonized in several ways, and the recipe that encodes every box as a crop.

    python benchmarks/step.py --quick    # the figures of the last line
    python benchmarks/step.py            # and how the step grows with boxes; CSV and plot under results/

The full run takes most of an hour, keeps what it has measured in `--work`, and goes on where it was stopped.

A step is forward and backward of real sizes with random weights (the optimizer, equal for all, is left out).
Captions hold phrases as long, and as often repeated, as those of COCO's captions. Correctness comes first;
the rounds interleave the candidates, and every ratio is taken within a round.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import open_clip
import torch
from peak_memory import added_mib, peak_mib
from torch import Tensor, nn

from harmoclip import Grounding, harmonize
from harmoclip.losses import DistillationLoss, GlobalContrastiveLoss, LexemeRegionLoss
from harmoclip.ops import roi_align

RESULTS = Path(__file__).parent / "results"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"dense": "plain", "lexemes": "spans"},
    "value": {"dense": "value", "lexemes": "spans"},
    "phrases": {"dense": "value", "lexemes": "phrases"},
}
# of the phrases in COCO's captions (3000 of them, CLIP's tokenizer): lengths in tokens, and their shares
LENGTHS, SHARES = (1, 2, 3, 4, 5, 6, 7), (0.114, 0.512, 0.232, 0.099, 0.031, 0.008, 0.004)
VOCABULARY, EXPONENT = 3500, 0.75  # distinct phrases by Zipf's law: 90 % of 80, 80 % of 320, 55 % of 2560
Batch = tuple[Tensor, Tensor, Grounding]
Row = dict[str, Any]


def draw(model: Any, images: int, boxes: int) -> Batch:
    """Random images; captions whose phrases come from a small language; a phrase for each box."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.multinomial(torch.tensor(SHARES), VOCABULARY, replacement=True, generator=generator)
    words = torch.randint(1000, 40000, (VOCABULARY, max(LENGTHS)), generator=generator)
    popular = torch.arange(1, VOCABULARY + 1).float() ** -EXPONENT
    size: int = model.visual.image_size[0]
    texts = torch.zeros(images, 77, dtype=torch.int64)
    texts[:, 0] = 49406
    groundings = []
    for row in texts:
        ids = (
            torch.multinomial(popular, boxes, replacement=True, generator=generator).tolist() if boxes else []
        )
        spans: list[tuple[int, int]] = []
        position = 1
        for phrase in ids:
            end = position + LENGTHS[int(lengths[phrase])]
            if end > 75:  # a caption holds only so many; the first phrase stands for the rest
                spans.append(spans[0])
                continue
            row[position:end] = words[phrase, : end - position]
            spans.append((position, end))
            position = end
        row[position] = 49407
        ids = [phrase if spans[i] != spans[0] else ids[0] for i, phrase in enumerate(ids)]
        corner, own = torch.rand(boxes, 2, generator=generator) * 0.6, torch.arange(boxes)
        extent = 0.1 + 0.3 * torch.rand(boxes, 2, generator=generator)
        zero = torch.zeros(boxes, dtype=torch.int64)
        groundings.append(
            Grounding(
                boxes=torch.cat([corner, corner + extent], 1),
                image_index=zero,
                spans=torch.tensor(spans, dtype=torch.int64).view(-1, 2),
                text_index=zero,
                links=torch.stack([own, own], 1),
                phrase_id=torch.tensor(ids, dtype=torch.int64),
            )
        )
    pixels = torch.randn(images, 3, size, size, generator=generator)
    return pixels.to(DEVICE), texts.to(DEVICE), Grounding.collate(groundings).to(DEVICE)


# ------------------------------------------------------------------ the steps


def clip_step(model: Any, batch: Batch) -> Tensor:
    images, texts, _ = batch
    return GlobalContrastiveLoss()(model.encode_image(images), model.encode_text(texts), model.logit_scale)


def harmonized_step(options: dict[str, Any], model: nn.Module, batch: Batch) -> Tensor:
    with harmonize(model, **options) as harmo:
        return harmo(*batch)["loss"]


def crop_step(model: Any, batch: Batch) -> Tensor:
    """Every box cut out, resized and encoded, as the target of its pooled feature; a CLIP step beside it."""
    images, texts, grounding = batch
    size = tuple(images.shape[-2:])
    with harmonize(model, dense="value", lexemes="spans") as harmo:
        with harmo.capture() as captured:
            vectors = model.encode_image(images), model.encode_text(texts)
        scale = grounding.boxes.new_tensor([size[1], size[0], size[1], size[0]])
        rois = torch.cat([grounding.image_index[:, None].float(), grounding.boxes * scale], 1)
        with torch.no_grad():
            crops = model.encode_image(roi_align(images, rois, size, aligned=True))
        tower = harmo.towers.image
        dense = tower.dense(captured.image, "value")
        regions = tower.regions(dense, "value", grounding.boxes, grounding.image_index)
    return GlobalContrastiveLoss()(*vectors, model.logit_scale) + DistillationLoss()(regions, crops)


STEPS: dict[str, Callable[[nn.Module, Batch], Tensor]] = {
    "clip": clip_step,
    **{name: partial(harmonized_step, options) for name, options in VARIANTS.items()},
    "crops": crop_step,
}


def take(name: str, model: nn.Module, batch: Batch) -> float:
    """Seconds of one step of this name."""
    return seconds(model, partial(STEPS[name], model, batch))


def seconds(model: nn.Module, step: Callable[[], Tensor]) -> float:
    """Seconds of one forward and backward."""
    model.zero_grad(set_to_none=True)
    synchronize()
    start = time.perf_counter()
    step().backward()
    synchronize()
    return time.perf_counter() - start


def synchronize() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


# ------------------------------------------------------------------ memory


def loss_memory(pairs: int) -> float:
    """Megabytes that forward and backward of the lexeme-region loss take beside its inputs' own."""
    regions, lexemes = (torch.randn(pairs, 512, device=DEVICE, requires_grad=True) for _ in range(2))
    index = torch.arange(pairs, device=DEVICE)
    boxes = torch.tensor([[0.1, 0.1, 0.5, 0.5]], device=DEVICE).expand(pairs, 4)
    scale = torch.tensor(3.0, device=DEVICE, requires_grad=True)

    def work() -> None:
        links = torch.stack([index, index], 1)
        LexemeRegionLoss()(regions, lexemes, links, index % 997, index // 10, scale, boxes=boxes).backward()

    return added_mib(work, DEVICE)


def slope(points: list[tuple[int, float]]) -> float:
    """The exponent of a power law through points, by least squares on logarithms."""
    x, y = zip(*((math.log(a), math.log(b)) for a, b in points), strict=True)
    return statistics.linear_regression(x, y).slope


# ------------------------------------------------------------------ the measurement


def gate(model: Any, batch: Batch) -> None:
    """Attached or not, the model gives the same bits; the harmonized global loss is CLIP's own."""
    images, texts, _ = batch
    few = images[:2], texts[:2], Grounding.empty(DEVICE)
    with torch.no_grad():
        plain = model.encode_image(few[0]), model.encode_text(few[1])
        loss = open_clip.loss.ClipLoss()(
            *(v / v.norm(dim=1, keepdim=True) for v in plain), model.logit_scale.exp()
        )
        for options in VARIANTS.values():
            with harmonize(model, **options) as harmo:
                losses = harmo(*few)
                with harmo.capture():
                    same = model.encode_image(few[0]), model.encode_text(few[1])
            assert all(torch.equal(a, b) for a, b in zip(plain, same, strict=True))
            torch.testing.assert_close(losses["global_contrastive_loss"], loss)


def compare(name: str, images: int, boxes: int, rounds: int, crops: bool) -> list[Row]:
    """One row for each candidate: seconds, ratio to CLIP within each round, peak memory."""
    torch.manual_seed(0)
    model = open_clip.create_model(name, pretrained=None).to(DEVICE).train()
    batch = draw(model, images, boxes)
    gate(model, batch)
    names = [n for n in STEPS if n != "crops" or crops]
    peaks = {n: peak_mib(partial(take, n, model, batch), DEVICE) for n in names}  # warms up as well
    times: dict[str, list[float]] = {n: [] for n in names}
    for turn in range(rounds):
        order = names[turn % len(names) :] + names[: turn % len(names)]
        for n in order:
            if n != "crops" or turn == 0:  # many times slower than all others: once is enough
                times[n].append(take(n, model, batch))
    distinct = len(batch[2].plan.first) / max(1, len(batch[2].spans))
    rows = []
    for n in names:
        ratios = [a / b for a, b in zip(times[n], times["clip"], strict=False)]
        low, _, high = quantiles(times[n])
        rows.append(
            {
                "model": name, "images": images, "boxes": boxes, "distinct": round(distinct, 3), "step": n,
                "seconds": statistics.median(times[n]), "seconds_p20": low, "seconds_p80": high,
                "over_clip": statistics.median(ratios), "peak_mb": peaks[n],
                "memory_over_clip": peaks[n] / peaks["clip"],
            }
        )  # fmt: skip
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    return rows


def quantiles(values: list[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    cuts = statistics.quantiles(values, n=10, method="inclusive")
    return cuts[1], statistics.median(values), cuts[7]


def worst(rows: list[Row], step: str, column: str = "over_clip") -> float:
    return round(max(row[column] for row in rows if row["step"] == step), 3)


def plot(rows: list[Row], pairs: list[tuple[int, float]], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), constrained_layout=True)
    for name, axis in zip(("ViT-B-32", "ViT-B-16"), axes, strict=False):
        for step in STEPS:
            points = [(r["boxes"], r["over_clip"]) for r in rows if (r["model"], r["step"]) == (name, step)]
            axis.plot(*zip(*sorted(points), strict=True), marker="o", label=step)
        axis.set(title=name, xlabel="boxes an image", ylabel="time of a step / plain CLIP", yscale="log")
        axis.legend()
    axes[2].loglog(*zip(*pairs, strict=True), marker="o", base=2)
    axes[2].set(title="lexeme-region loss", xlabel="pairs of all ranks", ylabel="peak memory, MB")
    figure.savefig(file, dpi=120)
    plt.close(figure)


def kept(file: Path, work: Callable[[], Any]) -> Any:
    """The result of `work`, from its file where an earlier run left it."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.with_suffix(".part").write_text(json.dumps(work()))
        file.with_suffix(".part").rename(file)
    return json.loads(file.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only what the last line needs")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/step"), help="where the full run keeps its parts"
    )
    arguments = parser.parse_args()
    quick = arguments.quick

    def part(name: str, work: Callable[[], Any]) -> Any:
        return work() if quick else kept(arguments.work / f"{name}.json", work)

    sizes = (2048, 4096, 8192) if quick else (2048, 4096, 8192, 16384, 32768)
    pairs = [(n, part(f"pairs-{n}", partial(loss_memory, n))) for n in sizes]
    print({n: round(mb) for n, mb in pairs}, "MB of the lexeme-region loss by pairs", flush=True)
    # small batches hold few equal phrases, and weigh the fixed costs of a pass more than training does
    rows: list[Row] = []
    for name, images, crops in (
        ("ViT-B-32", 16 if quick else 32, not quick), ("ViT-B-16", 2 if quick else 16, True)
    ):  # fmt: skip
        rows += part(name, partial(compare, name, images, 10, 3, crops))
    summary = {
        "plain_over_clip": worst(rows, "plain"),
        "value_over_clip": worst(rows, "value"),
        "phrases_over_clip": worst(rows, "phrases"),
        "crops_over_clip": worst(rows, "crops"),
        "memory_over_clip": max(worst(rows, step, "memory_over_clip") for step in VARIANTS),
        "loss_memory_exponent": round(slope(pairs), 3),
    }
    if not quick:
        for name, images in (("ViT-B-32", 8), ("ViT-B-16", 3)):
            for boxes in (0, 1, 3, 30, 50):
                rows += part(f"{name}-{boxes}", partial(compare, name, images, boxes, 3, crops=boxes > 0))
        RESULTS.mkdir(exist_ok=True)
        with (RESULTS / "step.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        plot(rows, pairs, RESULTS / "step.png")
    where = torch.cuda.get_device_name() if DEVICE == "cuda" else f"{platform.machine()} CPU"
    print(
        json.dumps(
            {**summary, "torch": torch.__version__, "device": where, "threads": torch.get_num_threads()}
        )
    )


if __name__ == "__main__":
    main()
