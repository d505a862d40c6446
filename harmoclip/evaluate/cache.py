"""Vectors kept by what they were computed from, so that no image, box or text is encoded twice."""

from __future__ import annotations

import hashlib
import sqlite3
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


class VectorCache:
    """Vectors by a digest of the model's weights and of its input.

    What is kept never grows stale: other weights or other pixels have another digest. A run that was stopped
    finds what it had computed.

    Args:
        path: An SQLite file, made where there is none; None keeps the vectors in memory.

    Example:
        >>> cache = VectorCache()
        >>> cache.put({b"key": torch.ones(1, 2)})
        >>> cache.get([b"key", b"other"])
        {b'key': tensor([[1., 1.]])}
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path or ":memory:")
        weakref.finalize(self, self._database.close)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, rows INTEGER, vectors BLOB)"
        )

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Tensor]:
        """The vectors `[N, D]` float32 of those keys that are known."""
        found = {}
        for key in keys:
            row = self._database.execute("SELECT rows, vectors FROM vectors WHERE key = ?", (key,)).fetchone()
            if row is not None:
                flat = torch.from_numpy(np.frombuffer(row[1], dtype=np.float32).copy())
                found[key] = flat.view(row[0], -1) if row[0] else flat.view(0, 0)
        return found

    def put(self, vectors: Mapping[bytes, Tensor]) -> None:
        """Keep the vectors `[N, D]` of each key."""
        rows = [(key, len(value), value.float().cpu().numpy().tobytes()) for key, value in vectors.items()]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)


def digest(*parts: bytes | str | Tensor) -> bytes:
    """A key of 16 bytes that differs wherever a part differs.

    Example:
        >>> digest("image", torch.zeros(2)) == digest("image", torch.zeros(3))
        False
    """
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        total.update(hashlib.blake2b(_content(part), digest_size=16).digest())
    return total.digest()


def weights_digest(model: nn.Module) -> bytes:
    """A key of all that a model has learned."""
    parts: list[str | Tensor] = []
    for name, value in model.state_dict().items():
        if isinstance(value, Tensor):
            parts += [name, value]
    return digest(*parts)


def _content(part: bytes | str | Tensor) -> bytes:
    if isinstance(part, Tensor):
        flat = part.detach().cpu().contiguous().reshape(-1)
        return f"{part.dtype}{list(part.shape)}".encode() + flat.view(torch.uint8).numpy().tobytes()
    return part.encode() if isinstance(part, str) else part
