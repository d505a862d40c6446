"""The segments of COCO's annotations as masks: polygons and run lengths, by pycocotools."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harmoclip.errors import DataError, MissingDependencyError


def segment_mask(segmentation: Any, size: tuple[int, int], where: str) -> Tensor:
    """The pixels `[H, W]` bool of one annotation.

    Args:
        segmentation: Polygons, each a list of x and y in turn; or run lengths, `{"size", "counts"}`.
        size: Width and height of the image.
        where: What a message calls the annotation.

    Raises:
        DataError: It is neither.
        MissingDependencyError: pycocotools is not installed.

    Example:
        >>> segment_mask([[0, 0, 2, 0, 2, 2, 0, 2]], (4, 3), "annotation 7").sum()
        tensor(4)
    """
    try:
        from pycocotools import mask
    except ImportError as error:
        raise MissingDependencyError('Masks need pycocotools: pip install "harmoclip[data]".') from error
    width, height = size
    runs = segmentation
    try:
        if isinstance(segmentation, list):
            runs = mask.merge(mask.frPyObjects(segmentation, height, width))
        elif isinstance(segmentation["counts"], list):
            runs = mask.frPyObjects(segmentation, height, width)
        with warnings.catch_warnings():  # about pycocotools' own arrays
            warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
            pixels = np.asarray(mask.decode(runs), dtype=bool)
    except Exception as error:  # pycocotools raises Exception itself
        raise DataError(
            f"{where} has the segmentation {segmentation!r:.60}: expected polygons or run lengths in COCO's "
            "format."
        ) from error
    if pixels.shape != (height, width):
        raise DataError(
            f"{where} has a segmentation of {pixels.shape[1]} x {pixels.shape[0]} pixels, and its image is "
            f"{width} x {height}."
        )
    return torch.from_numpy(pixels)
