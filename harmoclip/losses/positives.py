"""Which phrases are right for which boxes beyond the annotated links: no false negatives."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from harmoclip.errors import InputError
from harmoclip.losses.contrastive import NEITHER, Labels


@dataclass(frozen=True)
class Positives:
    """How far phrase j is right for region i, for pairs (region, phrase) that are linked.

    1 where the phrases of both pairs are equal, or where the regions are two boxes of one image whose IoU is
    at least `overlap`; `same_box` where both pairs share their region; `same_image` where both lie in one
    image; 0 otherwise. The first rule that applies decides. Of those with 0, phrases of one meaning are left
    out, as the false negatives of arXiv 2011.11765: they are neither right nor wrong.

    Attributes:
        same_box: Weight in [0, 1] of the other phrases that are linked to the same box.
        same_image: Weight in [0, 1] of the other phrases of the same image (the beta of beta-CLIP).
        overlap: IoU in (0, 1] from which a box counts as the other one too; None for never.
        synonyms: Cosine in (0, 1] of two phrases' vectors, less the mean of the batch's, from which they are
            of one meaning ("a man", "a guy"); None for never. It asks for a text tower that knows what
            phrases mean before it is trained here.

    Raises:
        InputError: A weight, the IoU or the cosine is out of range.

    Example:
        >>> import torch
        >>> labels = torch.tensor([[7, 0, 0], [8, 0, 0], [7, 1, 1]])  # phrase, region, image of three pairs
        >>> Positives(same_box=0.5, same_image=0.0, overlap=None).weights((labels,), (labels,))
        tensor([[1.0000, 0.5000, 1.0000],
                [0.5000, 1.0000, 0.0000],
                [1.0000, 0.0000, 1.0000]])
    """

    same_box: float = field(
        default=1.0, metadata={"meaning": "0 to 1: how right other phrases of the same box are"}
    )
    same_image: float = field(
        default=0.0, metadata={"meaning": "0 to 1: how right other phrases of the same image are"}
    )
    overlap: float | None = field(
        default=0.7, metadata={"meaning": "IoU from which boxes of one image count as one; null: never"}
    )
    synonyms: float | None = field(
        default=None,
        metadata={"meaning": "cosine from which phrases are no negatives of each other; null: never"},
    )

    def __post_init__(self) -> None:
        for name, value in (("same_box", self.same_box), ("same_image", self.same_image)):
            if not (_is_number(value) and 0 <= value <= 1):
                raise InputError(
                    f"{name} is {value!r}: expected a weight from 0 (a negative) to 1 (a positive)."
                )
        for name, least in (("overlap", self.overlap), ("synonyms", self.synonyms)):
            if least is not None and not (_is_number(least) and 0 < least <= 1):
                raise InputError(f"{name} is {least!r}: expected a number above 0 and up to 1, or None.")

    def weights(self, rows: Labels, columns: Labels) -> Tensor:
        """`[N, M]` float32 weights in [0, 1], and `NEITHER` of synonyms.

        Args:
            rows: `[N, 3]` int64 phrase, region and image of each pair; `[N, 4]` boxes where `overlap` is set;
                `[N, D]` L2-normalized vectors of the phrases where `synonyms` is set.
            columns: The same for M pairs.
        """
        phrase, region, image = (rows[0].T[:, :, None] == columns[0].T[:, None]).unbind(0)
        weight = torch.where(image, self.same_image, 0.0)
        if self.overlap is not None:
            weight = torch.where(image & (_iou(rows[1], columns[1]) >= self.overlap), 1.0, weight)
        weight = torch.where(region, self.same_box, weight)
        weight = torch.where(phrase, 1.0, weight)
        if self.synonyms is None:
            return weight
        alike = rows[-1] @ columns[-1].T >= self.synonyms
        return torch.where(alike & (weight == 0), NEITHER, weight)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _iou(one: Tensor, other: Tensor) -> Tensor:
    from torchvision.ops import box_iou

    return box_iou(one, other)
