"""Models and data of the Hugging Face hub, which fail at once where there is no network."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies

from harmoclip.errors import HarmoclipError, InputError

_PATIENCE = 3.0
"""Seconds that the hub has to answer; libraries try for a minute."""


@contextmanager
def from_hub(name: str) -> Iterator[None]:
    """Within it the hub is asked for what is on this disk alone, if it cannot be reached.

    Args:
        name: What is looked for, for the message.

    Raises:
        InputError: It is not on the disk, and the hub cannot be reached.
    """
    from huggingface_hub import constants

    offline = constants.HF_HUB_OFFLINE
    alone = offline or not reachable(constants.ENDPOINT)
    _set_offline(alone)
    try:
        yield
    except HarmoclipError:
        raise
    except Exception as error:  # libraries say in every way that they cannot reach it
        if not alone:
            raise
        raise InputError(
            f"{name!r} is not on this disk, and {constants.ENDPOINT} cannot be reached: connect to the "
            f"network, or give a local folder or file. The library said: {' '.join(str(error).split()):.200}"
        ) from error
    finally:
        _set_offline(offline)


def _set_offline(offline: bool) -> None:
    """Tell the library, whose sessions before 1.0 keep what they were told when they were made."""
    import huggingface_hub

    huggingface_hub.constants.HF_HUB_OFFLINE = offline
    if forget := getattr(huggingface_hub.utils, "reset_sessions", None):
        forget()


def reachable(address: str) -> bool:
    """Whether the host of an address takes connections; taken for granted behind a proxy.

    Example:
        >>> reachable("http://127.0.0.1:9")
        False
    """
    parts = urlsplit(address)
    if parts.scheme in getproxies() or os.environ.get("ALL_PROXY"):
        return True
    port = parts.port or {"http": 80}.get(parts.scheme, 443)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_PATIENCE).close()
    except OSError:
        return False
    return True
