"""Pooling operators: tensors in, tensors out, no model and no loss."""

from harmoclip.ops import _vmap as _vmap  # registers the rules
from harmoclip.ops._weights import region_weights
from harmoclip.ops.backends import available_backends
from harmoclip.ops.mask_pool import mask_pool
from harmoclip.ops.region_pool import region_pool
from harmoclip.ops.roi_align import RoIAlign, roi_align
from harmoclip.ops.span_pool import span_pool

__all__ = [
    "RoIAlign",
    "available_backends",
    "mask_pool",
    "region_pool",
    "region_weights",
    "roi_align",
    "span_pool",
]


def __dir__() -> list[str]:
    return sorted(__all__)
