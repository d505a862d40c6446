"""Torchvision's RoIAlign through the products of this library."""

import torch
import torch.fx
from torch import Tensor
from torch._jit_internal import is_scripting
from torch.jit.annotations import BroadcastingList2
from torch.nn.modules.utils import _pair

from harmoclip.errors import BoxShapeError, QuantizedBatchError
from harmoclip.ops import backends
from harmoclip.ops._weights import roi_factors
from harmoclip.ops.backends import reference


@torch.fx.wrap
def roi_align(
    input: Tensor,
    boxes: Tensor | list[Tensor],
    output_size: BroadcastingList2[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
    backend: str = "auto",
) -> Tensor:
    """Pool each box into `output_size` bins of averaged bilinear samples, with torchvision's values.

    Beyond torchvision's: deterministic on every device, differentiable to any order, low precision computed
    in float32, and boxes that may keep float32 whatever the input's dtype. Boxes get no gradient, as there.
    The formula is that of Mask R-CNN (arXiv 1703.06870), as a product of row and column weights.

    Args:
        input: `[B, C, H, W]` features; quantized ones of a single image come back quantized alike.
        boxes: `[K, 5]` rows of (image, x1, y1, x2, y2), or a list with the `[L, 4]` boxes of each image, in
            the units that `spatial_scale` turns into cells.
        output_size: Bins of a box, one number or (rows, columns).
        spatial_scale: Cells a unit of the boxes.
        sampling_ratio: Samples a bin and axis; if not positive, `ceil(cells of the box / bins)`.
        aligned: Put the centre of the first cell at 0.5 instead of 0. Without it (torchvision's default)
            boxes also count as at least one cell large.
        backend: "auto", "reference", "cpu" or "triton"; see `available_backends`.

    Returns:
        `[K, C, rows, columns]` in the dtype of the input.

    Raises:
        BoxShapeError: The boxes have another shape.
        QuantizedBatchError: The features are quantized and of several images.
        InputError: A box is not finite, or an image index is out of range.

    Example:
        >>> image = torch.arange(16.0).reshape(1, 1, 4, 4)
        >>> roi_align(image, [torch.tensor([[0.0, 0.0, 4.0, 2.0]])], (1, 2), aligned=True)
        tensor([[[[2.5000, 4.5000]]]])
    """
    rois = _rois(boxes)
    height, width = _pair(output_size)
    features = input
    if input.is_quantized:
        if len(input) > 1:
            raise QuantizedBatchError(
                f"Only one image per batch is allowed for quantized features, got {len(input)}."
            )
        features, rois = input.dequantize(), rois.dequantize()
    if not is_scripting():
        backend = backends.choose(backend, features)
    elif backend == "auto":
        backend = "triton" if features.is_cuda else "cpu"
    out = _align(features, rois, height, width, spatial_scale, sampling_ratio, aligned, backend)
    if input.is_quantized:
        return torch.quantize_per_tensor(out, input.q_scale(), input.q_zero_point(), input.dtype)
    return out


def _align(
    input: Tensor,
    rois: Tensor,
    height: int,
    width: int,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
    backend: str,
) -> Tensor:
    index, corners = rois[:, 0].to(torch.int64), rois[:, 1:]
    corners = corners.detach().to(torch.float64 if input.dtype == torch.float64 else torch.float32)
    options = (spatial_scale, sampling_ratio, aligned)
    if is_scripting() or backend != "reference":
        return torch.ops.harmoclip.roi_align(input, corners, index, [height, width], *options, backend)
    rows, cols = roi_factors(corners, [input.shape[2], input.shape[3], height, width], *options)
    out = reference.pool(input.permute(0, 2, 3, 1).flatten(1, 2), rows, cols, index, 0)
    return out.permute(0, 3, 1, 2).contiguous()


def _rois(boxes: Tensor | list[Tensor]) -> Tensor:
    if isinstance(boxes, Tensor):
        if boxes.ndim != 2 or boxes.shape[1] != 5:
            raise BoxShapeError(
                f"boxes as one tensor must be [K, 5] (image, x1, y1, x2, y2), got {boxes.shape}."
            )
        return boxes
    rois: list[Tensor] = []
    for image, corners in enumerate(boxes):
        if corners.ndim != 2 or corners.shape[1] != 4:
            raise BoxShapeError(f"boxes as a list must be [L, 4] (x1, y1, x2, y2) each, got {corners.shape}.")
        rois.append(torch.cat([torch.full_like(corners[:, :1], image), corners], 1))
    return torch.cat(rois)


class RoIAlign(torch.nn.Module):
    """`roi_align` as a module, with torchvision's arguments."""

    def __init__(
        self,
        output_size: BroadcastingList2[int],
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, input: Tensor, rois: Tensor | list[Tensor]) -> Tensor:
        """`roi_align(input, rois, ...)`."""
        return roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)

    def extra_repr(self) -> str:
        """The arguments."""
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned}"
        )
