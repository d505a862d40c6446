"""Train with Hugging Face's `Trainer`: a collator, and one method."""

from typing import Any

import typer
from transformers import AutoImageProcessor, Trainer, TrainingArguments

import harmoclip
from harmoclip.data import Collator, transform_for
from harmoclip.data.scenes import Scenes


class RegionTrainer(Trainer):  # type: ignore[misc]
    """The loss is the harmonized model's own."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **ignored: Any) -> Any:
        """The whole objective."""
        losses = model(inputs["images"], inputs["texts"], inputs["grounding"].to(inputs["images"].device))
        return (losses["loss"], losses) if return_outputs else losses["loss"]


def main(
    name: str = "openai/clip-vit-base-patch32",
    steps: int = 10,
    batch_size: int = 8,
    out: str = "runs/trainer",
) -> None:
    loaded = harmoclip.load_model(f"hf:{name}")
    transform = transform_for(AutoImageProcessor.from_pretrained(name))
    samples = [transform(s) for s in Scenes("train", 4 * batch_size).render()]
    collate = Collator(loaded.tokenizer)
    model: Any = loaded.model
    harmo = harmoclip.harmonize(model, tokenizer=loaded.tokenizer)
    arguments = TrainingArguments(
        out,
        max_steps=steps,
        per_device_train_batch_size=batch_size,
        learning_rate=1e-4,
        remove_unused_columns=False,  # the trainer would drop boxes and phrases
        save_strategy="no",
        logging_steps=1,
        report_to=[],
        dataloader_drop_last=True,
    )
    trainer = RegionTrainer(harmo, arguments, lambda rows: collate(rows)._asdict(), samples)
    result = trainer.train()
    model.save_pretrained(out)  # the model alone, for transformers
    print(f"mean loss {result.training_loss:.3f}; the model is in {out}")


if __name__ == "__main__":
    typer.run(main)
