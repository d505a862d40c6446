"""Harmonize a Hugging Face `CLIPModel` and ask it for the vectors of boxes."""

import torch
import typer
from transformers import AutoImageProcessor

import harmoclip
from harmoclip.data import Collator, transform_for
from harmoclip.data.scenes import Scenes


def main(name: str = "openai/clip-vit-base-patch32", steps: int = 10, batch_size: int = 16) -> None:
    loaded = harmoclip.load_model(f"hf:{name}")
    transform = transform_for(AutoImageProcessor.from_pretrained(name))
    model = loaded.model  # a transformers.CLIPModel as it is
    samples = [transform(s) for s in Scenes("train", batch_size).render()]
    images, texts, grounding = Collator(loaded.tokenizer)(samples)

    harmo = harmoclip.harmonize(model, tokenizer=loaded.tokenizer)
    optimizer = torch.optim.AdamW(harmo.parameters(), lr=1e-4)
    for step in range(1, steps + 1):
        losses = harmo(images, texts, grounding)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        print(f"step {step:3d}  loss {losses['loss'].item():.3f}")

    vectors = harmo.encode_regions(images, [s.boxes for s in samples])
    print(f"{len(vectors)} boxes have vectors of {vectors.shape[1]} numbers")
    harmo.remove()
    print(f"{type(model).__name__}.save_pretrained writes it as ever")


if __name__ == "__main__":
    typer.run(main)
