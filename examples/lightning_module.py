"""Train with Lightning: the harmonized model is an attribute, its loss is the step."""

from typing import Any

import lightning
import open_clip
import torch
import typer
from torch.utils.data import DataLoader

import harmoclip
from harmoclip.data import Batch, Collator, transform_for
from harmoclip.data.scenes import Scenes
from harmoclip.tokenizers import Tokenizer


class RegionModule(lightning.LightningModule):
    """A harmonized model that Lightning trains."""

    def __init__(self, model: torch.nn.Module, tokenizer: Tokenizer, learning_rate: float) -> None:
        super().__init__()
        self.harmo = harmoclip.harmonize(model, tokenizer=tokenizer)
        self.learning_rate = learning_rate

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        """The whole objective."""
        losses = self.harmo(*batch)
        self.log_dict(losses, prog_bar=True)
        return losses["loss"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One AdamW for the model and what the losses learn."""
        return torch.optim.AdamW(self.parameters(), lr=self.learning_rate)


def main(
    name: str = "ViT-B-32", pretrained: str | None = None, steps: int = 10, batch_size: int = 16
) -> None:
    model, tokenizer = open_clip.create_model(name, pretrained=pretrained), open_clip.get_tokenizer(name)
    transform = transform_for(model)
    samples: Any = [transform(s) for s in Scenes("train", 4 * batch_size).render()]
    loader: DataLoader[Batch] = DataLoader(samples, batch_size, collate_fn=Collator(tokenizer))
    trainer = lightning.Trainer(
        max_steps=steps, accelerator="auto", logger=False, enable_checkpointing=False, log_every_n_steps=1
    )
    trainer.fit(RegionModule(model, tokenizer, 1e-4), loader)
    print("  ".join(f"{k} {v.item():.3f}" for k, v in trainer.callback_metrics.items()))


if __name__ == "__main__":
    typer.run(main)
