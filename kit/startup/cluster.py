"""Startups on a Dask cluster, named by its scheduler: ``kit check incidents --executor dask://host:8786``.

The kit needs nothing of Dask but here. A worker needs the kit and ``distributed``, in the versions of this machine, and no file of it.
"""

import os
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor
from contextlib import contextmanager

from ..base.errors import IncidentError, RunBroke
from .portable import Portable

VARIABLE = "KIT_EXECUTOR"  # names the executor for the processes that a command starts
_SECONDS = 20  # a scheduler that has not answered by then is not there


@contextmanager
def named_executor(address: str | None = None) -> Iterator[Executor | None]:
    """The executor at an address, ``dask://HOST:PORT``; by default of the environment's KIT_EXECUTOR, None where it is not set.

    :raises IncidentError: the address is none, nobody answers there, or Dask is not installed
    :raises RunBroke: the scheduler was lost meanwhile
    """
    address = address or os.environ.get(VARIABLE)
    if not address:
        yield None
        return
    scheme, _, place = address.partition("://")
    if scheme != "dask" or not place:
        raise IncidentError(f"--executor {address}: an executor is named as in dask://127.0.0.1:8786")
    try:
        from distributed import Client
    except ImportError:
        raise IncidentError(
            f"--executor {address}: Dask is not installed here; pip install distributed, here and on each worker"
        ) from None
    try:
        client = Client(f"tcp://{place}", timeout=_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise IncidentError(
            f"--executor {address}: no Dask scheduler answers there: {error}. Is it up (dask scheduler), and is this its address?"
        ) from None
    with client:
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise IncidentError(
                f"--executor {address}: the scheduler has no worker; start one: dask worker tcp://{place}"
            )
        try:
            yield Portable(client.get_executor(pure=False), put=lambda data: client.submit(bytes, data))
        except CancelledError:
            raise RunBroke(
                f"--executor {address}: the scheduler was lost, and with it what ran there. What had ended is kept; run it again"
            ) from None
