"""How many threads an operation takes.

While other programs use the cores, every operation that is split waits for a thread that does not run, some
ten milliseconds each. So lists and small products run in the calling thread, and only long work is split.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

WORTH_SPLITTING = 2e7
"""Values to read that several threads finish sooner than one, busy cores or not."""


@contextmanager
def one_thread() -> Iterator[int]:
    """Run operations in the calling thread alone; gives the number of threads that there were.

    Setting the number takes less than a microsecond.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


@contextmanager
def split(work: float, threads: int) -> Iterator[None]:
    """Inside `one_thread`: give an operation that reads `work` values more threads, if it is long enough."""
    if work < WORTH_SPLITTING:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(1)
