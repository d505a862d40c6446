"""Boxes and captions without links: a model says which phrase belongs to which box.

By default on generated scenes, whose own links then tell how often the model is right; `--data` takes a
JSON lines file, whose boxes are of `--unit` and `--box-format`. A model without weights guesses: give
`--pretrained` a name of open_clip or a file that `harmoclip train` wrote. `harmoclip data prepare` does
the same for a whole data set and writes it down.
"""

from pathlib import Path

import open_clip
import typer
from rich.progress import track

import harmoclip
from harmoclip.boxes import Unit
from harmoclip.data import Sample, transform_for
from harmoclip.data.formats.boxes import BoxFormat
from harmoclip.data.formats.json_lines import JsonLines
from harmoclip.data.linking.by_similarity import Assignment, link, model_similarity
from harmoclip.data.scenes import Scenes
from harmoclip.data.tools.contact_sheet import contact_sheet


def main(
    data: Path | None = None,
    unit: Unit = "fraction",
    box_format: BoxFormat = "xyxy",
    model: str = "ViT-B-32",
    pretrained: str | None = None,
    assignment: Assignment = "transport",
    threshold: float = 0.5,
    count: int = 12,
    out: Path = Path("linked.png"),
) -> None:
    clip = open_clip.create_model(model, pretrained=pretrained).eval()
    tokenizer, transform = open_clip.get_tokenizer(model), transform_for(clip)
    samples = Scenes("test", count) if data is None else JsonLines(data, unit=unit, box_format=box_format)

    linked: list[Sample] = []
    right = found = 0
    with harmoclip.harmonize(clip, tokenizer=tokenizer) as harmo:
        for index in track(range(min(count, len(samples))), description="linking"):
            sample = samples[index]
            similarity = model_similarity(harmo, tokenizer, transform, sample)
            guess, matches = link(sample, similarity, assignment=assignment, threshold=threshold)
            right += len({*guess.links} & {*sample.links})
            found += len(matches)
            linked.append(guess)

    known = sum(len(samples[i].links) for i in range(len(linked)))
    print(f"{found} links; {right} of them among the {known} that the data already had")
    contact_sheet(linked).savefig(out, dpi=80)
    print(f"the picture is {out}")


if __name__ == "__main__":
    typer.run(main)
