"""The model that is measured: batched, without gradients, from images and words to vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from harmoclip.data import Sample
from harmoclip.data.dataset import MaskedDataset
from harmoclip.errors import InputError
from harmoclip.evaluate.cache import VectorCache, digest, weights_digest
from harmoclip.evaluate.regions import (
    Regions,
    RegionVectors,
    checked_regions,
    patch_name,
    region_name,
    sample_name,
)
from harmoclip.evaluate.samples import (
    AnyImage,
    Samples,
    crop_boxes,
    keep_usable_boxes,
    to_pil,
    without_pixels,
)
from harmoclip.evaluate.vectors import check_vectors, finite
from harmoclip.harmonized import Harmonized
from harmoclip.models import Preprocess, input_size
from harmoclip.ops import mask_pool
from harmoclip.prompts import Prompts, class_vectors
from harmoclip.tensors import l2_normalize
from harmoclip.tokenizers import Tokenizer

T = TypeVar("T")
R = TypeVar("R")


def untracked(batches: Sequence[range], title: str) -> Iterable[range]:
    """No progress bar."""
    return batches


@dataclass
class Encoder:
    """A harmonized model with its preprocessing and its tokenizer.

    Args:
        harmo: The model; it is put in evaluation mode.
        preprocess: The model's own, a PIL image to `[3, H, W]`; an image that has its size already must pass
            unchanged but for the colors. With `ready`, from a sample's image to the model's input.
        tokenizer: The model's own, a list of texts to `[B, L]`.
        batch_size: Images or texts encoded at a time.
        track: Wraps the batches of a task, with its title, in a progress bar.
        workers: Threads that read images.
        cache: Where vectors are kept, so that measurements share them; None keeps none.
        ready: The samples' images are (nearly) the model's input, as a transform leaves them: they are
            neither resized nor cropped again.

    Raises:
        InputError: The preprocessing does not give one tensor of a fixed size; or, when texts are encoded,
            the tokenizer gives rows of another length than the model reads.

    Example:
        >>> import harmoclip, open_clip
        >>> model, _, preprocess = open_clip.create_model_and_transforms("ViT-B-32")
        >>> harmo = harmoclip.harmonize(model)
        >>> encoder = Encoder(harmo, preprocess, open_clip.get_tokenizer("ViT-B-32"))
        >>> encoder.class_vectors(["cat", "dog"], "photo").shape
        torch.Size([2, 512])
    """

    harmo: Harmonized
    preprocess: Preprocess
    tokenizer: Tokenizer
    batch_size: int = 64
    track: Callable[[Sequence[range], str], Iterable[range]] = untracked
    workers: int = 4
    cache: VectorCache | None = None
    ready: bool = False
    device: torch.device = field(init=False)
    input_size: tuple[int, int] = field(init=False, default=(0, 0))
    _held: bytes = field(init=False, default=b"", repr=False)

    def __post_init__(self) -> None:
        self.harmo.eval()
        self.device = next(self.harmo.parameters()).device
        if self.ready:
            return
        self.input_size = input_size(self.preprocess)

    # ------------------------------------------------------------------ vectors

    def image_vectors(
        self, read: Callable[[int], AnyImage], count: int, name: Callable[[int], str] | None = None
    ) -> Tensor:
        """Vectors `[N, D]` of whole images, preprocessed as the model's users do; on the CPU.

        Args:
            read: Gives image i.
            count: How many there are.
            name: What a message calls image i.

        Raises:
            EvaluationError: Some vectors are not finite or all zeros, or there is no image.
        """
        prepare = self._prepare_whole()

        def load(rows: Iterable[int]) -> list[Tensor]:
            return self._in_threads(lambda i: prepare(read(i)), rows)

        model = self._model_digest()
        parts = [self._encode_images(load(rows), model) for rows in self._batches(count, "images")]
        return check_vectors(_join(parts), "image vectors", name or (lambda i: f"image {i}"))

    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        """Vectors `[N, D]` of texts, on the CPU; equal texts are encoded once.

        Raises:
            EvaluationError: Some vectors are not finite or all zeros, or there is no text.
        """
        by_length = sorted(dict.fromkeys(texts), key=len)  # texts of one length share less padding
        row = {text: i for i, text in enumerate(by_length)}
        distinct, model = list(row), self._model_digest()
        parts = [
            self._encode_texts([distinct[i] for i in rows], model)
            for rows in self._batches(len(distinct), "texts")
        ]
        vectors = check_vectors(_join(parts), "text vectors", lambda i: repr(distinct[i]))
        return vectors[[row[text] for text in texts]]

    def class_vectors(self, names: Sequence[str], prompts: Prompts) -> Tensor:
        """One vector a class, `[K, D]` with L2 norm 1: the mean of its sentences' normalized vectors.

        They are always of this model: stored class vectors of another one give near-zero accuracy.
        """
        means = class_vectors(names, prompts, self.text_vectors)
        return l2_normalize(check_vectors(means, "class vectors", lambda i: repr(names[i])))

    def region_vectors(self, samples: Samples, regions: Regions = "dense") -> RegionVectors:
        """The vectors of all boxes, on the CPU.

        Boxes are cut at the image's edges; those without any area there are left out and named. Images are
        resized to the model's square input without keeping the aspect, so that no box is cut.

        Args:
            samples: With boxes.
            regions: Boxes pooled from `dense` features, `crops` resized and encoded one by one, or `masks`
                pooled from dense features.

        Raises:
            EvaluationError: Some vectors are not finite or all zeros.
            InputError: The data set has no masks, or `regions` is unknown.
        """
        encode = {"dense": self._pooled, "crops": self._cropped, "masks": self._masked}[
            checked_regions(regions)
        ]
        if regions == "masks" and not isinstance(samples, MaskedDataset):
            raise InputError(
                f"{type(samples).__name__} has no masks: pool boxes, or give a data set with masks."
            )
        kept: list[Sample] = []
        vectors: list[Tensor] = []
        rows: list[Tensor] = []
        left_out: list[str] = []
        model = self._model_digest()
        for batch in self._batches(len(samples), f"regions, {regions}"):
            read = self._in_threads(lambda i: keep_usable_boxes(samples, i, masks=regions == "masks"), batch)
            vectors.append(encode([usable.sample for usable in read], [u.masks for u in read], model))
            kept += [without_pixels(usable.sample) for usable in read]
            rows += [usable.rows for usable in read]
            left_out += [text for usable in read for text in usable.left_out]
        found = RegionVectors(
            kept, _join(vectors), torch.cat(rows or [torch.empty(0).long()]), tuple(left_out)
        )
        if len(found.vectors):
            check_vectors(found.vectors, "region vectors", lambda i: region_name(found, i))
        return found

    def dense_vectors(self, samples: Samples) -> Iterator[tuple[list[Sample], Tensor]]:
        """Batches of samples with the vectors `[B, H, W, D]` of their images' patches, on the CPU.

        Boxes are cut at the edges, and left out where nothing of them is in the image. An image that several
        samples of a batch have is encoded once. No cache keeps these vectors: they are hundreds for an image.

        Raises:
            EvaluationError: Some vectors are not finite or all zeros.
        """
        with self._same_weights():
            for rows in self._batches(len(samples), "dense"):
                read = self._in_threads(lambda i: keep_usable_boxes(samples, i), rows)
                batch = [usable.sample for usable in read]
                inputs = self._squares(batch)
                place: dict[bytes, int] = {}
                each = [place.setdefault(digest(image), len(place)) for image in inputs]
                dense = self._dense(inputs[[each.index(i) for i in range(len(place))]]).cpu()[each]
                # a rectifier may leave a patch without any feature, but not a whole image
                finite(dense.flatten(0, 2), "patch vectors", patch_name(batch, dense))
                check_vectors(dense.flatten(1), "images by their patches", partial(sample_name, batch))
                yield batch, dense

    def patch_vectors(self, read: Callable[[int], AnyImage], count: int) -> Iterator[Tensor]:
        """The vectors `[H, W, D]` of the patches of each whole image, in order, on the CPU.

        Images are resized to the model's square input without keeping the aspect. No cache keeps these
        vectors, and no more than a batch of them is held.

        Args:
            read: Gives image i.
            count: How many there are.
        """
        for rows in self._batches(count, "patches"):
            inputs = self._in_threads(lambda i: self._square(read(i)), rows)
            yield from self._dense(torch.stack(inputs)).cpu()

    # ------------------------------------------------------------------ from inputs to vectors

    def _encode_images(self, inputs: list[Tensor], model: bytes) -> Tensor:
        keys = [digest(model, "image", image) for image in inputs] if self.cache else []

        def encode(rows: list[int]) -> list[Tensor]:
            stacked = torch.stack([inputs[i] for i in rows]).to(self.device)
            return list(self.harmo.towers.encode_image(stacked)[:, None])

        return self._cached(keys, len(inputs), encode)

    def _encode_texts(self, texts: list[str], model: bytes) -> Tensor:
        ids = self.tokenizer(texts)
        self.harmo.towers.text.check_rows(ids)
        keys = [digest(model, "text", row) for row in ids] if self.cache else []
        return self._cached(
            keys,
            len(ids),
            lambda rows: list(self.harmo.towers.encode_captions(ids[rows].to(self.device))[:, None]),
        )

    def _pooled(self, batch: list[Sample], masks: list[Tensor | None], model: bytes) -> Tensor:
        inputs = self._squares(batch)
        kind = f"boxes {self.harmo.dense}"
        keys = (
            [digest(model, kind, i, s.boxes) for i, s in zip(inputs, batch, strict=True)]
            if self.cache
            else []
        )

        def encode(rows: list[int]) -> list[Tensor]:
            boxes = [batch[i].boxes for i in rows]
            vectors = self.harmo.encode_regions(inputs[rows].to(self.device), boxes)
            return list(vectors.split([len(b) for b in boxes]))

        return self._cached(keys, len(batch), encode)

    def _masked(self, batch: list[Sample], masks: list[Tensor | None], model: bytes) -> Tensor:
        inputs = self._squares(batch)
        given = [torch.empty(0, 1, 1, dtype=torch.bool) if m is None else m for m in masks]
        kind = f"masks {self.harmo.dense}"
        keys = [digest(model, kind, i, m) for i, m in zip(inputs, given, strict=True)] if self.cache else []

        def encode(rows: list[int]) -> list[Tensor]:
            dense = self._dense(inputs[rows])
            grid = (dense.shape[1], dense.shape[2])
            small = [adaptive_avg_pool2d(given[i].float()[:, None], grid)[:, 0] for i in rows]
            owner = torch.cat([torch.full((len(m),), i) for i, m in enumerate(small)]).to(self.device)
            pooled = mask_pool(dense, torch.cat(small).to(self.device), owner, layout="nhwc")
            return list(l2_normalize(pooled).split([len(m) for m in small]))

        return self._cached(keys, len(batch), encode)

    def _cropped(self, batch: list[Sample], masks: list[Tensor | None], model: bytes) -> Tensor:
        crops = [crop for sample in batch for crop in crop_boxes(sample)]
        step = self.batch_size
        parts = [
            self._encode_images(self._in_threads(self._square, crops[i : i + step]), model)
            for i in range(0, len(crops), step)
        ]
        return l2_normalize(_join(parts))

    @torch.no_grad()
    def _cached(self, keys: list[bytes], count: int, encode: Callable[[list[int]], list[Tensor]]) -> Tensor:
        """The vectors of all rows; those that the cache does not have are computed, once each."""
        if self.cache is None:
            return _join(encode(list(range(count))))
        found = self.cache.get(keys)
        missing = [row for row, key in enumerate(keys) if key not in found and keys.index(key) == row]
        if missing:
            new = dict(zip([keys[row] for row in missing], encode(missing), strict=True))
            self.cache.put(new)
            found |= new
        return _join(found[key] for key in keys)

    @torch.no_grad()
    def _dense(self, inputs: Tensor) -> Tensor:
        return self.harmo.encode_dense(inputs.to(self.device))

    def _model_digest(self) -> bytes:
        return self._held or (weights_digest(self.harmo.model) if self.cache else b"")

    @contextmanager
    def _same_weights(self) -> Iterator[None]:
        """The weights do not change inside: they are digested once."""
        self._held = self._model_digest()
        try:
            yield
        finally:
            self._held = b""

    # ------------------------------------------------------------------ from images to inputs

    def _prepare_whole(self) -> Callable[[AnyImage], Tensor]:
        return self.preprocess if self.ready else lambda image: self.preprocess(to_pil(image))

    def _square(self, image: AnyImage) -> Tensor:
        if self.ready:
            return self.preprocess(image)
        return self.preprocess(to_pil(image).resize(self.input_size, Image.Resampling.BICUBIC))

    def _squares(self, samples: Sequence[Sample]) -> Tensor:
        return torch.stack(self._in_threads(self._square, [s.image for s in samples]))

    def _in_threads(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        with ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(work, items))

    def _batches(self, count: int, title: str) -> Iterable[range]:
        step = self.batch_size
        return self.track([range(i, min(count, i + step)) for i in range(0, count, step)], title)


def _join(parts: Iterable[Tensor]) -> Tensor:
    kept = [part.float().cpu() for part in parts if len(part)]
    return torch.cat(kept) if kept else torch.empty(0, 0)
