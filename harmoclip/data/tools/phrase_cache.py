"""The phrases of captions, found once and kept in a file beside the data."""

from __future__ import annotations

import json
import os
import sqlite3
import weakref
from collections.abc import Iterable
from dataclasses import astuple
from dataclasses import fields as fields_of
from functools import cached_property
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

from harmoclip.errors import DataError
from harmoclip.segment import RULES_VERSION, Attribute, CaptionSegmenter, Head, Phrase, Phrases, Relation

_ROWS_AT_A_TIME = 1024


class PhraseCache:
    """A segmenter that looks a caption up before it parses it.

    An entry's address is a hash of the caption, the spaCy pipeline with its version, and the version of the
    segmenter's rules, so that another of these gives another entry and nothing has to be cleared. Processes
    may share it.

    Args:
        path: The SQLite file; made where it is missing.
        segmenter: Finds the phrases of new captions; None makes a `CaptionSegmenter`.

    Raises:
        DataError: The file cannot be opened, or is no such file.

    Example:
        >>> cache = PhraseCache("phrases.sqlite")  # doctest: +SKIP
        >>> dataset = CocoCaptions("coco", segment=cache)  # doctest: +SKIP
        >>> cache.fill(dataset.captions, workers=8)  # doctest: +SKIP
    """

    def __init__(self, path: str | Path, segmenter: CaptionSegmenter | None = None) -> None:
        self.path = Path(path)
        self.segmenter = CaptionSegmenter() if segmenter is None else segmenter
        self._connections: dict[int, sqlite3.Connection] = {}
        self._connection.execute("SELECT 1")

    def __call__(self, caption: str) -> Phrases:
        """The phrases of one caption."""
        found = self._connection.execute(
            "SELECT phrases FROM phrases WHERE address = ?", [self._address(caption)]
        ).fetchone()
        if found:
            return Phrases(caption, (_phrase(*row) for row in json.loads(found[0])))
        phrases = self.segmenter(caption)
        self._keep([(caption, phrases)])
        return phrases

    def fill(self, captions: Iterable[str], *, workers: int = 1) -> int:
        """Find the phrases of every new caption, with a progress bar; a run that is stopped goes on later.

        Args:
            captions: Equal ones are parsed once.
            workers: Processes that parse.

        Returns:
            How many captions were new.
        """
        from rich.progress import track

        new = [c for c in dict.fromkeys(captions) if not self.holds(c)]
        found = zip(new, self.segmenter.pipe(new, workers=workers), strict=True)
        shown = iter(track(found, "phrases", total=len(new)))
        while rows := list(islice(shown, _ROWS_AT_A_TIME)):
            self._keep(rows)
        return len(new)

    def holds(self, caption: str) -> bool:
        """Whether the phrases of a caption are there already."""
        query = "SELECT 1 FROM phrases WHERE address = ?"
        return self._connection.execute(query, [self._address(caption)]).fetchone() is not None

    def __len__(self) -> int:
        """Entries of every pipeline."""
        return int(self._connection.execute("SELECT count(*) FROM phrases").fetchone()[0])

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_connections": {}}

    def close(self) -> None:
        """Close the file; the next look-up opens it again."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    @cached_property
    def _rules(self) -> bytes:
        """What decides the phrases beside the caption, and how they are kept."""
        fields = [field.name for kind in (Phrase, Head, Attribute, Relation) for field in fields_of(kind)]
        decisive = (RULES_VERSION, self.segmenter.pipeline, self.segmenter.keep_all, fields)
        return blake2b(repr(decisive).encode(), digest_size=16).digest()

    def _address(self, caption: str) -> bytes:
        return blake2b(caption.encode("utf-8", "surrogatepass"), key=self._rules, digest_size=16).digest()

    def _keep(self, rows: Iterable[tuple[str, Phrases]]) -> None:
        entries = [(self._address(c), json.dumps([astuple(p) for p in phrases])) for c, phrases in rows]
        with self._connection as connection:
            connection.executemany("INSERT OR IGNORE INTO phrases VALUES (?, ?)", entries)

    @property
    def _connection(self) -> sqlite3.Connection:
        # SQLite's connections must not be carried into a forked process
        own = os.getpid()
        if own not in self._connections:
            self._connections[own] = self._open()
        return self._connections[own]

    def _open(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self.path, timeout=60)
            weakref.finalize(self, connection.close)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("CREATE TABLE IF NOT EXISTS phrases (address BLOB PRIMARY KEY, phrases TEXT)")
        except sqlite3.Error as error:
            raise DataError(
                f"the phrases cannot be kept in {self.path} ({error}): expected a file that can be written, "
                "made by an earlier run or not there yet."
            ) from error
        return connection


def _phrase(
    text: str,
    start: int,
    end: int,
    head: list[Any],
    attributes: list[list[Any]],
    relations: list[list[Any]],
    reason: str | None,
) -> Phrase:
    return Phrase(
        text,
        start,
        end,
        Head(*head),
        tuple(Attribute(*a) for a in attributes),
        tuple(Relation(*r) for r in relations),
        reason,
    )
