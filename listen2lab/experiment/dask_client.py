"""The few things that are asked of dask: a client, a job for one worker, an error in words."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

from distributed import Client

from listen2lab.errors import InputError, LabError

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Future

CONNECT_SECONDS = 10.0
"""How long an answer may take: at first, and when the connection broke."""

LAB_VERSION = "__import__('listen2lab').__version__"
"""For `eval` there. A worker ends when it is sent something of a package that it does not have;
this it can read."""


def connected(address: str) -> Client:
    """Return a client of the scheduler at an address."""
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # it is said here instead
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"no Dask scheduler answers at {address or 'an empty address'} ({error}); nothing was "
            "run; give the address that `dask scheduler` printed, such as tcp://host:8786"
        ) from error


def submit(client: Client, worker: str, function: Callable[..., Any], *arguments: Any) -> Future:
    """Give one worker a job."""
    return client.submit(
        function, *arguments, workers=[worker], pure=False, key=f"listen2lab-{uuid.uuid4().hex}"
    )


def in_words(error: Exception) -> str:
    """Say what was wrong on a worker."""
    if isinstance(error, LabError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed there; pip install 'listen2lab[dask]' there"
    return f"it failed with {error!r}"
