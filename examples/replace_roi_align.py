"""Put `harmoclip.ops.roi_align` in the place of torchvision's: same arguments, same values, less time.

Run it with: python examples/replace_roi_align.py
"""

import time
from collections.abc import Callable

import torch
import torchvision
from torch import Tensor

import harmoclip.ops


def pool_boxes(
    roi_align: Callable[..., Tensor], features: Tensor, boxes: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """One step of any program that calls `roi_align`: vectors of boxes, and the gradient of the features."""
    pooled = roi_align(features, boxes, output_size=(7, 7), spatial_scale=14 / 224, aligned=True)
    (grad,) = torch.autograd.grad(pooled.square().mean(), features)
    return pooled, grad


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(4, 768, 14, 14, generator=generator, requires_grad=True)
    low = torch.rand(4, 10, 2, generator=generator) * 112
    size = 16 + torch.rand(4, 10, 2, generator=generator) * 96
    boxes = list(torch.cat([low, low + size], 2))  # ten boxes of each image, in pixels

    results, names = [], ("torchvision.ops.roi_align", "harmoclip.ops.roi_align")
    for name, roi_align in zip(names, (torchvision.ops.roi_align, harmoclip.ops.roi_align), strict=True):
        pool_boxes(roi_align, features, boxes)  # the first call loads what later calls have at hand
        start = time.perf_counter()
        results.append(pool_boxes(roi_align, features, boxes))
        print(f"{name}: forward and backward in {(time.perf_counter() - start) * 1e3:.0f} ms")
    torch.testing.assert_close(*results)
    print(f"Both give {tuple(results[0][0].shape)} values, and the same gradient.")

    # where only the mean over a box is wanted, region_pool takes the tokens as they leave the tower
    tokens = features.detach().flatten(2).transpose(1, 2).contiguous().requires_grad_()
    normalised, image_index = torch.cat(boxes) / 224, torch.arange(4).repeat_interleave(10)
    start = time.perf_counter()
    vectors = harmoclip.ops.region_pool(tokens, normalised, image_index, grid=(14, 14), bins=7)
    torch.autograd.grad(vectors.sum(), tokens)
    print(f"harmoclip.ops.region_pool: forward and backward in {(time.perf_counter() - start) * 1e3:.0f} ms")
    torch.testing.assert_close(vectors, results[0][0].mean((2, 3)), atol=1e-4, rtol=1e-4)
    print("Its vectors are the means of the values above.")


if __name__ == "__main__":
    main()
