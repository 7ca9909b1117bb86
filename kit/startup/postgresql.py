"""A scratch database on a PostgreSQL server, with a role of its own, for one workspace; both are dropped at the end.

The server is the one whose URL stands in an environment variable of the kit's own process, else one of the kit's own
(:mod:`kit.startup.postgresql_server`). The application gets the scratch role's password and a door
(:mod:`kit.startup.postgresql_door`) that leads to the scratch database only; the URL that was given never leaves this process.
While a scratch database lives, a session that bears its name is open: one without is what a killed run left.
"""

import json
import os
import re
import secrets
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ..base import janitor
from ..base.errors import RunBroke
from ..base.known_secrets import SCRATCH_PASSWORD
from ..incident.model import DATABASE_SERVER, Incident
from .postgresql_door import Door, Upstream
from .postgresql_server import find_programs, own_server, version_of

_NAME = "incident_kit_"
_OLDEST = 130000  # DROP DATABASE ... WITH (FORCE)
_WITHOUT_TYPES = "pg_stat_statements"
_MOST_CONNECTIONS = 60  # of one scratch role: a startup that leaks them does not take the whole server's
_DROP = (
    f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r}); "
    "from kit.startup.postgresql import drop_for_the_dead; drop_for_the_dead(sys.stdin.read())"
)


@dataclass(frozen=True)
class Server:
    """Where scratch databases are made: ``conninfo`` is the administrator's way in, ``says`` what a reader may know."""

    conninfo: str = field(repr=False)
    says: str
    of_kit: bool


@dataclass(frozen=True)
class Scratch:
    """One scratch database; ``name`` is its role's name too, ``server`` what a reader may know of where it is."""

    name: str
    password: str = field(repr=False)
    door: Door = field(repr=False)
    server: str
    keeper: psycopg.Connection = field(repr=False)
    _seen: dict[str, float] = field(default_factory=lambda: {"at": 0.0, "bytes": 0.0}, repr=False)

    def size(self) -> float:
        """Bytes on the server's disk, asked once a second at most; 0 where the server does not say."""
        if time.monotonic() > self._seen["at"] + 1:
            self._seen["at"] = time.monotonic()
            with suppress(psycopg.Error):  # the application finds out by itself that the server has gone
                row = self.keeper.execute("SELECT pg_database_size(%s)", [self.name]).fetchone()
                self._seen["bytes"] = row[0]
        return self._seen["bytes"]

    @property
    def port(self) -> int:
        return self.door.port

    def url(self, driver: str | None = None) -> str:
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://{self.name}:{self.password}@127.0.0.1:{self.port}/{self.name}"

    @property
    def parts(self) -> dict[str, str]:
        """What the URL is made of, for applications that take it in parts."""
        access = {"name": self.name, "user": self.name, "password": self.password}
        return {"host": "127.0.0.1", "port": str(self.port), **access}


@contextmanager
def scratch_database(incident: Incident) -> Iterator[Scratch]:
    """Make an empty database for one workspace; it is dropped at the end, also if the kit is killed.

    :raises RunBroke: there is no server, it cannot be reached, or it does not let this be done
    """
    server = server_of(incident)
    name = f"{_NAME}{int(time.time()):x}_{secrets.token_hex(4)}"
    password = SCRATCH_PASSWORD + secrets.token_hex(16)
    with ExitStack() as stack:
        keeper = stack.enter_context(_connected(server, name))
        if not server.of_kit:  # that one's data go with it
            _sweep_once(server, keeper)
            dead = json.dumps({"conninfo": server.conninfo, "name": name})
            stack.enter_context(janitor.at_end([sys.executable, "-c", _DROP], dead))
        stack.callback(_drop_for_sure, server, keeper, name)
        try:
            _make(keeper, name, password)
        except psycopg.Error as error:
            raise RunBroke(_cannot(server, error)) from None
        door = _open_door(server, keeper, name, password)
        stack.callback(door.close)
        yield Scratch(name, password, door, server.says, keeper)


def give_extensions(scratch: Scratch, root: Path) -> None:
    """Make the extension that only an administrator may make and that no table can need, where sources below ``root`` ask for it.

    Any other would be there before the revision that makes it, and a table that comes too early would not fail.
    """
    asked = re.compile(rf"CREATE\s+EXTENSION\s+IF\s+NOT\s+EXISTS\W+{_WITHOUT_TYPES}\b".encode(), re.I)
    conninfo = make_conninfo(scratch.keeper.info.dsn, password=scratch.keeper.info.password, dbname=scratch.name)
    with suppress(psycopg.Error, OSError):  # else it is told when it is asked for
        files = (file for file in root.rglob("*") if file.suffix in (".py", ".sql") and file.is_file())
        if any(asked.search(file.read_bytes()) for file in files):
            with psycopg.connect(conninfo) as connection:
                connection.execute(f"CREATE EXTENSION {_WITHOUT_TYPES}")


def server_of(incident: Incident) -> Server:
    """The server that an incident's scratch databases are made on; the kit's own is started if it is not up.

    :raises RunBroke: the variable that the incident file names is not set, or there is no server at all
    """
    conninfo = _conninfo_of(incident)
    if conninfo is None:
        kits = own_server()
        says = f"PostgreSQL {version_of(kits.programs)}, a server of the kit's own"
        return Server(kits.conninfo, says, of_kit=True)
    return Server(conninfo, f"a scratch database and role on the server that {_variable(incident)} names", of_kit=False)


def _variable(incident: Incident) -> str:
    return incident.database_server or DATABASE_SERVER


def _conninfo_of(incident: Incident) -> str | None:
    """The administrator's connection string, or None where no server is given."""
    variable = _variable(incident)
    text = os.environ.get(variable, "").strip()
    if not text:
        if incident.database_server is None:
            return None
        raise RunBroke(
            f"{incident.file}: database_server: the environment variable {variable} is not set. Set it to the URL of a "
            "PostgreSQL server, of a role that may create databases and roles; or leave the key out, and the kit starts "
            "a server of its own."
        )
    text = re.sub(r"^postgres(?:ql)?\+\w+://", "postgresql://", text)  # as SQLAlchemy writes it
    try:
        words = conninfo_to_dict(text)
        if not (words.get("dbname") or words.get("service") or os.environ.get("PGDATABASE")):
            words["dbname"] = "postgres"  # else one of the role's name, which need not be there
        return make_conninfo("", **words)
    except psycopg.Error:
        raise RunBroke(
            f"the environment variable {variable} holds no PostgreSQL URL, as postgresql://user:password@host:5432/postgres"
        ) from None


def version_for_key(incident: Incident) -> str:
    """The server's version, for what results depend on; starts no server.

    :raises RunBroke: as :func:`server_of`
    """
    conninfo = _conninfo_of(incident)
    if conninfo is not None:
        server = Server(conninfo, f"the server that {_variable(incident)} names", of_kit=False)
        with _connected(server, _NAME + "asks") as connection:
            return str(connection.info.server_version)
    programs = find_programs()
    return version_of(programs) if programs else "none"


def _connected(server: Server, name: str) -> psycopg.Connection:
    try:
        connection = psycopg.connect(make_conninfo(server.conninfo, application_name=name), autocommit=True)
    except psycopg.Error as error:
        raise RunBroke(
            f"database: postgresql: cannot connect to {_where(server)}: {_reason(error)}. "
            "Is it running, and may this role in from here?"
        ) from None
    if connection.info.server_version < _OLDEST:
        connection.close()
        raise RunBroke(f"database: postgresql: {_where(server)} is too old: PostgreSQL 13 or later is needed")
    return connection


def _where(server: Server) -> str:
    return server.says.removeprefix("a scratch database and role on ")


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shorten("; ".join(dict.fromkeys(lines)), 400, placeholder=" …") or type(error).__name__


def _cannot(server: Server, error: psycopg.Error) -> str:
    advice = ""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        advice = " The role needs both: ALTER ROLE … CREATEDB CREATEROLE. Or leave it out: the kit starts its own."
    return f"database: postgresql: {_where(server)} does not let a scratch database be made: {_reason(error)}.{advice}"


def _make(keeper: psycopg.Connection, name: str, password: str) -> None:
    """The role, without any right but on its own database, and the database, closed to every other role."""
    identifier = sql.Identifier(name)
    hashed = keeper.pgconn.encrypt_password(password.encode(), name.encode()).decode()  # the server may log statements
    may = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT"
    keeper.execute(sql.SQL(f"CREATE ROLE {{}} {may} {_MOST_CONNECTIONS} PASSWORD {{}}").format(identifier, hashed))
    # Only its member may give it a database, and take it.
    keeper.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(identifier))
    for again in (True, True, False):
        try:
            keeper.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(identifier, identifier))
            break
        except psycopg.errors.ObjectInUse:  # somebody looks into the template at this moment
            if not again:
                raise
            time.sleep(0.5)
    keeper.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(identifier))


def _open_door(server: Server, keeper: psycopg.Connection, name: str, password: str) -> Door:
    """A door that the scratch role comes in through.

    A server that takes a role's password on TCP only is asked there.
    """
    info = keeper.info
    upstreams = [Upstream(info.host, info.port, _tls(keeper))]
    if info.host.startswith(("/", "@")):
        upstreams.append(Upstream("127.0.0.1", info.port))
    errors = []
    for upstream in upstreams:
        door = Door(upstream, name, name)
        try:
            access = {"user": name, "dbname": name, "password": password}
            psycopg.connect(host="127.0.0.1", port=door.port, connect_timeout=15, **access).close()
            return door
        except psycopg.Error as error:
            door.close()
            errors.append(_reason(error).replace(name, "…"))
    raise RunBroke(
        f"database: postgresql: {_where(server)} does not let a new role in by its password ({'; '.join(errors)}). "
        "Its pg_hba.conf has to allow scram-sha-256 (or md5) from where the kit runs, or give a server that does."
    )


def _tls(keeper: psycopg.Connection) -> ssl.SSLContext | None:
    """What the administrator's connection asks of the server's certificate, for the doors."""
    if not keeper.pgconn.ssl_in_use:
        return None
    parameters = keeper.info.get_parameters()
    strict = parameters.get("sslmode", "") in ("verify-ca", "verify-full")
    roots = parameters.get("sslrootcert") or os.path.expanduser("~/.postgresql/root.crt")
    context = ssl.create_default_context(cafile=roots if strict and roots != "system" else None)
    context.check_hostname = parameters.get("sslmode") == "verify-full"
    if not strict:
        context.verify_mode = ssl.CERT_NONE
    if parameters.get("sslcert"):
        context.load_cert_chain(parameters["sslcert"], parameters.get("sslkey"))
    return context


def _drop(connection: psycopg.Connection, name: str) -> None:
    identifier = sql.Identifier(name)
    for catalog, column, statement in (
        ("pg_database", "datname", "DROP DATABASE IF EXISTS {} WITH (FORCE)"),
        ("pg_roles", "rolname", "DROP ROLE IF EXISTS {}"),
    ):  # without the right to make one there is none to drop it either, also if it does not exist
        if connection.execute(f"SELECT FROM {catalog} WHERE {column} = %s", [name]).fetchone() is not None:
            connection.execute(sql.SQL(statement).format(identifier))


def _drop_for_sure(server: Server, keeper: psycopg.Connection, name: str) -> None:
    """:raises RunBroke: it is still there: somebody has to know"""
    try:
        try:
            _drop(keeper, name)
        except psycopg.Error:  # the connection may be gone, or in the middle of something that was interrupted
            with _connected(server, name) as another:
                _drop(another, name)
    except (psycopg.Error, RunBroke) as error:
        if not server.of_kit:
            raise RunBroke(
                f"database: postgresql: the scratch database {name} and its role of that name could not be dropped on "
                f"{_where(server)}: {_reason(error)}. The next run there drops them."
            ) from None


def drop_for_the_dead(text: str) -> None:
    """What the janitor runs for a kit that was killed; ``text`` is JSON with ``conninfo`` and ``name``."""
    scratch = json.loads(text)
    with psycopg.connect(scratch["conninfo"], autocommit=True) as connection:
        _drop(connection, scratch["name"])


_swept: set[str] = set()
_sweeping = threading.Lock()


def _sweep_once(server: Server, keeper: psycopg.Connection) -> None:
    """Drop what killed runs left on this server: named as the kit's, and no session anywhere that keeps or uses it."""
    with _sweeping:
        if server.conninfo in _swept:
            return
        _swept.add(server.conninfo)
    pattern = f"^{_NAME}[0-9a-f]+_[0-9a-f]{{8}}$"
    kept = "SELECT 1 FROM pg_stat_activity WHERE name IN (application_name, datname, usename)"
    named = "SELECT datname AS name FROM pg_database UNION SELECT rolname FROM pg_roles"
    query = f"SELECT name FROM ({named}) AS named WHERE name ~ %s AND NOT EXISTS ({kept})"
    with suppress(psycopg.Error):
        for (name,) in keeper.execute(query, [pattern]).fetchall():
            try:
                _drop(keeper, name)
            except psycopg.Error:
                continue  # somebody else's, or somebody else was faster
