"""The whole data pipeline against a bare open_clip preprocessing loop over the same photographs.

Ours reads COCO's captions and boxes, links phrases that are segmented once and kept, moves the boxes, and
collates token ids and groundings. The bare loop opens each picture, preprocesses it with open_clip's own
transform and stacks; it knows neither texts nor boxes. Both run in one process. Correctness is checked
first: the pixels have to be the same to the last bit. The rounds interleave both sides.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import open_clip
import torch
import torchvision
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import Tensor

from harmoclip import CaptionSegmenter
from harmoclip.data import Batch, Collator, transform_for
from harmoclip.data.coco import CocoCaptions

RESULTS = Path(__file__).parent / "results"
BATCH = 16


def timed(work: Callable[[int], Any], at: int) -> float:
    gc.collect()
    start = time.perf_counter()
    work(at)
    return time.perf_counter() - start


def quantiles(seconds: list[float], samples: int) -> dict[str, float]:
    p20, *_, p80 = statistics.quantiles(seconds, n=5)
    return {
        "ms_a_sample": 1e3 * statistics.median(seconds) / samples,
        "p20": 1e3 * p20 / samples,
        "p80": 1e3 * p80 / samples,
        "samples_a_second": samples / statistics.median(seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="a folder in COCO's layout; by default $HARMOCLIP_DATA/coco-mini"
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="three rounds")
    options = parser.parse_args()
    root = options.data or Path(os.environ.get("HARMOCLIP_DATA", ".")) / "coco-mini"
    torch.set_num_threads(1)

    samples = CocoCaptions(root, segment=cache(CaptionSegmenter()))
    share = samples.link_share()  # every caption is segmented here
    chosen = range(0, len(samples), 5)  # one caption a picture
    paths = [root / samples.split / samples.key(i) for i in chosen]

    config = PreprocessCfg(size=224)
    preprocess = image_transform_v2(config, is_train=False)
    transform, collate = transform_for(config), Collator(open_clip.get_tokenizer("ViT-B-32"))

    def bare(at: int) -> Tensor:
        return torch.stack([preprocess(Image.open(path).convert("RGB")) for path in paths[at : at + BATCH]])

    def ours(at: int) -> Batch:
        return collate([transform(samples[i]) for i in chosen[at : at + BATCH]])

    steps = range(0, len(paths), BATCH)
    for at in steps:
        torch.testing.assert_close(ours(at).images, bare(at), rtol=0, atol=0)
    print(f"the pixels of {len(paths)} photographs are the same, bit for bit")

    rounds = 3 if options.quick else options.rounds
    seconds: dict[str, list[float]] = {"ours": [0.0] * rounds, "bare": [0.0] * rounds}
    for turn in range(rounds):
        for at in steps:  # batch by batch, so that a disturbance meets both
            seconds["ours"][turn] += timed(ours, at)
            seconds["bare"][turn] += timed(bare, at)
    table = {name: quantiles(times, len(paths)) for name, times in seconds.items()}
    for name, row in table.items():
        print(
            f"{name}  {row['ms_a_sample']:6.2f} ms a sample (p20 {row['p20']:.2f}, p80 {row['p80']:.2f}), "
            f"{row['samples_a_second']:.0f} samples a second"
        )
    ratios = [a / b for a, b in zip(seconds["ours"], seconds["bare"], strict=True)]
    result = {
        "overhead": statistics.median(ratios),
        "link_share_coco": share.boxes,
        "link_share_coco_one_caption": share.boxes_per_caption,
        "linked_phrases": share.phrases,
        "samples": len(paths),
        **{f"{name}_samples_a_second": row["samples_a_second"] for name, row in table.items()},
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "machine": platform.machine(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "data.json").write_text(json.dumps({**result, "table": table}, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
