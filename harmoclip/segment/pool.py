"""Map a function over batches, in this process or in others, in order and without reading far ahead."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from typing import Any, TypeVar

from harmoclip.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2
"""Batches that wait for each worker, so that none is idle."""


def map_batches(
    function: Callable[[list[Item]], list[Result]], items: Iterable[Item], batch_size: int, workers: int
) -> Iterator[Result]:
    """Yield what `function` makes of each item, given in lists of at most `batch_size`.

    Raises:
        InputError: A size below 1.
    """
    for name, value in (("batch_size", batch_size), ("workers", workers)):
        if value < 1:
            raise InputError(f"{name} must be at least 1, got {value}.")
    batches = _batches(items, batch_size)
    results = map(function, batches) if workers == 1 else _in_processes(function, batches, workers)
    return chain.from_iterable(results)


def _in_processes(
    function: Callable[[list[Item]], list[Result]], batches: Iterable[list[Item]], workers: int
) -> Iterator[list[Result]]:
    with ProcessPoolExecutor(workers, initializer=_keep, initargs=(function,)) as pool:
        waiting: deque[Future[list[Result]]] = deque()
        for batch in batches:
            waiting.append(pool.submit(_run, batch))
            if len(waiting) > _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


_function: Callable[[list[Any]], list[Any]]


def _keep(function: Callable[[list[Any]], list[Any]]) -> None:
    """Hold the function in the worker, so that it is sent once and not with each batch."""
    global _function
    _function = function
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot end its workers, which would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run(batch: list[Any]) -> list[Any]:
    return _function(batch)


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
