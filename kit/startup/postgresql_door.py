"""A loopback port that leads to one database of a PostgreSQL server, as one role, and nowhere else on it.

The kernel's guards know addresses, not databases: an application that may reach the server's port could ask it for
production's database, with a password that it has from somewhere else. So it may only reach this door, which
reads the first message of each connection and passes on the one that names the scratch database and its role.
Passwords are the server's business: what follows is passed on as it comes.

Frontend/Backend Protocol 3, https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import asyncio
import os
import ssl
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102
_MOST_OPENING, _MOST_GREETING = 10_000, 1 << 20  # bytes of a message, as the server has it; before a session begins
_CHUNK = 1 << 16
_PATIENCE = 30.0  # seconds for a connection's first message


@dataclass(frozen=True)
class Upstream:
    """How the server is reached: ``host`` is a name, an address or the folder of a UNIX socket; ``tls`` None: in the clear."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """:raises OSError: it cannot be reached, or does not speak TLS"""
        if self.host.startswith(("/", "@")):
            path = self.host.replace("@", "\0", 1) if self.host.startswith("@") else self.host
            return await asyncio.open_unix_connection(f"{path}/.s.PGSQL.{self.port}")
        reader, writer = await asyncio.open_connection(self.host, self.port)
        if self.tls is not None:
            writer.write(struct.pack("!II", 8, _SSL))
            if await reader.readexactly(1) != b"S":
                writer.close()
                raise OSError("the server does not speak TLS")
            await writer.start_tls(self.tls, server_hostname=self.host)
        return reader, writer


class Door:
    """One open door.

    :ivar port: where it stands, on 127.0.0.1
    :ivar refused: ``{"what": what was asked for, "by": user}``, in order, each once
    """

    def __init__(self, upstream: Upstream, database: str, role: str):
        self.upstream, self.database, self.role = upstream, database, role
        self.refused: list[dict[str, str]] = []
        self._keys: set[bytes] = set()  # of this door's sessions: what may be cancelled through it
        self._tasks: set[asyncio.Task] = set()
        self._server = _run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """No connection goes through any more."""
        _run(self._close())

    async def _close(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        beyond = None
        try:
            opening = await asyncio.wait_for(_opening(reader, writer), _PATIENCE)
            if opening is None:
                return
            code, rest = opening
            if code == _CANCEL:
                if rest in self._keys:
                    _, beyond = await self.upstream.open()
                    beyond.write(_message(code, rest))
                    await beyond.drain()
                return
            what = self._asked_for_more(code, rest)
            if what:
                self._refuse(what)
                refusal = f"{what}: refused by the incident kit. A reproduction reaches its scratch database"
                writer.write(_error(refusal))
                await writer.drain()
                return
            answers, beyond = await self.upstream.open()
            beyond.write(_message(code, rest))
            there = asyncio.ensure_future(_copy(reader, beyond))
            try:
                await self._greet(answers, writer)
                back = asyncio.ensure_future(_copy(answers, writer))
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
                back.cancel()
            finally:
                there.cancel()
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError, asyncio.CancelledError):
            pass  # either side has gone; the other learns it now
        finally:
            for stream in (writer, beyond):
                if stream is not None:
                    stream.close()
            self._tasks.discard(task)

    def _asked_for_more(self, code: int, rest: bytes) -> str | None:
        """What a first message asks for beside the scratch database, in words."""
        if code >> 16 != 3:
            return f"PostgreSQL's protocol {code >> 16}"
        words = [word.decode("utf-8", "replace") for word in rest.split(b"\0")]
        parameters = dict(zip(words[::2], words[1::2], strict=False))
        user = parameters.get("user", "")
        database = parameters.get("database") or user
        if (database, user) != (self.database, self.role):
            return f"postgresql database {database[:80]} as user {user[:80]}"
        return "postgresql replication" if "replication" in parameters else None

    def _refuse(self, what: str) -> None:
        entry = {"what": what, "by": "its PostgreSQL driver"}
        if entry not in self.refused and len(self.refused) < 100:
            self.refused.append(entry)

    async def _greet(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass the server's messages on until the session has begun."""
        while True:
            head = await answers.readexactly(5)
            size = struct.unpack("!I", head[1:])[0]
            if not 4 <= size <= _MOST_GREETING:
                raise ValueError("not a message of PostgreSQL's")
            body = await answers.readexactly(size - 4)
            if head[:1] == b"R" and body[:4] == b"\0\0\0\x0a" and self.upstream.tls is not None:
                # The client speaks in the clear, and would take an offer that binds a TLS channel for a forgery.
                offers = [offer for offer in body[4:].split(b"\0") if offer and not offer.endswith(b"-PLUS")]
                body = body[:4] + b"".join(offer + b"\0" for offer in offers) + b"\0"
            elif head[:1] == b"K":
                self._keys.add(body)
            writer.write(head[:1] + struct.pack("!I", len(body) + 4) + body)
            await writer.drain()
            if head[:1] in (b"Z", b"E"):
                return


async def _opening(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, bytes] | None:
    """The first message that is no question for encryption: its code, and the rest of it."""
    for _ in range(3):
        size, code = struct.unpack("!II", await reader.readexactly(8))
        if not 8 <= size <= _MOST_OPENING:
            return None
        rest = await reader.readexactly(size - 8)
        if code not in (_SSL, _GSS):
            return code, rest
        writer.write(b"N")  # it never leaves this machine
        await writer.drain()
    return None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()


def _message(code: int, rest: bytes) -> bytes:
    return struct.pack("!II", len(rest) + 8, code) + rest


def _error(text: str) -> bytes:
    fields = ((b"S", "FATAL"), (b"V", "FATAL"), (b"C", "28000"), (b"M", text))
    body = b"".join(kind + value.encode() + b"\0" for kind, value in fields)
    return b"E" + struct.pack("!I", len(body) + 5) + body + b"\0"


_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def _run(work: Coroutine) -> Any:
    """Have the doors' loop do this, and wait for it; from any thread but the loop's own."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="postgresql doors", daemon=True).start()
    return asyncio.run_coroutine_threadsafe(work, _loop).result()


def _after_fork() -> None:
    """The thread stays with the parent."""
    global _lock, _loop
    _lock, _loop = threading.Lock(), None


os.register_at_fork(after_in_child=_after_fork)
