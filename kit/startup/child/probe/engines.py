"""Engines and drivers in C, which no audit event shows: what is made, and the veto before a connection."""

import os
import sys

from .bodies import _WATCHED
from .doors import _at, _hear, _heeded, _inside, _may_reach, _refused, _scratch, _sqlite_target, _unix_target
from .frames import _walk
from .recorder import _FOLDER, _emit, _quietly, _text

# ---- below this line is the text of the probe


def _watch_engines(namespace):
    """By the logger that each engine gives itself last: ``Engine.__init__`` may not be replaced, its arguments are looked at."""
    engine, log = namespace["Engine"], namespace["log"]
    plain, begins = log.instance_logger, vars(engine)["__init__"].__code__

    @_quietly
    def made(instance, frame):
        within, via = _walk(frame)
        asynchronous = bool(getattr(instance.dialect, "is_async", False))
        to = {"async": asynchronous, "db": _text(str(instance.url.database or ""))}
        _emit("engine", driver=_text(instance.url.drivername), **to, b=within, via=via)

    def instance_logger(instance, echoflag=None):
        frame = sys._getframe(1)
        if frame.f_code is begins and isinstance(instance, engine):
            made(instance, frame)
        return plain(instance, echoflag)

    for key in ("__doc__", "__qualname__", "__module__"):
        setattr(instance_logger, key, getattr(plain, key))
    instance_logger.__code__ = instance_logger.__code__.replace(co_filename=plain.__code__.co_filename)
    log.instance_logger = instance_logger


# -- engines and drivers in C, which no audit event shows


def _watch_engine(namespace):
    """A veto on every engine but those of the scratch database, before its driver is called."""
    global _vetoing
    engine, event = sys.modules.get("sqlalchemy.engine"), sys.modules.get("sqlalchemy.event")
    if _inside is None or _vetoing or engine is None or event is None:
        return

    def do_connect(dialect, connection_record, cargs, cparams):
        target = _engine_target(dialect, cargs, cparams)
        if target:
            driver = getattr(dialect, "dbapi", None)  # its own class: SQLAlchemy wraps it as it would a real failure
            raise getattr(driver, "OperationalError", ConnectionRefusedError)(_refused(target))

    try:
        event.listen(engine.Engine, "do_connect", do_connect)
    except Exception:  # 1.3 knows the event only once sqlalchemy.events is there
        if namespace.get("__name__") == "sqlalchemy.events":
            raise
        return
    _vetoing = True
    _emit("guard", name="engine veto")


_vetoing = False


def _watch_engines_events(namespace):
    _watch_engine(namespace)
    _watch_statements(namespace)


def _watch_statements(namespace):
    """Only in a run that forces a race: each process waits once, before its first statement that begins as the one that raced.

    What it executes, and whether, is its own affair.
    """
    engine, event = sys.modules.get("sqlalchemy.engine"), sys.modules.get("sqlalchemy.event")
    if not _HOLD or _held or engine is None or event is None:
        return
    begins = _HOLD.partition(" ")[2]

    def before_cursor_execute(connection, cursor, statement, parameters, context, executemany):
        if " ".join(statement.split()).lower().startswith(begins):
            _hold()

    event.listen(engine.Engine, "before_cursor_execute", before_cursor_execute)
    _held.add(None)


# ``seconds what``: what a process is held before; only in a run that forces a race.
_HOLD = os.environ.get("INCIDENT_HOLD")
_held = set()  # processes that have waited; None: the event is listened to


@_quietly
def _hold():
    """Wait, once a process, until another has come as far, or for some seconds."""
    if os.getpid() in _held:
        return
    _held.add(os.getpid())
    import time

    meeting = os.path.join(_FOLDER, "meeting")
    try:
        os.mkdir(meeting)
    except FileExistsError:
        pass
    os.close(os.open(os.path.join(meeting, str(os.getpid())), os.O_WRONLY | os.O_CREAT, 0o600))
    end = time.monotonic() + float(_HOLD.partition(" ")[0])
    while len(os.listdir(meeting)) < 2 and time.monotonic() < end:
        time.sleep(0.005)


def _begin_holding():
    """Have a process held before it makes a file or opens a port; before a statement: see :func:`_watch_statements`."""
    kind, _, name = (_HOLD or "").partition(" ")[2].partition(" ")
    if kind == "port":
        _hold_at("socket.bind", lambda args: True)
    elif kind == "file":
        for event in ("os.mkdir", "open", "os.rename", "os.symlink", "os.link"):
            _hold_at(event, lambda args: any(_is_called(name, path) for path in args[:2]))


def _is_called(name, path):
    path = os.fsdecode(path) if isinstance(path, (str, bytes)) else ""
    return path.rstrip("/").rpartition("/")[2] == name


def _hold_at(event, is_it):
    heeded = _heeded.get(event)

    def heed(args):
        if heeded is not None:
            heeded(args)
        if is_it(args):
            _hold()

    _heeded[event] = heed
    _hear()


@_quietly
def _engine_target(dialect, cargs, cparams):
    """The URL, its password masked, of an engine that may not connect; None for one that may."""
    first = cargs[0] if cargs and isinstance(cargs[0], (str, bytes)) else None
    if dialect.name in ("sqlite", "duckdb") and not cparams.get("host"):
        return _sqlite_target(cparams.get("database", "") if first is None else first)

    def option(*names):
        return next((str(cparams[name]) for name in names if cparams.get(name)), "")

    host, port = option("host", "hostname", "server", "unix_socket"), option("port")
    if dialect.driver.startswith(("psycopg", "asyncpg")):  # as the driver itself does
        port = port or os.environ.get("PGPORT", "")
    database = option("dbname", "database", "db")
    here = "127.0.0.1" if host == "localhost" else host
    if _scratch is not None and (dialect.name, here, port, database) == _scratch:
        return None
    account = option("user", "username") + (":***" if option("password", "passwd", "pwd") else "")
    where = (account + "@" if account else "") + host + (":" + port if port else "")
    url = "%s+%s://%s/%s" % (dialect.name, dialect.driver, where, database)
    return url + (" (the rest is in a connection string)" if first else "")


class _AtDriver:
    """Acts when Python looks up how to call a driver written in C: before the call, and off the stack."""

    __slots__ = ("plain", "name", "parse", "error")

    def __init__(self, plain, name, parse, error):
        self.plain, self.name, self.parse, self.error = plain, name, parse, error

    def __get__(self, door, owner=None):
        target = self.target(sys._getframe(1).f_locals.get(self.name))
        if target:
            raise self.error(_refused(target))
        return self.plain

    def target(self, text):
        return _driver_target(self.parse, text)


@_quietly
def _driver_target(parse, text):
    """Where libpq would go with these words, if it may not."""
    words = parse(text) if isinstance(text, str) else {}
    hosts = str(words.get("hostaddr") or words.get("host") or os.environ.get("PGHOST") or "").split(",")
    port = str(words.get("port") or os.environ.get("PGPORT") or 5432).split(",")[0]
    for host in hosts:
        if not host or host[0] in "/@":
            folders = [host] if host else ["/var/run/postgresql", "/tmp"]
            target = next(filter(None, (_unix_target("%s/.s.PGSQL.%s" % (folder, port)) for folder in folders)), None)
        else:
            target = None if _may_reach(host, port) else "postgresql://%s" % _at(host, port)
        if target:
            return target + ("/%s" % words["dbname"] if words.get("dbname") and "://" in target else "")
    database = str(words.get("dbname") or os.environ.get("PGDATABASE") or "")
    if _scratch is not None and port == _scratch[2] and database and database != _scratch[3]:
        return "postgresql://%s/%s" % (_at(host, port), database)  # behind that port is the scratch database only
    return None


def _watch_driver(name, local, parser, errors):
    """Put a door before ``name`` of the namespace, whose caller holds the connection string in ``local``."""

    def watch(namespace):
        if _inside is None or name not in namespace:
            return

        def parse(text):
            module, _, function = parser.rpartition(".")
            return getattr(sys.modules[module], function)(text)

        def error(message):
            return sys.modules[errors].OperationalError(message)

        door = type("_DriverDoor", (), {"__call__": _AtDriver(namespace[name], local, parse, error)})
        namespace[name] = door()

    return watch


_WATCHED.update(
    {
        "sqlalchemy.engine.base": _watch_engines,
        "sqlalchemy.engine": _watch_engines_events,
        "sqlalchemy.events": _watch_engines_events,
        "psycopg2": _watch_driver("_connect", "dsn", "psycopg2.extensions.parse_dsn", "psycopg2"),
        "psycopg.generators": _watch_driver("connect", "conninfo", "psycopg.conninfo.conninfo_to_dict", "psycopg"),
    }
)
