"""Segment a data set with Hugging Face `datasets`, which shards, caches and spreads work over processes.

    python examples/segment_distributed.py captions.parquet phrases --processes 4

On many machines, give each one its part by `--part` and `--parts`, and load the folders together at the end.
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Any

import datasets
import typer

from harmoclip.segment import CaptionSegmenter


@cache
def segmenter() -> CaptionSegmenter:
    """One a process."""
    return CaptionSegmenter()


def add_phrases(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    found = list(segmenter().pipe(batch["caption"]))
    return {
        "spans": [[[phrase.start, phrase.end] for phrase in phrases] for phrases in found],
        "heads": [[phrase.head.lemma for phrase in phrases] for phrases in found],
    }


def main(
    source: Annotated[str, typer.Argument(help="Parquet, JSON lines or CSV with a column 'caption'")],
    output: Annotated[Path, typer.Argument(help="Folder for the result")],
    processes: Annotated[int, typer.Option(help="Processes on this machine")] = 2,
    part: Annotated[int, typer.Option(help="Which part this machine does")] = 0,
    parts: Annotated[int, typer.Option(help="How many machines there are")] = 1,
) -> None:
    form = {".parquet": "parquet", ".jsonl": "json", ".csv": "csv"}[Path(source).suffix]
    captions = datasets.load_dataset(form, data_files=source, split="train").shard(
        parts, part, contiguous=True
    )
    phrases = captions.map(add_phrases, batched=True, batch_size=256, num_proc=processes)
    phrases.save_to_disk(output / f"part-{part:05d}")
    print(f"{len(phrases)} captions -> {output / f'part-{part:05d}'}")


if __name__ == "__main__":
    typer.run(main)
