"""How far a command is: bars on a terminal, and a line now and then where nobody watches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Protocol, Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Column

T = TypeVar("T")
QUIET_FOR = 30.0
"""Seconds between the lines of a command whose standard error is no terminal."""


class Advance(Protocol):
    """Moves a bar."""

    def __call__(self, done: int, note: str = "", /, speak: bool = False) -> None:
        """So much is done; the note stands beside it, and `speak` says that it is worth a line."""


class Progress:
    """Bars on standard error, one a task; where that is no terminal, a line each `every` seconds.

    Args:
        console: Where to; None is standard error.
        every: Seconds between lines.

    Example:
        >>> with Progress() as progress:  # doctest: +SKIP
        ...     advance = progress.task("reading", total=3)
        ...     for done in range(1, 4):
        ...         advance(done, "all well")
    """

    def __init__(self, console: Console | None = None, every: float = QUIET_FOR) -> None:
        self.console = console or Console(stderr=True)
        self.every = every
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=max(4, min(40, self.console.width - 74))),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}", style="cyan", table_column=Column()),  # the one that wraps
        )
        self._bars = Bars(*columns, console=self.console, refresh_per_second=4)

    @property
    def live(self) -> bool:
        """Whether bars are drawn."""
        return self.console.is_terminal

    def __enter__(self) -> Self:
        if self.live:  # some releases of rich end what they never drew with an empty line
            self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.live:
            self._bars.stop()

    def task(self, title: str, total: int | None = None, done: int = 0) -> Advance:
        """A bar of its own; what is returned moves it.

        Args:
            title: Before the bar.
            total: Where it ends, if that is known.
            done: Where it begins.
        """
        if not self.live:
            return self._lines(title, total)
        bar = self._bars.add_task(title, total=total, completed=done, note="")

        def advance(done: int, note: str = "", /, speak: bool = False) -> None:
            self._bars.update(bar, completed=done, note=note)

        return advance

    def track(self, items: Sequence[T], title: str) -> Iterator[T]:
        """The items, under a bar of their own."""
        advance = self.task(title, len(items))
        for done, item in enumerate(items, 1):
            yield item
            advance(done)

    def say(self, text: str) -> None:
        """One line for people, above the bars."""
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def _lines(self, title: str, total: int | None) -> Advance:
        spoken = time.monotonic()

        def advance(done: int, note: str = "", /, speak: bool = False) -> None:
            nonlocal spoken
            now = time.monotonic()
            if speak or now - spoken >= self.every:
                spoken = now
                self.say(f"{title} {done}{f'/{total}' if total else ''}  {note}".strip())

        return advance
