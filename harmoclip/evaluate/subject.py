"""The model that is measured: batched, without gradients, from pictures and words to vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from harmoclip.data import Sample
from harmoclip.errors import InputError
from harmoclip.evaluate.prompts import Prompts, sentences
from harmoclip.harmonized import Harmonized
from harmoclip.ops import mask_pool
from harmoclip.tensors import l2_normalize

Regions = Literal["dense", "crops", "masks"]
Picture = Image.Image | Tensor


class Samples(Protocol):
    """A data set of `Sample`s; those with classes also have `class_names`, those with masks `masks(i)`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


def untracked(steps: Sequence[range], title: str) -> Iterable[range]:
    """No progress bar."""
    return steps


@dataclass
class Subject:
    """A harmonized model with its preprocessing and its tokenizer.

    Args:
        harmo: The model; it is put in evaluation mode.
        preprocess: The model's own, a PIL image to `[3, H, W]`; a picture that has its size already must pass
            unchanged but for the colours.
        tokenizer: The model's own, a list of texts to `[B, L]`.
        batch_size: Pictures or texts encoded at a time.
        track: Wraps the batches of a task, with its title, in a progress bar.
        workers: Threads that read pictures.

    Raises:
        InputError: The preprocessing does not give one tensor of a fixed size.

    Example:
        >>> import harmoclip, open_clip
        >>> model, _, preprocess = open_clip.create_model_and_transforms("ViT-B-32")
        >>> harmo = harmoclip.harmonize(model)
        >>> subject = Subject(harmo, preprocess, open_clip.get_tokenizer("ViT-B-32"))
        >>> subject.class_vectors(["cat", "dog"], "photo").shape
        torch.Size([2, 512])
    """

    harmo: Harmonized
    preprocess: Callable[[Image.Image], Any]
    tokenizer: Callable[[list[str]], Tensor]
    batch_size: int = 64
    track: Callable[[Sequence[range], str], Iterable[range]] = untracked
    workers: int = 4
    device: torch.device = field(init=False)

    def __post_init__(self) -> None:
        self.harmo.eval()
        self.device = next(self.harmo.parameters()).device
        trial = self.preprocess(Image.new("RGB", (8, 8)))
        if not isinstance(trial, Tensor):
            raise InputError(
                f"preprocess gives a {type(trial).__name__}: expected a tensor [3, H, W]. Models that take "
                "pictures of any shape as patches need a preprocessing to a fixed size."
            )
        # a picture of this size goes through the preprocessing as it is
        self._input_size = (trial.shape[-1], trial.shape[-2])

    def image_vectors(self, pictures: Callable[[int], Picture], count: int) -> Tensor:
        """Vectors `[N, D]` of whole pictures, preprocessed as the model's users do; on the CPU."""

        def load(i: int) -> Tensor:
            return self.preprocess(to_pil(pictures(i)))

        return _join(self._encode_images(load, rows) for rows in self._batches(count, "images"))

    @torch.no_grad()
    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        """Vectors `[N, D]` of texts, on the CPU."""
        return _join(
            self.harmo.towers.encode_text(self.tokenizer([texts[i] for i in rows]).to(self.device))
            for rows in self._batches(len(texts), "texts")
        )

    def class_vectors(self, names: Sequence[str], prompts: Prompts) -> Tensor:
        """One vector a class, `[K, D]` with L2 norm 1: the mean of its sentences' normalised vectors.

        They are always of this model: stored class vectors of another one give near-zero accuracy.
        """
        texts = [sentences(name, prompts) for name in names]
        vectors = l2_normalize(self.text_vectors([text for group in texts for text in group]))
        return l2_normalize(torch.stack([g.mean(0) for g in vectors.split([len(group) for group in texts])]))

    def region_vectors(
        self, samples: Samples, regions: Regions = "dense"
    ) -> Iterator[tuple[list[Sample], Tensor]]:
        """Batches of samples with the vectors `[R, D]` of all their boxes in order, on the CPU.

        Pictures are resized to the model's square input without keeping the aspect, so that no box is cut.

        Args:
            samples: With boxes.
            regions: Boxes pooled from `dense` features, `crops` resized and encoded one by one, or `masks`
                pooled from dense features.

        Raises:
            InputError: The data set has no masks, or `regions` is unknown.
        """
        ways = {"dense": self._pooled, "crops": self._cropped, "masks": self._masked}
        regions = checked_regions(regions)
        if regions == "masks" and not hasattr(samples, "masks"):
            raise InputError(
                f"{type(samples).__name__} has no masks: pool boxes, or give a data set with masks."
            )
        for rows in self._batches(len(samples), f"regions, {regions}"):
            batch = self._read(samples, rows)
            with torch.no_grad():
                yield batch, ways[regions](batch, samples, rows).float().cpu()

    def dense_vectors(self, samples: Samples) -> Iterator[tuple[list[Sample], Tensor]]:
        """Batches of samples with the vectors `[B, H, W, D]` of their pictures' patches, on the CPU."""
        for rows in self._batches(len(samples), "dense"):
            batch = self._read(samples, rows)
            yield batch, self._dense(batch).cpu()

    @torch.no_grad()
    def _dense(self, batch: list[Sample]) -> Tensor:
        return self.harmo.encode_dense(self._squares(batch))

    def _read(self, samples: Samples, rows: range) -> list[Sample]:
        with ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(samples.__getitem__, rows))

    def _batches(self, count: int, title: str) -> Iterable[range]:
        step = self.batch_size
        return self.track([range(i, min(count, i + step)) for i in range(0, count, step)], title)

    @torch.no_grad()
    def _encode_images(self, load: Callable[[int], Tensor], rows: Iterable[int]) -> Tensor:
        with ThreadPoolExecutor(self.workers) as pool:
            images = torch.stack(list(pool.map(load, rows)))
        return self.harmo.towers.encode_image(images.to(self.device))

    def _square(self, picture: Picture) -> Tensor:
        return self.preprocess(to_pil(picture).resize(self._input_size, Image.Resampling.BICUBIC))

    def _squares(self, samples: Sequence[Sample]) -> Tensor:
        with ThreadPoolExecutor(self.workers) as pool:
            return torch.stack(list(pool.map(self._square, [s.image for s in samples]))).to(self.device)

    def _pooled(self, batch: list[Sample], samples: Any, rows: range) -> Tensor:
        return self.harmo.encode_regions(self._squares(batch), [s.boxes for s in batch])

    def _masked(self, batch: list[Sample], samples: Any, rows: range) -> Tensor:
        dense = self._dense(batch)
        masks = [samples.masks(i).float()[:, None] for i in rows]
        grid = (dense.shape[1], dense.shape[2])
        small = [adaptive_avg_pool2d(m, grid)[:, 0] for m in masks]
        owner = torch.cat([torch.full((len(m),), i) for i, m in enumerate(masks)])
        return mask_pool(dense, torch.cat(small).to(self.device), owner.to(self.device), layout="nhwc")

    def _cropped(self, batch: list[Sample], samples: Any, rows: range) -> Tensor:
        crops = [crop for sample in batch for crop in cut(sample)]
        step = self.batch_size
        return _join(
            self._encode_images(lambda i: self._square(crops[i]), range(first, min(len(crops), first + step)))
            for first in range(0, len(crops), step)
        )


def checked_regions(regions: str) -> Regions:
    """The way from boxes to vectors, or an InputError that lists what is known."""
    known: tuple[Regions, ...] = get_args(Regions)
    if regions not in known:
        raise InputError(f"regions is {regions!r}: expected one of {', '.join(map(repr, known))}.")
    return known[known.index(regions)]


def cut(sample: Sample) -> list[Image.Image]:
    """Each box of a sample as a picture of its own, at least one pixel wide and high."""
    picture = to_pil(sample.image)
    scale = sample.boxes.new_tensor([picture.width, picture.height] * 2)
    corners = torch.cat([(sample.boxes * scale)[:, :2].floor(), (sample.boxes * scale)[:, 2:].ceil()], 1)
    return [picture.crop(tuple(corner)) for corner in corners.int().tolist()]


def to_pil(picture: Picture) -> Image.Image:
    """An RGB picture from a PIL image or a tensor `[3, H, W]`, uint8 or float in [0, 1]."""
    if isinstance(picture, Image.Image):
        return picture.convert("RGB")
    from torchvision.transforms.functional import to_pil_image

    return to_pil_image(picture)


def _join(parts: Iterable[Tensor]) -> Tensor:
    kept = [part.float().cpu() for part in parts if len(part)]
    return torch.cat(kept) if kept else torch.empty(0, 0)
