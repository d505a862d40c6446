"""Both sides of a model in training, on held-out samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from harmoclip.data import Sample
from harmoclip.errors import InputError, unknown_name
from harmoclip.evaluate.both_sides import MEASURES, both_sides
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.registry import tasks_on
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.tradeoff import harmonic_mean
from harmoclip.harmonized import Harmonized
from harmoclip.models import LoadedModel
from harmoclip.modes import evaluation_mode
from harmoclip.tokenizers import Tokenizer
from harmoclip.train.config import EvaluationConfig


def measure(
    harmo: Harmonized,
    samples: Sequence[Sample],
    tokenizer: Tokenizer,
    class_names: Sequence[str] | None,
    batch_size: int,
) -> dict[str, float]:
    """Retrieval R@1 and R@5 both ways, box Top-1 and the trade-off, all in [0, 1].

    Args:
        harmo: The model; the mode of each of its modules is restored.
        samples: Held out, with the model's input as their image; those of one key are captions of one image.
        tokenizer: The model's own.
        class_names: The text of each label, or None to ask for linked phrases.
        batch_size: Samples encoded at a time.

    Raises:
        DataError: No box has a name.
        EvaluationError: The model gives vectors that are not finite or all zeros.
    """
    with evaluation_mode(harmo):
        encoder = Encoder(harmo, torch.as_tensor, tokenizer, batch_size, ready=True)
        return dict(both_sides(encoder, samples, class_names))


class Yardsticks:
    """The yardsticks of a run, and what says which of its weights are the best.

    Args:
        chosen: What the configuration says.
        held_out: Whether both sides are measured on held-out samples.

    Attributes:
        tasks: What is measured beside the held-out samples.
        best: The measures that decide; none where nothing is measured.

    Raises:
        InputError: No yardstick or no measure has a name that was given.
        DataError: The data of a yardstick is not in its layout.
    """

    def __init__(self, chosen: EvaluationConfig, *, held_out: bool) -> None:
        request = Request("", phrase_share=chosen.phrase_share, options=chosen.options)
        self.tasks = tasks_on(chosen.yardsticks, request) if chosen.yardsticks else []
        self.best = chosen.best or (("trade_off",) if held_out else _one_of_each_side(self.tasks))
        known = [*(MEASURES if held_out else ()), *(task.key for task in self.tasks)]
        for name in self.best:
            if name.partition("/")[0] not in known:
                raise InputError(unknown_name("evaluation.best names", name, known))

    def measure(self, harmo: Harmonized, loaded: LoadedModel, batch_size: int) -> dict[str, float]:
        """Every number of every task, as `task/metric`, and the one that stands for it, as `task`.

        Args:
            harmo: The model; the mode of each of its modules is restored.
            loaded: Its preprocessing and its tokenizer.
            batch_size: Images or texts encoded at a time.

        Raises:
            InputError: A measure that decides is no fraction.
            EvaluationError: The model gives vectors that are not finite or all zeros.
        """
        found: dict[str, float] = {}
        with evaluation_mode(harmo):
            encoder = Encoder(harmo, loaded.preprocess, loaded.tokenizer, batch_size)
            for task in self.tasks:
                metrics = task.run(encoder)
                found[task.key] = task.headline(metrics)
                for metric in map(metrics.metric, metrics):
                    name = f"{task.key}/{metric.name}"
                    if name in self.best and metric.unit != "fraction":
                        raise InputError(
                            f"evaluation.best names {name!r}, which is a {metric.unit}: expected fractions."
                        )
                    found[name] = metric.value
        return found

    def score(self, measures: Mapping[str, float]) -> float:
        """The harmonic mean of what decides: high only where all of it is.

        Raises:
            InputError: A measure that decides was not taken.
        """
        for name in self.best:
            if name not in measures:
                raise InputError(unknown_name("evaluation.best names", name, measures))
        return harmonic_mean([measures[name] for name in self.best])


def _one_of_each_side(tasks: Sequence[Task]) -> tuple[str, ...]:
    """The first task of whole images and the first of regions, of those that there are."""
    return tuple({task.side: task.key for task in reversed(tasks)}.values())
