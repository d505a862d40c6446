"""The teacher's vectors of boxes cut out, kept on disk, so that every epoch after the first has them."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from harmoclip.crops import crop_boxes
from harmoclip.errors import InputError
from harmoclip.evaluate.cache import weights_digest
from harmoclip.files import PARTIAL
from harmoclip.grounding import Grounding
from harmoclip.harmonized import Harmonized
from harmoclip.towers import find_towers

Key = tuple[int, ...]


class CropCache:
    """Vectors of crops by image, box and teacher; what is missing is computed and kept.

    An image counts by its pixels as the model is given them, so what is kept never grows stale. Random crops
    make new pixels every time: nothing is found again then.

    Each teacher has a folder of its own, with safetensors files of `keys [N, 3]` int64 and `vectors [N, D]`.
    Several processes may use it at once; a run that was stopped finds what it had kept.

    Args:
        folder: Made where it is missing.
        harmo: A harmonized model with a teacher and `global_region="crops"`.
        rank: Of this process, for the names of its files.
        rows: How many vectors are kept before they are written.

    Raises:
        InputError: The model has no teacher, or does not hold its regions to crops.

    Example:
        >>> import open_clip
        >>> from harmoclip import harmonize
        >>> model = open_clip.create_model("ViT-B-32")
        >>> harmo = harmonize(model, teacher=True, global_region="crops")
        >>> cache = CropCache("crops", harmo)  # doctest: +SKIP
        >>> losses = harmo(images, texts, grounding, cache(images, grounding))  # doctest: +SKIP
    """

    def __init__(self, folder: str | Path, harmo: Harmonized, *, rank: int = 0, rows: int = 4096) -> None:
        if harmo.teacher is None or harmo.options.global_region != "crops":
            raise InputError(
                "crops are kept of a frozen teacher, for regions held to them: expected teacher=True "
                f'and global_region="crops", not {harmo.options.global_region!r}'
                f"{' without a teacher' if harmo.teacher is None else ''}."
            )
        self.folder = Path(folder) / weights_digest(harmo.teacher).hex()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._towers, self._rank, self._rows = find_towers(harmo.teacher), rank, rows
        self._read: set[str] = set()
        self._places: dict[Key, tuple[Path, int]] = {}
        self._new: dict[Key, Tensor] = {}

    @torch.no_grad()
    def __call__(self, images: Tensor, grounding: Grounding) -> Tensor:
        """The vectors `[R, D]` of the boxes of a batch, as `harmo(..., crops=...)` takes them.

        Args:
            images: `[B, 3, H, W]`, as the model is given them.
            grounding: With the boxes.
        """
        boxes, index = grounding.boxes, grounding.image_index
        keys = _keys(images, boxes, index)
        if any(key not in self for key in keys):
            self._look()
        missing = [row for row, key in enumerate(keys) if key not in self]
        if missing or not keys:
            cut = crop_boxes(images, boxes[missing], index[missing])
            # without boxes one image tells the width of vectors, as models refuse empty batches
            found = self._towers.encode_image(cut if missing else images[:1])[: len(missing)].float()
            self._new |= zip((keys[row] for row in missing), found.cpu(), strict=True)
            if not keys:
                return found
        vectors = self._vectors(keys).to(images.device)
        if len(self._new) >= self._rows:
            self.write()
        return vectors

    def __contains__(self, key: Key) -> bool:
        return key in self._new or key in self._places

    def write(self) -> None:
        """Write what is not written yet, whole or not at all."""
        if not self._new:
            return
        taken = len(list(self.folder.glob(f"{self._rank}-*.safetensors")))
        path = self.folder / f"{self._rank}-{taken:06}.safetensors"
        partial = path.with_name(path.name + PARTIAL)
        tensors = {"keys": torch.tensor(list(self._new)), "vectors": torch.stack(list(self._new.values()))}
        save_file(tensors, partial)
        os.replace(partial, path)
        self._new.clear()
        self._look()

    def _look(self) -> None:
        """Find what this and other processes have written since."""
        for path in sorted(self.folder.glob("*.safetensors")):
            if path.name not in self._read:
                self._read.add(path.name)
                with safe_open(path, "pt") as file:
                    keys = file.get_tensor("keys").tolist()
                self._places |= {tuple(key): (path, row) for row, key in enumerate(keys)}

    def _vectors(self, keys: list[Key]) -> Tensor:
        """The vectors of keys that are all known; each file is opened once."""
        rows = {key: self._new[key] for key in keys if key in self._new}
        files: dict[Path, list[Key]] = {}
        for key in keys:
            if key not in rows:
                files.setdefault(self._places[key][0], []).append(key)
        for path, own in files.items():
            with safe_open(path, "pt") as file:
                kept = file.get_slice("vectors")
                rows |= {key: kept[at : at + 1][0] for key in own for at in [self._places[key][1]]}
        return torch.stack([rows[key] for key in keys])


def _keys(images: Tensor, boxes: Tensor, image_index: Tensor) -> list[Key]:
    """Numbers that stand for each box: of its image's pixels, and of its four corners."""
    bits = _bits(images).flatten(1)
    generator = torch.Generator().manual_seed(0)
    factors = torch.randint(-(2**62), 2**62, (bits.shape[1],), generator=generator).to(images.device)
    pixels = (bits * factors).sum(1)  # whole numbers that overflow: the same on every device
    corners = _bits(boxes.to(images.device)).view(-1, 2, 2)
    packed = corners[..., 0] * 2**32 + (corners[..., 1] & (2**32 - 1))
    keys = torch.cat([pixels[image_index.to(images.device), None], packed], 1)
    return [tuple(key) for key in keys.tolist()]


def _bits(values: Tensor) -> Tensor:
    """The bits of float32 numbers, as whole numbers."""
    return values.float().contiguous().view(torch.int32).long()
