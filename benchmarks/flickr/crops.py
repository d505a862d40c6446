"""What the frozen layers of the image tower gave for boxes that are cut out, kept by the box."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from flickr.prepare import run
from harmoclip.images import open_image

CROP_SIZE = 128  # pixels: most boxes have no more


class Crops:
    """Lower features of boxes that are cut out of their photographs."""

    def __init__(self, images: Path, lower: Callable[[], nn.Module]) -> None:
        self.images, self._make = images, lower
        self._lower: nn.Module | None = None
        self.kept: dict[tuple[str, int], np.ndarray[Any, Any]] = {}
        self.saved = 0

    def __call__(self, boxes: list[tuple[str, int, Tensor]]) -> Tensor:
        """`[R, C, H, W]` of boxes, each a photograph's name, its row and its corners in [0, 1]."""
        new = {(key, row): box for key, row, box in boxes if (key, row) not in self.kept}
        if new:
            self.kept.update(zip(new, self._compute(new), strict=True))
        found = torch.from_numpy(np.stack([self.kept[key, row] for key, row, _ in boxes])).float()
        return found.contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def _compute(self, boxes: dict[tuple[str, int], Tensor]) -> np.ndarray[Any, Any]:
        if self._lower is None:
            self._lower = self._make()
        with torch.autocast("cpu", enabled=False):
            return run(self._lower, [self._cut(key, box) for (key, _), box in boxes.items()])

    def _cut(self, key: str, box: Tensor) -> Image.Image:
        image = open_image(self.images / f"{key}.jpg")
        corners = (box * torch.tensor([image.width, image.height] * 2)).tolist()
        return image.resize((CROP_SIZE, CROP_SIZE), Image.Resampling.BICUBIC, box=tuple(corners))

    def save(self, folder: Path) -> None:
        """Write the crops that are new since the last time."""
        new = list(self.kept)[self.saved :]
        if new:
            np.savez(
                folder / f"crops-{self.saved}.npz",
                keys=np.array([key for key, _ in new]),
                rows=np.array([row for _, row in new]),
                features=np.stack([self.kept[name] for name in new]),
            )
            self.saved = len(self.kept)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        while (path := folder / f"crops-{len(self.kept)}.npz").exists():
            content = np.load(path)
            names = zip(content["keys"].tolist(), content["rows"].tolist(), strict=True)
            self.kept.update(zip(names, content["features"], strict=True))
        self.saved = len(self.kept)
