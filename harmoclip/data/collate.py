"""From samples to what a harmonized model takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from harmoclip.data.sample import Sample
from harmoclip.errors import DataError
from harmoclip.grounding import Grounding
from harmoclip.segment import align, phrase_id
from harmoclip.tokenizers import Tokenizer


class Batch(NamedTuple):
    """Images `[B, 3, H, W]`, token ids `[B, L]`, and the grounding of both."""

    images: Tensor
    texts: Tensor
    grounding: Grounding


class Collator:
    """Join samples into a `Batch`; a data loader's `collate_fn`.

    Phrases that the tokenizer cuts off or does not find get no row in the grounding, and their links go
    with them; boxes stay. `harmoclip data check` reports how many a data set has.

    Args:
        tokenizer: The model's own; `tokenizer([caption])` returns the ids `[1, L]`.

    Raises:
        DataError: Images are not tensors of one shape.

    Example:
        >>> import open_clip
        >>> collate = Collator(open_clip.get_tokenizer("ViT-B-32"))
        >>> box = torch.tensor([[0, 0, 1.0, 1]])
        >>> sample = Sample(torch.rand(3, 8, 8), "a dog", box, phrases=((0, 5),), links=((0, 0),))
        >>> collate([sample]).grounding.spans
        tensor([[1, 3]])
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._align = align(tokenizer)

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """The batch of these samples, in their order."""
        texts = self.tokenizer([sample.caption for sample in samples])
        return Batch(_stack(samples), texts, self._grounding(samples, texts))

    def grounding(self, *samples: Sample) -> Grounding:
        """The boxes, phrases and links of these samples; sample i becomes image i and text i."""
        return self._grounding(samples, self.tokenizer([sample.caption for sample in samples]))

    def _grounding(self, samples: Sequence[Sample], texts: Tensor) -> Grounding:
        first_box, counts = 0, [len(sample.boxes) for sample in samples]
        spans: list[tuple[int, int]] = []
        links: list[tuple[int, int]] = []
        text_index: list[int] = []
        ids: list[int] = []
        wording: list[int] = []
        for text, sample in enumerate(samples):
            row: dict[int, int] = {}
            tokens = texts[text].tolist()
            words = sample.phrase_texts
            for phrase, span in enumerate(self._align(sample.caption, sample.spans)):
                if span.status == "exact":
                    row[phrase] = len(spans)
                    spans.append((span.start, span.end))
                    text_index.append(text)
                    ids.append(phrase_id(words[phrase]))
                    wording.append(hash(tuple(tokens[span.start : span.end])))
            links += [(first_box + region, row[p]) for region, p in sample.links if p in row]
            first_box += counts[text]
        return Grounding(
            boxes=torch.cat([sample.boxes for sample in samples]),
            image_index=torch.arange(len(samples)).repeat_interleave(_index(counts)),
            spans=_index(spans).view(-1, 2),
            text_index=_index(text_index),
            links=_index(links).view(-1, 2),
            phrase_id=_index(ids),
            wording=_index(wording),
        )


def _index(values: list[int] | list[tuple[int, int]]) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)


def _stack(samples: Sequence[Sample]) -> Tensor:
    shapes = [tuple(s.image.shape) if isinstance(s.image, Tensor) else None for s in samples]
    if None in shapes or len(set(shapes)) > 1:
        raise DataError(
            f"images of this batch have the shapes {sorted(set(shapes), key=str)} (None is a PIL image): "
            "expected tensors of one shape. Map the samples through the model's transform, "
            "harmoclip.data.transform_for(model)."
        )
    return torch.stack([s.image for s in samples])  # type: ignore[misc]
