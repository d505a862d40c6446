"""What a term of the objective is: a loss with a name, a weight, and the vectors that it judges.

A new term is a file here with a subclass of `Term`, its name in `harmoclip.options.TERMS`, and a test.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from harmoclip.errors import InputError
from harmoclip.losses.gather import Gathered, gathered, row_counts, unique_index


@dataclass(frozen=True)
class Vectors:
    """What the towers made of this rank's batch; None for what no term judges."""

    image: Tensor | None = None  # [B, D] global vectors of the images
    text: Tensor | None = None  # [B, D] of their captions
    more_text: Tensor | None = None  # [B, K, D] of their further captions
    regions: Tensor | None = None  # [R, D] of the boxes
    phrases: Tensor | None = None  # [F, P, D] of the phrases, in each form that was asked for
    crops: Tensor | None = None  # [R, D] image vectors of the boxes cut out
    teacher_image: Tensor | None = None  # [B, D] of the frozen model
    teacher_text: Tensor | None = None  # [B, D]

    def __getitem__(self, name: str) -> Tensor:
        """The vectors of this name.

        Raises:
            InputError: They were not made.
        """
        vectors: Tensor | None = getattr(self, name)
        if vectors is None:
            raise InputError(f"the vectors {name!r} were not made: a term names what it reads in `judges`.")
        return vectors


class BatchLabels(Protocol):
    """What a term may read of a `harmoclip.Grounding`, which describes each."""

    @property
    def boxes(self) -> Tensor: ...  # noqa: D102
    @property
    def image_index(self) -> Tensor: ...  # noqa: D102
    @property
    def links(self) -> Tensor: ...  # noqa: D102
    @property
    def phrase_id(self) -> Tensor: ...  # noqa: D102
    @property
    def negatives(self) -> Tensor: ...  # noqa: D102
    @property
    def image_id(self) -> Tensor | None: ...  # noqa: D102
    @property
    def captioned(self) -> Tensor | None: ...  # noqa: D102
    @property
    def more_captions(self) -> Tensor | None: ...  # noqa: D102


class Counts(NamedTuple):
    """How many rows of each kind every rank has; one collective tells them all."""

    images: tuple[int, ...]
    regions: tuple[int, ...]
    links: tuple[int, ...]
    negatives: tuple[int, ...]
    image_id: tuple[int, ...]
    captioned: tuple[int, ...]
    more_captions: tuple[int, ...]  # of each image


class Step:
    """One step of this rank: its vectors, its labels, and the rows of all ranks that several terms share."""

    def __init__(self, vectors: Vectors, grounding: BatchLabels, images: int) -> None:
        self.vectors, self.grounding = vectors, grounding
        optional = [0 if x is None else len(x) for x in (grounding.image_id, grounding.captioned)]
        kinds = 0 if grounding.more_captions is None else grounding.more_captions.shape[1]
        rows = images, len(grounding.boxes), len(grounding.links), len(grounding.negatives)
        self.counts = Counts(*row_counts(*rows, *optional, kinds, device=grounding.boxes.device))
        self._gathered: dict[str, Gathered] = {}

    def of_images(self, name: str) -> Gathered:
        """The vectors `[B, ...]` of this name on all ranks, in float32 or wider."""
        if name not in self._gathered:
            own = self._more_text() if name == "more_text" else self.vectors[name]
            self._gathered[name] = gathered(own, self.counts.images)
        return self._gathered[name]

    def labels(self, name: str) -> Gathered | None:
        """`own_labels` of all ranks."""
        own = self.own_labels(name)
        if own is not None and name not in self._gathered:
            self._gathered[name] = gathered(own, self.counts.images)
        return self._gathered.get(name)

    def own_labels(self, name: str) -> Tensor | None:
        """The grounding's `image_id`, `captioned` or `more_captions`; None where no rank has any.

        Where another rank has some, a grounding without stands for photographs of their own, all of them with
        a caption, and none with a further one.
        """
        known: tuple[int, ...] = getattr(self.counts, name)
        own: Tensor | None = getattr(self.grounding, name)
        if name == "more_captions" and self.vectors.more_text is None:
            own = None  # they were not encoded: `region_loss` of a forward that saw the first captions alone
        if max(known) == 0 or (own is not None and name != "more_captions"):
            return own
        images, device = len(self.vectors["image"]), self.grounding.boxes.device
        if name == "captioned":
            return torch.ones(images, dtype=torch.bool, device=device)
        if name == "image_id":
            return unique_index(torch.arange(images, device=device)) - (1 << 62)
        rows = torch.full((images, max(known)), -1, device=device)
        return rows if own is None else torch.cat([own, rows[:, own.shape[1] :]], 1)

    def several_captions(self) -> tuple[Gathered, Gathered] | None:
        """The vectors `[B, K, D]` of all captions of each image, the first one first, and which there are.

        None where no image has further ones.
        """
        rows = self.labels("more_captions")
        if rows is None:
            return None
        first = self.labels("captioned") or rows.map(lambda x: torch.ones_like(x[:, 0], dtype=torch.bool))
        text, more_text = self.of_images("text"), self.of_images("more_text")
        return (
            text.map(lambda x, more: torch.cat([x[:, None], more], 1), more_text),
            first.map(lambda x, more: torch.cat([x[:, None], more >= 0], 1), rows),
        )

    def _more_text(self) -> Tensor:
        """Vectors of further captions, as many kinds as on any rank; what is missing is 0 and connected."""
        kinds, nothing = max(self.counts.more_captions), self.vectors["text"][:, None] * 0
        own = self.vectors.more_text
        missing = nothing.expand(-1, kinds - (0 if own is None else own.shape[1]), -1)
        return missing if own is None else torch.cat([own, missing], 1)


@dataclass(frozen=True)
class Term(ABC):
    """A part of the objective. Subclasses are frozen dataclasses; a field takes the option of its name.

    Attributes:
        name: Of its weight and of its value, `<name>_loss`.
        weight: Its factor unless the user gives another; a term of weight 0 is not computed.
        judges: The vectors that it compares (`Vectors`): only what some term names is computed, and
            `balance` measures the gradient in those that have one.
        of_regions: Whether it belongs to `region_loss`, can be balanced, and can have a temperature of its
            own.
        has_scale: Whether it multiplies cosines by the learned scale.
        has_bias: Whether it takes the sigmoid form where the model has a learned bias.
    """

    name: ClassVar[str]
    weight: ClassVar[float]
    of_regions: ClassVar[bool] = True
    has_scale: ClassVar[bool] = True
    has_bias: ClassVar[bool] = True

    @property
    @abstractmethod
    def judges(self) -> tuple[str, ...]:
        """The names of the vectors that it compares."""

    @abstractmethod
    def __call__(self, step: Step, logit_scale: Tensor, logit_bias: Tensor | None) -> Tensor:
        """The loss of a step over all ranks, a float32 scalar."""
