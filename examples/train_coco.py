"""Fine-tune any open_clip architecture on a folder in COCO's layout, phrases linked to boxes by words."""

from itertools import islice
from pathlib import Path
from typing import Annotated

import open_clip
import torch
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import harmoclip
from harmoclip.data import Collator, Loader, PhraseCache, Sample, transform_for
from harmoclip.data.formats.coco import CocoCaptions
from harmoclip.data.tools.contact_sheet import contact_sheet


def draw_linked(samples: CocoCaptions, path: Path, count: int = 12) -> None:
    """Draw the first sample with a link of each of `count` pictures."""
    shown: dict[str, Sample] = {}
    for index in range(len(samples)):
        sample = samples[index]
        if sample.links:
            shown.setdefault(sample.key, sample)
        if len(shown) == count:
            break
    contact_sheet(list(shown.values())).savefig(path, dpi=80)


def main(
    data: Annotated[Path, typer.Option(help="A folder in COCO's layout.")],
    model: Annotated[str, typer.Option(help="An architecture of open_clip.")] = "ViT-B-32",
    pretrained: Annotated[str | None, typer.Option(help="Its weights; random where left out.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Such as train2017; needed where there are several.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Optimizer steps.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Captions a step.")] = 16,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 1e-5,
    workers: Annotated[int, typer.Option(help="Processes that load data.")] = 0,
    out: Annotated[Path, typer.Option(help="Where the picture and the weights go.")] = Path("runs/coco"),
    seed: int = 0,
) -> None:
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    samples = CocoCaptions(data, split, segment=PhraseCache(out / "phrases.sqlite"))
    share = samples.link_share()
    print(
        f"{len(samples)} captions; linked: {share.boxes:.1%} of the boxes, {share.phrases:.1%} of the "
        f"phrases ({share.boxes_per_caption:.1%} of the boxes by any one caption)"
    )
    draw_linked(samples, out / "linked.png")

    clip, tokenizer = open_clip.create_model(model, pretrained=pretrained), open_clip.get_tokenizer(model)
    # whatever the model was trained with, plus a slight random crop; captions with a side are not mirrored
    loader = Loader(
        samples,
        Collator(tokenizer),
        transform=transform_for(clip, crop=(0.8, 1.0), flip=0.5),
        batch_size=batch_size,
        workers=workers,
        seed=seed,
    )
    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with harmoclip.harmonize(clip, tokenizer=tokenizer) as harmo, bar:
        optimizer = torch.optim.AdamW(harmo.parameters(), lr=lr)
        for images, texts, grounding in bar.track(
            islice(loader.endless(), steps), steps, description="training"
        ):
            losses = harmo(images, texts, grounding)
            optimizer.zero_grad()
            losses["loss"].backward()
            optimizer.step()
            said = "  ".join(
                f"{name.removesuffix('_loss')} {value.item():.3f}" for name, value in losses.items()
            )
            bar.console.print(said, highlight=False, soft_wrap=True)
    torch.save(clip.state_dict(), out / "model.pt")
    print(f"wrote {out / 'linked.png'} and {out / 'model.pt'}")


if __name__ == "__main__":
    typer.run(main)
