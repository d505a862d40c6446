"""Encoders of regions and of patches as modules of their own, for `torch.export` and ONNX."""

from __future__ import annotations

import importlib.util
import os
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from harmoclip.errors import InputError, MissingDependencyError, UnsupportedModelError
from harmoclip.harmonized import Harmonized
from harmoclip.ops.backends import SAYS_THAT_IT_EXPORTS

OPSET = 18
"""Of the ONNX files; the exporter writes this one itself, without converting."""

_IMAGES, _REGIONS = torch.export.Dim("images", min=1), torch.export.Dim("regions", min=0)


class Exportable(nn.Module, ABC):
    """What `Harmonized` computes of tensors alone; a program made of it runs without harmoclip.

    Such a program can refuse nothing: the vector of an impossible box, such as one in pixels, is NaN.

    Args:
        harmo: Attached, and in evaluation mode.

    Attributes:
        dynamic_shapes: For `torch.export.export`: any number of images and of boxes.

    Raises:
        InputError: The model is in training mode.
        UnsupportedModelError: Every image of the model has a grid of its own.
    """

    dynamic_shapes: ClassVar[dict[str, dict[int, Any]]]

    def __init__(self, harmo: Harmonized) -> None:
        super().__init__()
        if harmo.training:
            raise InputError("the model is in training mode: call harmo.eval(), or dropout is exported too.")
        if harmo.towers.image.any_grid:
            raise UnsupportedModelError(
                f"{type(harmo.model).__name__} takes images of any grid, of which no program can be made: "
                "export a model of images of one size."
            )
        self.harmo = harmo
        self.eval()

    @abstractmethod
    def example(self) -> tuple[Tensor, ...]:
        """Inputs to trace with.

        Raises:
            InputError: The model does not say the size of its images, so give inputs of your own.
        """

    def _images(self) -> Tensor:
        size = self.harmo.towers.image.input_size
        if size is None:
            raise InputError("this model does not say the size of its images: give export_onnx(inputs=...).")
        weight = next(self.harmo.parameters())
        return torch.zeros(2, 3, *size, dtype=weight.dtype, device=weight.device)


class RegionEncoder(Exportable):
    """`Harmonized.encode_regions` as a module: (images, boxes, image_index) to vectors `[R, D]`.

    Example:
        >>> import harmoclip, open_clip, torch
        >>> model = open_clip.create_model("ViT-B-32", pretrained=None)
        >>> encoder = RegionEncoder(harmoclip.harmonize(model).eval())
        >>> program = torch.export.export(encoder, encoder.example(), dynamic_shapes=encoder.dynamic_shapes)
    """

    dynamic_shapes: ClassVar[dict[str, dict[int, Any]]] = {
        "images": {0: _IMAGES},
        "boxes": {0: _REGIONS},
        "image_index": {0: _REGIONS},
    }

    def forward(self, images: Tensor, boxes: Tensor, image_index: Tensor) -> Tensor:
        """As `Harmonized.encode_regions`."""
        return self.harmo.encode_regions(images, boxes, image_index)

    def example(self) -> tuple[Tensor, Tensor, Tensor]:
        """Two images with three boxes."""
        images = self._images()
        boxes = torch.tensor([[0.1, 0.2, 0.6, 0.9]], device=images.device).repeat(3, 1)
        return images, boxes, torch.tensor([0, 1, 1], device=images.device)


class DenseEncoder(Exportable):
    """`Harmonized.encode_dense` as a module: images to a vector for every patch, `[B, H, W, D]`."""

    dynamic_shapes: ClassVar[dict[str, dict[int, Any]]] = {"images": {0: _IMAGES}}

    def forward(self, images: Tensor) -> Tensor:
        """As `Harmonized.encode_dense`."""
        return self.harmo.encode_dense(images)

    def example(self) -> tuple[Tensor]:
        """Two images."""
        return (self._images(),)


def export_onnx(
    encoder: Exportable, path: str | os.PathLike[str], inputs: tuple[Tensor, ...] | None = None
) -> None:
    """Write an encoder as an ONNX file, opset 18, which onnxruntime runs without torch and harmoclip.

    The file holds the image tower alone. Numbers of images and boxes are free; the size of the images is that
    of the inputs.

    Args:
        encoder: A `RegionEncoder` or a `DenseEncoder`.
        path: The file, `regions.onnx` say; weights too large for it lie beside it, in `regions.onnx.data`.
        inputs: What to trace with; `encoder.example()` if None.

    Raises:
        MissingDependencyError: The exporter's packages are missing, or torch is older than 2.7.
        InputError: The model does not say the size of its images, and no inputs are given.

    Example:
        >>> import harmoclip, open_clip
        >>> model = open_clip.create_model("ViT-B-32", pretrained=None)
        >>> export_onnx(RegionEncoder(harmoclip.harmonize(model).eval()), "regions.onnx")  # doctest: +SKIP
    """
    if missing := [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]:
        raise MissingDependencyError(f'ONNX needs {" and ".join(missing)}: pip install "harmoclip[onnx]".')
    if not SAYS_THAT_IT_EXPORTS:
        raise MissingDependencyError(f"exporting needs torch 2.7 or later; this is {torch.__version__}.")
    with torch.no_grad():
        torch.onnx.export(
            encoder,
            inputs or encoder.example(),
            str(path),
            dynamo=True,
            dynamic_shapes=encoder.dynamic_shapes,
            opset_version=OPSET,
            verbose=False,
        )
