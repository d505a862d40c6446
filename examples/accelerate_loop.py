"""Train in your own loop on Accelerate: `accelerate launch examples/accelerate_loop.py`."""

from typing import Any

import open_clip
import torch
import typer
from accelerate import Accelerator
from torch.utils.data import DataLoader

import harmoclip
from harmoclip.data import Batch, Collator, transform_for
from harmoclip.data.scenes import Scenes


def main(
    name: str = "ViT-B-32", pretrained: str | None = None, steps: int = 10, batch_size: int = 16
) -> None:
    accelerator = Accelerator()
    model, tokenizer = open_clip.create_model(name, pretrained=pretrained), open_clip.get_tokenizer(name)
    transform = transform_for(model)
    samples: Any = [transform(s) for s in Scenes("train", steps * batch_size).render()]
    loader: DataLoader[Batch] = DataLoader(samples, batch_size, collate_fn=Collator(tokenizer))

    harmo = harmoclip.harmonize(model, tokenizer=tokenizer)
    optimizer = torch.optim.AdamW(harmo.parameters(), lr=1e-4)
    harmo, optimizer, loader = accelerator.prepare(harmo, optimizer, loader)
    for step, (images, texts, grounding) in enumerate(loader, 1):
        with accelerator.accumulate(harmo):
            losses = harmo(images, texts, grounding)
            accelerator.backward(losses["loss"])
            optimizer.step()
            optimizer.zero_grad()
        accelerator.print(f"step {step:3d}  loss {losses['loss'].item():.3f}")


if __name__ == "__main__":
    typer.run(main)
