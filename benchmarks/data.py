"""The whole data pipeline against a bare open_clip preprocessing loop over the same photographs.

Ours reads captions and boxes, looks the phrases up in a `PhraseCache`, links them, moves the boxes, and
collates token ids and groundings. The bare loop opens each photograph, preprocesses it with open_clip's own
transform and stacks; it knows neither texts nor boxes. Both run in one process. Correctness is checked
first: the pixels have to be the same to the last bit. The rounds interleave both sides.

Decoding is timed on its own, too: Pillow against torchvision's decoder made into the Pillow image that the
exact resize needs.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import open_clip
import PIL
import torch
import torchvision
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg, read_file

from harmoclip.data import Batch, Collator, PhraseCache, transform_for
from harmoclip.data.formats.captioned import LinkShare
from harmoclip.data.formats.coco import CocoCaptions
from harmoclip.images import open_image

RESULTS = Path(__file__).parent / "results"
BATCH = 16


def interleaved(
    sides: Mapping[str, Callable[[int], object]], steps: range, rounds: int
) -> dict[str, list[float]]:
    """Seconds of each side and round; the sides alternate by batch, so that a disturbance meets both."""
    seconds = {name: [0.0] * rounds for name in sides}
    for turn in range(rounds):
        for at in steps:
            for name, work in sides.items():
                start = time.perf_counter()
                work(at)
                seconds[name][turn] += time.perf_counter() - start
    return seconds


def quantiles(seconds: list[float], samples: int) -> dict[str, float]:
    p20, *_, p80 = statistics.quantiles(seconds, n=5)
    return {
        "ms_a_sample": 1e3 * statistics.median(seconds) / samples,
        "p20": 1e3 * p20 / samples,
        "p80": 1e3 * p80 / samples,
        "samples_a_second": samples / statistics.median(seconds),
    }


def decode_with_pillow(paths: list[Path]) -> list[Image.Image]:
    return [open_image(path) for path in paths]


def decode_with_torchvision(paths: list[Path]) -> list[Image.Image]:
    pixels = (decode_jpeg(read_file(str(path)), mode=ImageReadMode.RGB) for path in paths)
    return [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in pixels]


def pipelines(
    samples: CocoCaptions, rows: range, paths: list[Path]
) -> tuple[Callable[[int], Batch], Callable[[int], Tensor]]:
    """Ours and the bare loop: from the first place of a batch to the batch."""
    config = PreprocessCfg(size=224)
    preprocess = image_transform_v2(config, is_train=False)
    transform, collate = transform_for(config), Collator(open_clip.get_tokenizer("ViT-B-32"))

    def ours(at: int) -> Batch:
        return collate([transform(samples[i]) for i in rows[at : at + BATCH]])

    def bare(at: int) -> Tensor:
        return torch.stack([preprocess(Image.open(path)) for path in paths[at : at + BATCH]])

    return ours, bare


def check(ours: Callable[[int], Batch], bare: Callable[[int], Tensor], paths: list[Path]) -> None:
    """Raise where the two sides, or the two decoders, differ in a pixel."""
    for at in range(0, len(paths), BATCH):
        torch.testing.assert_close(ours(at).images, bare(at), rtol=0, atol=0)
        batch = paths[at : at + BATCH]
        for one, other in zip(decode_with_pillow(batch), decode_with_torchvision(batch), strict=True):
            assert one.tobytes() == other.tobytes()
    print(f"the pixels of {len(paths)} photographs are the same, bit for bit")


def report(seconds: dict[str, list[float]], share: LinkShare, samples: int) -> None:
    """Print a line a side and the result as JSON, and write it."""
    table = {name: quantiles(times, samples) for name, times in seconds.items()}
    for name, row in table.items():
        print(
            f"{name:18}  {row['ms_a_sample']:6.2f} ms a sample (p20 {row['p20']:.2f}, p80 {row['p80']:.2f}), "
            f"{row['samples_a_second']:.0f} samples a second"
        )
    ratios = [a / b for a, b in zip(seconds["ours"], seconds["bare"], strict=True)]
    result = {
        "overhead": statistics.median(ratios),
        "link_share_coco": share.boxes,
        "link_share_coco_one_caption": share.boxes_per_caption,
        "linked_phrases": share.phrases,
        "samples": samples,
        **{f"{name}_samples_a_second": row["samples_a_second"] for name, row in table.items()},
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "pillow": PIL.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores",
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "data.json").write_text(json.dumps({**result, "table": table}, indent=1) + "\n")
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="a folder in COCO's layout; by default $HARMOCLIP_DATA/coco-mini"
    )
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--quick", action="store_true", help="three rounds")
    options = parser.parse_args()
    root = options.data or Path(os.environ.get("HARMOCLIP_DATA", ".")) / "coco-mini"
    rounds = 3 if options.quick else options.rounds
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        samples = CocoCaptions(root, segment=PhraseCache(Path(folder) / "phrases.sqlite"))
        share = samples.link_share()  # every caption is segmented here
        rows = range(0, len(samples), 5)  # one caption a photograph
        paths = [root / samples.split / samples.key(i) for i in rows]
        steps = range(0, len(paths), BATCH)
        ours, bare = pipelines(samples, rows, paths)
        check(ours, bare, paths)
        seconds = interleaved({"ours": ours, "bare": bare}, steps, rounds)
    seconds |= interleaved(
        {
            "decode_pillow": lambda at: decode_with_pillow(paths[at : at + BATCH]),
            "decode_torchvision": lambda at: decode_with_torchvision(paths[at : at + BATCH]),
        },
        steps,
        rounds,
    )
    report(seconds, share, len(paths))


if __name__ == "__main__":
    main()
