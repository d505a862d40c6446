"""From samples to what a harmonized model takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from harmoclip.data.sample import Sample, image_identity
from harmoclip.errors import DataError, InputError
from harmoclip.grounding import Grounding
from harmoclip.notebook import table
from harmoclip.segment import align, phrase_id
from harmoclip.tokenizers import HfTokenizer, Tokenizer


class Batch(NamedTuple):
    """Images `[B, 3, H, W]`, token ids `[T, L]`, and the grounding of both.

    Rows 0 to B - 1 of the token ids are the captions; texts of their own and further captions follow.
    """

    images: Tensor
    texts: Tensor
    grounding: Grounding

    def _repr_html_(self) -> str:
        rows = {"images": list(self.images.shape), "texts": list(self.texts.shape)}
        return table("Batch", rows) + self.grounding._repr_html_()


class Collator:
    """Join samples into a `Batch`; a data loader's `collate_fn`.

    Phrases that the tokenizer cuts off or does not find get no row in the grounding, and their links go
    with them; boxes stay. `harmoclip data check` reports how many a data set has. Each text of its own is
    one row, however often the batch has it; of one that is too long, the words that fit are the phrase.

    Args:
        tokenizer: The model's own; `tokenizer([caption])` returns the ids `[1, L]`. A fast tokenizer of
            Hugging Face is taken as it is, with rows of the length that it states.

    Raises:
        InputError: A tokenizer of Hugging Face does not state its length.
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
        self.tokenizer = _in_rows(tokenizer)
        self._align = align(self.tokenizer)

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """The batch of these samples, in their order."""
        texts, rows = self._texts(samples)
        return Batch(_stack(samples), texts, self._grounding(samples, texts, rows))

    def grounding(self, *samples: Sample) -> Grounding:
        """The boxes, phrases and links of these samples; sample i becomes image i and text i."""
        return self._grounding(samples, *self._texts(samples))

    def _texts(self, samples: Sequence[Sample]) -> tuple[Tensor, dict[str, int]]:
        """The token ids of captions and further texts, each of these once, and the row of each."""
        phrases = (phrase for sample in samples for phrase in sample.phrases)
        own = (phrase for phrase in phrases if isinstance(phrase, str) and self._whole(phrase))
        further = (caption for sample in samples for caption in sample.more_captions)
        more = dict.fromkeys([*own, *further])
        texts = self.tokenizer([*(sample.caption for sample in samples), *more])
        return texts, {text: len(samples) + row for row, text in enumerate(more)}

    def _grounding(self, samples: Sequence[Sample], texts: Tensor, rows: dict[str, int]) -> Grounding:
        first_box, counts = 0, [len(sample.boxes) for sample in samples]
        spans: list[tuple[int, int]] = []
        links: list[tuple[int, int]] = []
        negatives: list[tuple[int, int]] = []
        text_index: list[int] = []
        ids: list[int] = []
        wording: list[int] = []
        for number, sample in enumerate(samples):
            row: dict[int, int] = {}
            words = sample.phrase_texts
            for phrase, text, start, end in self._found(number, sample, rows):
                row[phrase] = len(spans)
                spans.append((start, end))
                text_index.append(text)
                ids.append(phrase_id(words[phrase]))
                wording.append(hash(tuple(texts[text, start:end].tolist())))
            links += [(first_box + region, row[p]) for region, p in sample.links if p in row]
            negatives += [(first_box + region, row[p]) for region, p in sample.negatives if p in row]
            first_box += counts[number]
        return Grounding(
            boxes=torch.cat([sample.boxes for sample in samples]),
            image_index=torch.arange(len(samples)).repeat_interleave(_index(counts)),
            spans=_index(spans).view(-1, 2),
            text_index=_index(text_index),
            links=_index(links).view(-1, 2),
            phrase_id=_index(ids),
            wording=_index(wording),
            negatives=_index(negatives).view(-1, 2),
            image_id=_index([_image_id(sample) for sample in samples]),
            captioned=_captioned(samples),
            more_captions=_more_captions(samples, rows),
        )

    def _found(self, number: int, sample: Sample, rows: dict[str, int]) -> list[tuple[int, int, int, int]]:
        """The phrases whose tokens are known: which one, its row of token ids, and its first and last."""
        in_caption = [i for i, phrase in enumerate(sample.phrases) if not isinstance(phrase, str)]
        aligned = self._align(sample.caption, [sample.spans[i] for i in in_caption])
        found = [
            (i, number, span.start, span.end)
            for i, span in zip(in_caption, aligned, strict=True)
            if span.status == "exact"
        ]
        for i, phrase in enumerate(sample.phrases):
            if isinstance(phrase, str) and (whole := self._whole(phrase)):
                found.append((i, rows[phrase], *whole))
        return sorted(found)

    def _whole(self, text: str) -> tuple[int, int] | None:
        """The tokens of a text of its own, or of as many of its words as the tokenizer takes."""
        start = len(text) - len(text.lstrip())
        ends = [word.end() for word in re.finditer(r"\S+", text)]
        for end in (ends[-1:], ends[::-1]):  # most texts are short enough
            for span in self._align(text, [(start, e) for e in end]):
                if span.status == "exact":
                    return span.start, span.end
        return None


def _in_rows(tokenizer: Tokenizer) -> Tokenizer:
    """A tokenizer that gives rows of ids, which one of Hugging Face does only when it is told so."""
    if not hasattr(tokenizer, "model_max_length") or not hasattr(tokenizer, "convert_ids_to_tokens"):
        return tokenizer
    if tokenizer.model_max_length > 1_000_000:  # transformers' word for "not stated"
        raise InputError(
            f"{type(tokenizer).__name__} does not state how long a row is: give harmo.tokenizer, or "
            "harmoclip.tokenizers.HfTokenizer(tokenizer, context_length)."
        )
    return HfTokenizer(tokenizer, tokenizer.model_max_length)


def _image_id(sample: Sample) -> int:
    """What is equal for samples of one image: where nothing says it, for equal pixels."""
    if isinstance(sample.image_id, int):
        return sample.image_id
    image = sample.image
    pixels = image.detach().cpu().numpy().tobytes() if isinstance(image, Tensor) else image.tobytes()
    return image_identity(pixels)


def _captioned(samples: Sequence[Sample]) -> Tensor | None:
    """Which images have a caption; None where all have."""
    captioned = torch.tensor([bool(sample.caption.strip()) for sample in samples], dtype=torch.bool)
    return None if captioned.all() else captioned


def _more_captions(samples: Sequence[Sample], rows: dict[str, int]) -> Tensor | None:
    """The rows of further captions `[B, K]`, -1 for none; None where no sample has any."""
    most = max((len(sample.more_captions) for sample in samples), default=0)
    if not most:
        return None
    found = [[rows[caption] for caption in sample.more_captions] for sample in samples]
    return torch.tensor([own + [-1] * (most - len(own)) for own in found], dtype=torch.int64)


def _index(values: list[int] | list[tuple[int, int]]) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)


def _stack(samples: Sequence[Sample]) -> Tensor:
    images = [sample.image for sample in samples if isinstance(sample.image, Tensor)]
    shapes = sorted({tuple(image.shape) for image in images})
    if len(images) < len(samples) or len(shapes) > 1:
        raise DataError(
            f"images of this batch have the shapes {shapes}, {len(samples) - len(images)} are PIL images: "
            "expected tensors of one shape. Map the samples through the model's transform, "
            "harmoclip.data.transform_for(model)."
        )
    return torch.stack(images)
