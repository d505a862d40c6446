"""Train a little, then see what it did to both sides: a table, and a report with pictures."""

import copy
from pathlib import Path

import torch
import typer
from rich import print

import harmoclip
from harmoclip.data import Collator
from harmoclip.data.scenes import Scenes
from harmoclip.evaluate import Encoder
from harmoclip.evaluate.comparison import Comparison
from harmoclip.evaluate.registry import tasks_of
from harmoclip.evaluate.report import write_report
from harmoclip.evaluate.tables import terminal_table
from harmoclip.evaluate.task import Request


def main(
    name: str = "ViT-B-32",
    pretrained: str | None = None,
    steps: int = 10,
    batch_size: int = 16,
    scenes: int = 50,
    out: Path = Path("evaluation"),
) -> None:
    loaded = harmoclip.load_model(name, pretrained)
    before = copy.deepcopy(loaded.model.state_dict())

    harmo = harmoclip.harmonize(loaded.model, tokenizer=loaded.tokenizer)
    samples = [s.replace(image=loaded.preprocess(s.image)) for s in Scenes("train", batch_size)]
    images, texts, grounding = Collator(loaded.tokenizer)(samples)
    optimizer = torch.optim.AdamW(harmo.parameters(), lr=1e-4)
    for _ in range(steps):
        optimizer.zero_grad()
        harmo(images, texts, grounding)["loss"].backward()
        optimizer.step()

    after = copy.deepcopy(loaded.model.state_dict())
    loaded.model.load_state_dict(before)
    comparison = Comparison(Encoder(harmo, loaded.preprocess, loaded.tokenizer), after)
    evaluated = comparison.evaluate(name, tasks_of("scenes", Request(str(scenes))), shares=[0.5])
    for task, columns in evaluated.scores.items():
        print(terminal_table(task, columns))
    print(write_report(out, evaluated))


if __name__ == "__main__":
    typer.run(main)
