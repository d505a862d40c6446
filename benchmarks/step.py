"""The training step: plain CLIP, harmonized in several ways, and the recipe that encodes every box as a crop.

    python benchmarks/step.py --quick      # the figures of the last line
    python benchmarks/step.py              # and how the step grows with boxes; CSV and plot under results/
    python benchmarks/step.py --published  # CLIPSelf's, FineCLIP's and FG-CLIP's objectives; also CSV

The full run takes most of an hour. It and `--published` keep what they have measured in `--work`, and go on
where they were stopped.

A step is forward and backward of real sizes with random weights (the optimizer, equal for all, is left out).
Captions hold phrases as long, and as often repeated, as those of COCO's captions. Correctness comes first;
the rounds interleave the candidates, and every ratio is taken within a round. The plain CLIP step is measured
twice in a round, as `clip` and as `again`, and the others are compared with the mean of both; how far the two
are from each other is the noise. `pass` says whether the defaults keep within `TARGETS`, noise allowed for,
and `MEMORY_TARGET`.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import open_clip
import torch
from peak_memory import added_mib, peak_mib
from step_batch import DEVICE, Batch, clip_step, draw, seconds
from torch import Tensor, nn

from harmoclip import Grounding, harmonize
from harmoclip.losses import DistillationLoss, GlobalContrastiveLoss, LexemeRegionLoss
from harmoclip.ops import roi_align

RESULTS = Path(__file__).parent / "results"
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"dense": "plain", "lexemes": "spans"},
    "value": {"dense": "value", "lexemes": "spans"},
    "phrases": {"dense": "value", "lexemes": "phrases"},
}
TARGETS = {"ViT-B-32": 1.15, "ViT-B-16": 1.10}
"""The step of the defaults over the plain step, at most."""
MEMORY_TARGET = 1.10
ROUNDS = 5
Row = dict[str, Any]
Part = Callable[[str, Callable[[], Any]], Any]


# ------------------------------------------------------------------ the steps


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
    "again": clip_step,
    **{name: partial(harmonized_step, options) for name, options in VARIANTS.items()},
    "crops": crop_step,
}


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
    """One row for each way to attach harmoclip, and for the recipe with crops."""
    model = fresh(name)
    batch = draw(model, images, boxes)
    gate(model, batch)
    steps = {n: partial(step, model, batch) for n, step in STEPS.items() if n != "crops" or crops}
    distinct = len(batch[2].plan.first) / max(1, len(batch[2].spans))
    about = {"model": name, "images": images, "boxes": boxes, "distinct": round(distinct, 3)}
    return measured(model, steps, rounds, about, once=("crops",))


def compare_published(name: str, images: int, boxes: int, rounds: int) -> list[Row]:
    """One row for each published objective as options, and for each by its own recipe."""
    from published_steps import described, gated_steps

    model = fresh(name)
    steps = gated_steps(model, described(model, images, boxes))
    about = {"model": name, "images": images, "boxes": boxes}
    return measured(model, steps, rounds, about, once=("fg_clip_recipe",))


def fresh(name: str) -> Any:
    """A model with the same random weights every time."""
    torch.manual_seed(0)
    return open_clip.create_model(name, pretrained=None).to(DEVICE).train()


def measured(
    model: Any, steps: Mapping[str, Callable[[], Tensor]], rounds: int, about: Row, once: Sequence[str]
) -> list[Row]:
    """One row for each step: seconds, ratio to the plain step within each round, peak memory.

    Steps that are many times slower than all others are taken `once`, in the first round.
    """
    names = list(steps)
    peaks = {n: peak_mib(partial(seconds, model, steps[n]), DEVICE) for n in names}  # warms up as well
    times: dict[str, list[float]] = {n: [] for n in names}
    for turn in range(rounds):
        for n in names[turn % len(names) :] + names[: turn % len(names)]:
            if n not in once or turn == 0:
                times[n].append(seconds(model, steps[n]))
    pairs = list(zip(times["clip"], times["again"], strict=True))
    plain = [statistics.mean(pair) for pair in pairs]
    off = statistics.median(abs(again / first - 1) for first, again in pairs)
    rows = []
    for n in names:
        ratios = [a / b for a, b in zip(times[n], plain, strict=False)]
        low, _, high = quantiles(times[n])
        rows.append(
            {
                **about, "step": n,
                "seconds": statistics.median(times[n]), "seconds_p20": low, "seconds_p80": high,
                "over_clip": statistics.median(ratios), "noise": off,
                "peak_mb": peaks[n], "memory_over_clip": peaks[n] / peaks["clip"],
            }
        )  # fmt: skip
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    return rows


def quantiles(values: list[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    cuts = statistics.quantiles(values, n=10, method="inclusive")
    return cuts[1], statistics.median(values), cuts[7]


def noise(rows: list[Row]) -> float:
    """How far the same step is from itself in a round."""
    return round(max(row["noise"] for row in rows), 3)


def passed(rows: list[Row]) -> bool:
    """Whether the defaults cost no more than they may, as far as the noise lets it be told."""
    margin = noise(rows)
    return all(
        row["over_clip"] <= TARGETS[row["model"]] + margin and row["memory_over_clip"] <= MEMORY_TARGET
        for row in rows
        if row["step"] == "phrases"
    )


def worst(rows: list[Row], step: str, column: str = "over_clip") -> float:
    return round(max(row[column] for row in rows if row["step"] == step), 3)


def plot(rows: list[Row], pairs: list[tuple[int, float]], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), constrained_layout=True)
    for name, axis in zip(("ViT-B-32", "ViT-B-16"), axes, strict=False):
        for step in [name for name in STEPS if name != "again"]:
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


def write_csv(rows: list[Row], name: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def by_boxes(part: Part, quick: bool) -> dict[str, float | bool]:
    """The figures of the first table; without `quick` the curves over boxes too."""
    sizes = (2048, 4096, 8192) if quick else (2048, 4096, 8192, 16384, 32768)
    pairs = [(n, part(f"pairs-{n}", partial(loss_memory, n))) for n in sizes]
    print({n: round(mb) for n, mb in pairs}, "MB of the lexeme-region loss by pairs", flush=True)
    # small batches hold few equal phrases, and weigh the fixed costs of a pass more than training does
    rows: list[Row] = []
    for name, images in (
        (("ViT-B-32", 16), ("ViT-B-16", 12)) if quick else (("ViT-B-32", 32), ("ViT-B-16", 16))
    ):
        rows += part(name, partial(compare, name, images, 10, ROUNDS, crops=not quick or name == "ViT-B-32"))
    summary = {
        "plain_over_clip": worst(rows, "plain"),
        "value_over_clip": worst(rows, "value"),
        "phrases_over_clip": worst(rows, "phrases"),
        "crops_over_clip": worst(rows, "crops"),
        "memory_over_clip": max(worst(rows, step, "memory_over_clip") for step in VARIANTS),
        "loss_memory_exponent": round(slope(pairs), 3),
        "noise": noise(rows),
        "pass": passed(rows),
    }
    if not quick:
        for name, images in (("ViT-B-32", 8), ("ViT-B-16", 3)):
            for boxes in (0, 1, 3, 30, 50):
                rows += part(f"{name}-{boxes}", partial(compare, name, images, boxes, 3, crops=boxes > 0))
        write_csv(rows, "step.csv")
        plot(rows, pairs, RESULTS / "step.png")
    return summary


def by_objective(part: Part) -> dict[str, float]:
    """What each published objective costs as options, and by its own recipe."""
    rows: list[Row] = []
    for name, images, rounds in (("ViT-B-32", 4, 3), ("ViT-B-16", 2, 2)):
        rows += part(f"published-{name}", partial(compare_published, name, images, boxes=3, rounds=rounds))
    write_csv(rows, "published_steps.csv")
    return {f"{name}_over_clip": worst(rows, name) for name in dict.fromkeys(row["step"] for row in rows)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only what the last line needs")
    parser.add_argument("--published", action="store_true", help="only the published objectives")
    parser.add_argument("--work", type=Path, default=Path("runs/step"), help="where a run keeps its parts")
    arguments = parser.parse_args()
    quick: bool = arguments.quick

    def part(name: str, work: Callable[[], Any]) -> Any:
        return work() if quick else kept(arguments.work / f"{name}.json", work)

    summary: Mapping[str, float | bool] = by_objective(part) if arguments.published else by_boxes(part, quick)
    where = torch.cuda.get_device_name() if DEVICE == "cuda" else f"{platform.machine()} CPU"
    about = {"torch": torch.__version__, "device": where, "threads": torch.get_num_threads()}
    print(json.dumps({**summary, **about}))


if __name__ == "__main__":
    main()
