"""Both sides of a model in training, on held-out samples."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harmoclip.data import Sample
from harmoclip.evaluate.both_sides import both_sides
from harmoclip.evaluate.encoder import Encoder
from harmoclip.harmonized import Harmonized
from harmoclip.tokenizers import Tokenizer


def measure(
    harmo: Harmonized,
    samples: Sequence[Sample],
    tokenizer: Tokenizer,
    class_names: Sequence[str] | None,
    batch_size: int,
) -> dict[str, float]:
    """Retrieval R@1 and R@5 both ways, box Top-1 and the trade-off, all in [0, 1].

    Args:
        harmo: The model; its mode is restored.
        samples: Held out, with the model's input as their image; those of one key are captions of one image.
        tokenizer: The model's own.
        class_names: The text of each label, or None to ask for linked phrases.
        batch_size: Samples encoded at a time.

    Raises:
        DataError: No box has a name.
        EvaluationError: The model gives vectors that are not finite or all zeros.
    """
    training = harmo.training
    try:
        encoder = Encoder(harmo, torch.as_tensor, tokenizer, batch_size, ready=True)
        return dict(both_sides(encoder, samples, class_names))
    finally:
        harmo.train(training)
