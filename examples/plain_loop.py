"""Harmonize an open_clip model and train it in a plain PyTorch loop."""

from typing import Any

import open_clip
import torch
import typer
from torch.utils.data import DataLoader

import harmoclip
from harmoclip.data import Batch, Collator, transform_for
from harmoclip.data.scenes import Scenes


def main(
    name: str = "ViT-B-32", pretrained: str | None = None, steps: int = 20, batch_size: int = 16
) -> None:
    model = open_clip.create_model(name, pretrained=pretrained)
    transform = transform_for(model)
    tokenizer = open_clip.get_tokenizer(name)

    # the model's own preprocessing, with the boxes moved along
    samples: Any = [transform(s) for s in Scenes("train", 4 * batch_size).render()]
    loader: DataLoader[Batch] = DataLoader(
        samples, batch_size, shuffle=True, drop_last=True, collate_fn=Collator(tokenizer)
    )

    with harmoclip.harmonize(model, tokenizer=tokenizer) as harmo:
        print(harmo)
        optimizer = torch.optim.AdamW(harmo.parameters(), lr=1e-5)
        step = 0
        while step < steps:
            for images, texts, grounding in loader:
                losses = harmo(images, texts, grounding)
                optimizer.zero_grad()
                losses["loss"].backward()
                optimizer.step()
                step += 1
                print(f"step {step:3d}  " + "  ".join(f"{k} {v.item():.3f}" for k, v in losses.items()))
                if step == steps:
                    break
    print("the model is the plain open_clip model again, trained")


if __name__ == "__main__":
    typer.run(main)
