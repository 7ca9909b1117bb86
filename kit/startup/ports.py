"""Loopback ports: one that is free, and whether a server answers on it."""

import http.client
import random
import socket
import urllib.error
import urllib.request
from pathlib import Path

from ..base.errors import RunBroke

_GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUALLY_GIVEN = 32_768  # and above: ports that a system gives to whoever asks for any
_UNPRIVILEGED = 10_000  # and above: few services have a port of their own


def free_port() -> int:
    """A loopback port that nobody uses at this moment, and that the system gives to nobody who asks for any.

    One of those might be somebody else's before the server has bound it.
    """
    try:
        given = int(_GIVEN.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        given = _USUALLY_GIVEN
    below = range(_UNPRIVILEGED, given)
    for port in [*random.sample(below, min(len(below), 100)), 0]:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
            except OSError:
                continue
    raise RunBroke("no loopback port is free for the server")


def answers(port: int | None) -> bool:
    """Does a server answer on this loopback port? Any answer counts, and so does silence on an open line.

    A connection alone proves little: some servers listen before they have loaded the application.
    """
    if port is None:
        return False
    try:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            probe.connect(("127.0.0.1", port))
    except OSError:
        return False
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/", timeout=10):
            return True
    except urllib.error.HTTPError as answer:
        answer.close()
        return True
    except (TimeoutError, ValueError, http.client.HTTPException):  # silence, or no HTTP
        return True
    except urllib.error.URLError as error:
        return not isinstance(error.reason, ConnectionRefusedError)
    except OSError:
        return True
