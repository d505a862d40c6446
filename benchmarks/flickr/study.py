"""The study of photographs: two pretrained towers whose last layers are trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from rivals.objectives import ABLATION, build, identity
from rivals.study import Study
from rivals.training import State, Training

from flickr.crops import Crops
from flickr.data import Batch, Split, frequent_heads
from flickr.measuring import Questions, measure
from flickr.memory import KeptTexts
from flickr.prepare import Bar, lower_layers, prepare
from flickr.several import OursOfPhotographs
from flickr.towers import cut_image_tower, pair_tokenizer, pretrained_pair
from harmoclip.starter import cut_text_tower

CLASSES = 100


@dataclass(frozen=True)
class Settings:
    """One model, one start, one length of training for all."""

    start_steps: int = 350
    steps: int = 500
    batch_size: int = 48
    blocks: int = 3  # of the image tower that are trained, of 16
    train_photographs: int | None = None  # None for all
    rates: tuple[float, float] = (3e-4, 1e-3)  # of pretrained layers, of projections
    # ten times slower on other CPUs
    bfloat16: bool = field(default_factory=torch.cpu._is_avx512_bf16_supported)

    @property
    def key(self) -> str:
        """A name for files: runs of other settings do not mix."""
        text = json.dumps({k: v for k, v in asdict(self).items() if k != "steps"}, sort_keys=True)
        return hashlib.sha1(text.encode()).hexdigest()[:10]


class PhotographStudy(Study):
    """Every objective on Flickr30k Entities.

    Args:
        settings: What is trained, and how long.
        data: The folder of the photographs.
        work: Where lower features, texts and crops are kept.
        bar: Makes what is told how far the work is.
    """

    def __init__(self, settings: Settings, data: Path, work: Path, bar: Bar) -> None:
        self.settings, self.folder = settings, work / f"blocks-{settings.blocks}"
        self.key, self.start_steps, self.steps = settings.key, settings.start_steps, settings.steps
        self.folder.mkdir(parents=True, exist_ok=True)
        val = prepare(data, self.folder, "val", settings.blocks, None, bar)
        train = prepare(data, self.folder, "train", settings.blocks, settings.train_photographs, bar)
        self.tokenizer = pair_tokenizer()
        self.crops = Crops(data / "flickr30k-images", lambda: lower_layers(settings.blocks))
        self.texts = KeptTexts(cut_text_tower(pretrained_pair()), self.folder)
        self.crops.load(self.folder)
        self.train = Split(train, self.tokenizer, self.crops)
        classes = frequent_heads(self.train, CLASSES)
        self.asked = Questions(Split(val, self.tokenizer, self.crops), classes)

    def identity(self, name: str) -> str:
        """The rival's name, or a digest of all options of ours."""
        return identity(name, VARIANTS)

    def model(self, seed: int, weights: State | None) -> Any:
        """The upper layers, with these weights or with pretrained ones and random projections."""
        model = pretrained_pair(seed)
        cut_image_tower(model, self.settings.blocks)
        cut_text_tower(model, self.texts.memory)
        if weights is not None:
            model.load_state_dict(weights)
        return model.to(memory_format=torch.channels_last).eval()

    def begin(self, name: str, start: State | None, seed: int, steps: int) -> Training:
        """Dropout and batch statistics stay off; the projections have a rate of their own."""
        objective = build(name, self.model(seed, start), self.tokenizer, VARIANTS, OursOfPhotographs)
        rest, projections = self.settings.rates
        trained = [(n, p) for n, p in objective.named_parameters() if p.requires_grad]
        groups = [
            {"params": [p for n, p in trained if ("proj.weight" in n) == chosen], "lr": rate}
            for chosen, rate in ((False, rest), (True, projections))
        ]
        return Training(objective, groups, steps, bfloat16=self.settings.bfloat16)

    def batches(self, seed: int, skip: int = 0) -> Iterator[Batch]:
        """Random batches of distinct photographs, each with a random caption of its own."""
        return self.train.batches(self.settings.batch_size, seed, skip)

    def measure(self, weights: State) -> dict[str, float]:
        """Both sides on the held-out photographs."""
        return measure(self.model(0, weights), self.asked)

    def after_run(self) -> None:
        """Keep the texts and crops that the run was the first to meet."""
        self.texts.save()
        self.crops.save(self.folder)


FIVE_CAPTIONS = {**ABLATION["synonyms left out"], "captions": 5, "phrases_of": 2}

VARIANTS: dict[str, dict[str, Any]] = {
    **{
        name: ABLATION[name]
        for name in (
            "lexemes spans",
            "lexemes both",
            "no LRC",
            "no GR",
            "LRC 2",
            "balance",
            "phrases as often as linked",
            "hard negatives",
            "synonyms left out",
            "no GC",
        )
    },
    "LRC 0.5": {"weights": {"lexeme_region": 0.5}},
    "separate temperatures": {"temperatures": "separate"},
    "LRC 2, synonyms left out": {**ABLATION["LRC 2"], **ABLATION["synonyms left out"]},
    "harmoclip, five captions": FIVE_CAPTIONS,
    "captions, five": {"weights": {"lexeme_region": 0.0, "global_region": 0.0}, "captions": 5},
    "five captions, a loss each": {
        **FIVE_CAPTIONS,
        "several_captions": "separate",
        "weights": {"global_contrastive": 0.2},  # the five losses add up
    },
}
"""One change each to the defaults, mostly the same as on scenes, and what pays together."""

SEVERAL = ("captions, five", "harmoclip, five captions")
"""Those of several captions a step, which stand beside the rivals."""
