"""Several captions of each photograph a step."""

from __future__ import annotations

from typing import Any

from rivals.objectives import Batch as AnyBatch
from rivals.objectives import Ours
from torch import Tensor

from flickr.data import Batch
from harmoclip.grounding import Grounding
from harmoclip.tokenizers import Tokenizer


class OursOfPhotographs(Ours):
    """The library's objective, on so many `captions` of each photograph, with the phrases of `phrases_of`."""

    def __init__(
        self, model: Any, tokenizer: Tokenizer, *, captions: int = 1, phrases_of: int = 1, **options: Any
    ) -> None:
        super().__init__(model, tokenizer, **options)
        self.count, self.phrases_of = captions, phrases_of

    def texts(self, batch: AnyBatch) -> tuple[Tensor, Grounding]:
        """The captions, and the phrases and boxes of a batch."""
        if isinstance(batch, Batch) and self.count > 1:
            return batch.several(self.count, self.phrases_of)
        return super().texts(batch)
