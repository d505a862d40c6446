"""Keep your own forward and your own loss, and add the region loss to it."""

import open_clip
import torch
import typer
from open_clip.loss import ClipLoss

import harmoclip
from harmoclip.data import Collator, transform_for
from harmoclip.data.scenes import Scenes


def main(
    name: str = "ViT-B-32", pretrained: str | None = None, steps: int = 10, batch_size: int = 16
) -> None:
    model = open_clip.create_model(name, pretrained=pretrained)
    transform = transform_for(model)
    tokenizer = open_clip.get_tokenizer(name)
    collate = Collator(tokenizer)
    samples = [transform(s) for s in Scenes("train", batch_size).render()]
    images, texts, grounding = collate(samples)

    harmo = harmoclip.harmonize(model, tokenizer=tokenizer, weights={"lexeme_region": 0.5})
    my_loss = ClipLoss()
    optimizer = torch.optim.AdamW(harmo.parameters(), lr=1e-4)
    for step in range(1, steps + 1):
        with harmo.capture() as captured:
            image_vectors = model.encode_image(images, normalize=True)
            text_vectors = model.encode_text(texts, normalize=True)
        mine = my_loss(image_vectors, text_vectors, model.logit_scale.exp())
        regions = harmo.region_loss(captured, grounding)
        optimizer.zero_grad()
        (mine + regions).backward()
        optimizer.step()
        print(f"step {step:3d}  mine {mine.item():.3f}  regions {regions.item():.3f}")


if __name__ == "__main__":
    typer.run(main)
