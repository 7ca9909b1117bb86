"""Loopback ports: one that is free, and whether a server answers on it."""

import random
import socket
from enum import Enum
from pathlib import Path

from ..base.errors import RunBroke

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_FIRST = 32_768  # and above: ports that a system gives to whoever asks for any
_UNPRIVILEGED = 10_000  # and above: few services have a port of their own


def free_port() -> int:
    """A loopback port that nobody uses at this moment, and that the system gives to nobody who asks for any.

    One of those might be somebody else's before the server has bound it.
    """
    try:
        first = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        first = _USUAL_FIRST
    below = range(_UNPRIVILEGED, first)
    for port in [*random.sample(below, min(len(below), 100)), 0]:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
            except OSError:
                continue
    raise RunBroke("no loopback port is free for the server")


class Heard(Enum):
    """What comes of one request to a port."""

    NOTHING_THERE = "nobody listens, or the line is closed without a byte"
    SILENCE = "the line stays open, and nothing comes"
    ANSWER = "an answer, whatever it says"


def ask(port: int, seconds: float) -> Heard:
    """Ask for ``/`` on a loopback port, and wait so long for the first byte. Nothing that the answer names is followed.

    A connection alone proves little: some servers listen before they have loaded the application, and close what they
    accepted when that fails.
    """
    request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as line:
            line.settimeout(seconds)
            line.sendall(request.encode())
            return Heard.ANSWER if line.recv(1) else Heard.NOTHING_THERE
    except TimeoutError:
        return Heard.SILENCE
    except OSError:
        return Heard.NOTHING_THERE
