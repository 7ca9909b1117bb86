"""Guards: an application that tries to leave its workspace does not get out, and is shown trying.

Every attempt is an application that is started for real; what it tried to reach is looked at afterwards.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from conftest import PROJECT
from environments import applications_environment, drivers_environment, each_interpreter, environment, interpreters

from kit.incident.load import load
from kit.startup.run import reproduce
from kit.trace.expected import shows_incident

LIMITS = {"seconds": 20, "disk_mb": 50, "output_mb": 1}


@pytest.fixture
def started(write_incident):
    """Starts a service whose main module is ``source``."""

    def start(source: str, *, files=None, **incident):
        incident.setdefault("limits", LIMITS)
        return reproduce(
            load(write_incident({"service/__init__.py": "", "service/main.py": source, **(files or {})}, **incident))
        )

    return start


TRIES_ALL = """
    import importlib, os
    ITSELF, TOP = os.getpid(), os.getcwd()
    for number in range({count}):
        os.makedirs(f"own/{{number}}")
        os.chdir(f"own/{{number}}")
        try:
            importlib.import_module(f"service.try_{{number}}")
        except BaseException:
            if os.getpid() != ITSELF:  # a child that an attempt made
                os._exit(1)
        os.chdir(TOP)
"""


class Attempts:
    """What each of several attempts did in one startup: the error that it got, and what the guards refused it, by its name."""

    def __init__(self, names, trace):
        self.trace = trace
        ran = {one.module: one for one in trace.imports if one.process == trace.imports[0].process}
        self.errors = {name: ran[f"service.try_{number}"].error for number, name in enumerate(names)}
        files = {f"service/try_{number}.py": name for number, name in enumerate(names)}
        self.refused = {name: [] for name in names}
        for one in trace.refused:
            if one["site"] and one["site"]["file"] in files:
                self.refused[files[one["site"]["file"]]].append((one["what"], one["site"]["line"]))


@pytest.fixture
def attempted(started):
    """Starts one service that makes every attempt, each in a module and a folder of its own; the keys are their names."""

    def start(attempts: dict[str, str], files=None, **incident) -> Attempts:
        modules = {f"service/try_{number}.py": text for number, text in enumerate(attempts.values())}
        trace = started(TRIES_ALL.format(count=len(attempts)), files={**modules, **(files or {})}, **incident)
        assert trace.steps[0].ok, trace.steps[0].output
        return Attempts(attempts, trace)

    return start


class Listener:
    """A server on loopback that counts who reaches it, as a production database on this machine would be."""

    def __init__(self, kind=socket.SOCK_STREAM, family=socket.AF_INET, address=("127.0.0.1", 0)):
        self.socket, self.reached = socket.socket(family, kind), []
        self.socket.bind(address)
        self.stream = kind == socket.SOCK_STREAM
        if self.stream:
            self.socket.listen()
        self.address = self.socket.getsockname()
        threading.Thread(target=self.count, daemon=True).start()

    @property
    def port(self):
        return self.address[1]

    def count(self):
        while True:
            try:
                if self.stream:
                    self.reached.append(self.socket.accept()[1])
                else:
                    self.reached.append(self.socket.recvfrom(100))
            except OSError:
                return


@pytest.fixture
def listen():
    made = []

    def make(*args, **named):
        made.append(Listener(*args, **named))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()


def landlock() -> int:
    from kit.startup.guard import landlock as landlock

    return landlock.version()


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's guards are Linux's")
need_landlock = pytest.mark.skipif(not sys.platform.startswith("linux") or landlock() < 6, reason="no Landlock here")


# -- files

CHANGES = {
    "write": "open(OUT + '/kept.txt', 'w').write('theirs')",
    "append": "open(OUT + '/kept.txt', 'a').write('theirs')",
    "truncate": "os.truncate(OUT + '/kept.txt', 0)",
    "create": "open(OUT + '/new.txt', 'w')",
    "remove": "os.remove(OUT + '/kept.txt')",
    "rename away": "os.rename(OUT + '/kept.txt', OUT + '/gone.txt')",
    "rename in": "os.rename(OUT + '/kept.txt', 'kept.txt')",
    "rename out": "open('mine', 'w'); os.rename('mine', OUT + '/kept.txt')",
    "hard link out": "open('mine', 'w'); os.link('mine', OUT + '/link')",
    "hard link in, then write": "os.link(OUT + '/kept.txt', 'link'); open('link', 'w').write('theirs')",
    "symbolic link out": "os.symlink('/etc/passwd', OUT + '/link')",
    "write through a symbolic link": "os.symlink(OUT + '/kept.txt', 'link'); open('link', 'w').write('theirs')",
    "folder": "os.mkdir(OUT + '/folder')",
    "remove folder": "os.rmdir(OUT + '/empty')",
    "fifo": "os.mkfifo(OUT + '/fifo')",
    "socket": "import socket; socket.socket(socket.AF_UNIX).bind(OUT + '/socket')",
    "by ..": "open(os.path.relpath(OUT) + '/kept.txt', 'w').write('theirs')",
    "by a shell": "import subprocess; subprocess.run(['/bin/sh', '-c', 'echo theirs > ' + OUT + '/kept.txt'], check=True)",
    "by C": "import ctypes; assert ctypes.CDLL(None).creat((OUT + '/new.txt').encode(), 0o600) >= 0",
    "everything": "import shutil; shutil.rmtree(OUT)",
    "mode": "os.chmod(OUT + '/kept.txt', 0o777)",
    "mode of an open file": "os.fchmod(os.open(OUT + '/kept.txt', os.O_RDONLY), 0o777)",
    "mode by a folder": "os.chmod('kept.txt', 0o777, dir_fd=os.open(OUT, os.O_RDONLY))",
    "times": "os.utime(OUT + '/kept.txt', (1, 1))",
    "times of an open file": "os.utime(os.open(OUT + '/kept.txt', os.O_RDONLY), (1, 1))",
    "owner": "os.chown(OUT + '/kept.txt', os.getuid() + 1, -1)",
    "attribute": "os.setxattr(OUT + '/kept.txt', 'user.mine', b'1')",
    "mode of a link's target": "os.symlink(OUT + '/kept.txt', 'link'); os.chmod('link', 0o777)",
    "by a child that left": "pid = os.fork()\nif not pid:\n    os.setsid()\n    open(OUT + '/new.txt', 'w')\nassert os.waitpid(pid, 0)[1] == 0",
}


def picture(folder: Path) -> dict:
    """Everything below a folder: names, contents, modes, owners, times."""
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        state = path.lstat()
        text = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        found[str(path)] = (text, state.st_mode, state.st_uid, state.st_nlink, state.st_mtime_ns, state.st_size)
    return found


@pytest.mark.attempt("files", "outside the workspace")
@need_landlock
def test_nothing_outside_the_workspace_is_changed(attempted, tried, tmp_path):
    outside = {name: tmp_path / f"outside-{number}" for number, name in enumerate(CHANGES)}
    for folder in outside.values():
        (folder / "empty").mkdir(parents=True)
        (folder / "kept.txt").write_text("mine")
    before = {name: picture(folder) for name, folder in outside.items()}
    seen = attempted({name: f"import os\nOUT = {str(outside[name])!r}\n{CHANGES[name]}" for name in CHANGES})
    for name, folder in outside.items():
        tried(name, held=picture(folder) == before[name])
        assert picture(folder) == before[name], name
        assert seen.errors[name] is not None, f"{name}: it was told so"


@need_landlock
def test_everything_inside_the_workspace_may_be_changed(started):
    trace = started(
        """
        import multiprocessing, os, shutil, socket, subprocess, tempfile
        os.makedirs("a/b"); os.makedirs("c")
        open("a/b/file", "w").write("x")
        os.rename("a/b/file", "c/file"); os.link("c/file", "a/link"); os.symlink("c/file", "symbolic")
        os.chmod("c/file", 0o600); os.utime("symbolic", (1, 1)); shutil.copy2("c/file", os.path.expanduser("~/copy"))
        os.utime("symbolic", (1, 1), follow_symlinks=False)
        os.truncate("c/file", 0); os.mkfifo("fifo"); shutil.rmtree("a")
        with tempfile.TemporaryDirectory() as folder:
            server = socket.socket(socket.AF_UNIX); server.bind(folder + "/s"); server.listen()
            client = socket.socket(socket.AF_UNIX); client.connect(folder + "/s")
        open(os.devnull, "w").write("x"); open("/etc/passwd").read()
        lock = multiprocessing.Lock(); queue = multiprocessing.Queue(); queue.put(1); assert queue.get() == 1
        with multiprocessing.Manager() as manager: assert manager.list([1])[0] == 1
        subprocess.run("echo x > shell.txt", shell=True, check=True)
        os.kill(os.getpid(), 0)
        """
    )
    assert trace.steps[0].ok, trace.steps[0].output
    assert trace.refused == ()


@pytest.mark.attempt("files", "a signal to a process outside")
@need_landlock
def test_a_process_outside_cannot_be_signalled(started):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        trace = started(f"import os\nos.kill({other.pid}, 9)")
        time.sleep(0.1)
        alive = other.poll() is None
        other.kill()
    assert alive and "PermissionError" in trace.steps[0].error


# -- sockets

TRIES = {
    "socket": "import socket; socket.create_connection(('127.0.0.1', PORT), 5)",
    "socket by name": "import socket; socket.create_connection(('localhost', PORT), 5)",
    "socket, IPv4 in IPv6": "import socket; socket.socket(socket.AF_INET6).connect(('::ffff:127.0.0.1', PORT))",
    "connect_ex": "import socket; assert not socket.socket().connect_ex(('127.0.0.1', PORT))",
    "without waiting": "import socket; s = socket.socket(); s.setblocking(False); s.connect(('0.0.0.0', PORT))",
    "a thread": "import socket, threading; t = threading.Thread(target=lambda: socket.create_connection(('127.0.0.1', PORT))); t.start(); t.join()",
    "urllib": "import urllib.request; urllib.request.urlopen('http://127.0.0.1:%d/collect?token=geheim' % PORT, timeout=5)",
    "http.client": "import http.client; http.client.HTTPConnection('127.0.0.1', PORT).request('GET', '/')",
    "asyncio": "import asyncio\nasync def go(): await asyncio.open_connection('127.0.0.1', PORT)\nasyncio.run(go())",
    "smtplib": "import smtplib; smtplib.SMTP('127.0.0.1', PORT, timeout=5)",
    "logging": "import logging.handlers as h, logging; x = h.SocketHandler('127.0.0.1', PORT); x.emit(logging.makeLogRecord({}))",
}  # fmt: skip


@pytest.mark.attempt("database", "by Python")
@linux
def test_no_connection_of_python_leaves_and_each_is_shown_with_its_site(attempted, listen, tried):
    servers = {name: listen() for name in TRIES}
    seen = attempted({name: f"PORT = {servers[name].port}\n{text}" for name, text in TRIES.items()})
    for name, server in servers.items():
        tried(name, held=server.reached == [])
        assert server.reached == [], name
        what, line = seen.refused[name][0]
        assert f":{server.port}" in what and line >= 2, name
    assert "geheim" not in json.dumps(seen.trace.refused)


BY_OTHERS = {
    "a subprocess": "subprocess.run([sys.executable, '-c', 'import socket; socket.create_connection((\"127.0.0.1\", %d), 5)' % PORT])",
    "an interpreter without the probe": "subprocess.run([sys.executable, '-I', '-S', '-c', 'import _socket; _socket.socket().connect((\"127.0.0.1\", %d))' % PORT])",
    "a shell": "subprocess.run(['bash', '-c', 'echo > /dev/tcp/127.0.0.1/%d' % PORT])",
    "C": "import ctypes, struct\nc = ctypes.CDLL(None)\nc.connect(c.socket(2, 1, 0), struct.pack('<H', 2) + struct.pack('>H', PORT) + bytes([127, 0, 0, 1]) + bytes(8), 16)",
}  # fmt: skip


@pytest.mark.attempt("database", "past the probe, by")
@linux
def test_the_kernel_refuses_what_the_probe_does_not_see(attempted, listen, tried):
    servers = {name: listen() for name in BY_OTHERS}
    texts = {name: f"import subprocess, sys\nPORT = {servers[name].port}\n{text}" for name, text in BY_OTHERS.items()}
    refused = attempted(texts).trace.refused
    for name, server in servers.items():
        tried(name, held=server.reached == [])
        assert server.reached == [], name
        assert any(one["what"] == f"tcp 127.0.0.1:{server.port}" for one in refused), (name, refused)


DATAGRAMS = {
    "sendto": "s.sendto(b'x', ('127.0.0.1', PORT))",
    "connect and send": "s.connect(('127.0.0.1', PORT)); s.send(b'x')",
    "sendmsg": "s.sendmsg([b'x'], [], 0, ('127.0.0.1', PORT))",
    "C": "import ctypes, struct; ctypes.CDLL(None).sendto(s.fileno(), b'x', 1, 0, struct.pack('<H', 2) + struct.pack('>H', PORT) + bytes([127, 0, 0, 1]) + bytes(8), 16)",
}  # fmt: skip


@pytest.mark.attempt("database", "a datagram")
@linux
def test_no_datagram_leaves(attempted, listen, tried):
    servers = {name: listen(socket.SOCK_DGRAM) for name in DATAGRAMS}
    opened = "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
    texts = {name: f"import socket\nPORT = {servers[name].port}\n{opened}\n{DATAGRAMS[name]}" for name in DATAGRAMS}
    seen = attempted(texts)
    time.sleep(0.05)
    for name, server in servers.items():
        tried(name, held=server.reached == [])
        assert server.reached == [], name
        assert str(server.port) in json.dumps(seen.trace.refused) or name == "C", name


@pytest.mark.attempt("database", "a UNIX socket of others")
@linux
def test_no_unix_socket_of_others_is_reached(attempted, listen, tmp_path, tried):
    texts, servers = {}, {}
    for kind, address in (("path", str(tmp_path / "s")), ("abstract", f"\0incident-{os.getpid()}")):
        server = listen(family=socket.AF_UNIX, address=address)
        opened = f"import ctypes, struct; c = ctypes.CDLL(None); a = struct.pack('<H', 1) + {address.encode()!r}"
        texts[f"python-{kind}"] = f"import socket; socket.socket(socket.AF_UNIX).connect({address!r})"
        texts[f"C-{kind}"] = f"{opened}\nassert c.connect(c.socket(1, 1, 0), a, len(a)) == 0"
        servers |= {f"python-{kind}": server, f"C-{kind}": server}
    seen = attempted(texts)
    for name, server in servers.items():
        tried(name, held=server.reached == [])
        assert server.reached == [] and seen.errors[name] is not None, name


@pytest.mark.attempt("database", "telemetry by name")
@linux
def test_a_name_is_looked_up_nowhere_and_the_lookup_is_shown(started):
    trace = started(
        "import urllib.request\nurllib.request.urlopen('https://telemetry.example.com/v1?api_key=hunter2hunter2')"
    )
    assert "telemetry.example.com:443" in trace.refused[0]["what"]
    assert trace.refused[0]["site"]["line"] == 2
    assert "hunter2" not in json.dumps(trace.refused) + str(trace.steps[0].error)


@linux
def test_what_is_printed_of_an_address_that_the_guards_refuse_is_no_incident(write_incident):
    main = """
        import socket
        try:
            socket.create_connection(("rabbit", 5672))
        except OSError as error:
            print(f"consumer: Cannot connect to amqp://guest:**@rabbit:5672//: {error}")
            print("Cannot read the plan")
    """
    for text, shown in (("Cannot connect to", False), ("Cannot read the plan", True)):
        incident = load(write_incident({"service/main.py": main}, folder=text[7:11], expect={"error": text}))
        assert shows_incident(incident, reproduce(incident)) is shown, text


@linux
def test_the_application_reaches_the_ports_that_it_opened_itself(started):
    trace = started(
        """
        import asyncio, http.server, socket, subprocess, sys, threading, urllib.request
        server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert urllib.request.urlopen("http://127.0.0.1:%d/" % server.server_port, timeout=5).status == 200
        # opened by one process, reached from another, either way
        asks = "import sys, urllib.request; urllib.request.urlopen('http://127.0.0.1:%s/' % sys.argv[1], timeout=5)"
        subprocess.run([sys.executable, "-c", asks, str(server.server_port)], check=True)
        child = subprocess.Popen([sys.executable, "-c", '''if 1:
            import socket
            s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True); s.accept()
        '''], stdout=subprocess.PIPE, text=True)
        socket.create_connection(("localhost", int(child.stdout.readline())), 5)
        child.wait()
        async def go():
            opened = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
            await asyncio.open_connection(*opened.sockets[0].getsockname())
        asyncio.run(go())
        a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in "ab")
        a.bind(("127.0.0.1", 0)); b.sendto(b"x", a.getsockname()); assert a.recv(9) == b"x"
        bare = __import__("_socket").socket()  # as some libraries take it; nothing can refer to it weakly
        bare.bind(("127.0.0.1", 0)); bare.listen(); socket.create_connection(bare.getsockname(), 5)
        """
    )
    assert trace.steps[0].ok, trace.steps[0].output
    assert (trace.refused, trace.lost) == ((), ())


# -- what is said of it


def test_a_trace_says_which_guards_were_in_force(started):
    trace = started("")
    guards = trace.provenance["guards"]
    assert {"clean environment", "audit hook"} <= set(guards)
    if sys.platform.startswith("linux") and landlock() >= 6:
        assert {"landlock files", "landlock tcp", "landlock signals", "seccomp connections"} <= set(guards)
        assert trace.provenance["unguarded"] == []
    else:
        assert trace.provenance["unguarded"]


# -- databases, by real drivers

ENGINES = {
    "psycopg2": "postgresql+psycopg2://app:geheim@127.0.0.1:{port}/prod",
    "psycopg": "postgresql+psycopg://app:geheim@127.0.0.1:{port}/prod",
    "pymysql": "mysql+pymysql://app:geheim@127.0.0.1:{port}/prod",
    "sqlite": "sqlite:///{outside}",
}
ASYNC_ENGINES = {
    "psycopg": "postgresql+psycopg_async://app:geheim@127.0.0.1:{port}/prod",
    "asyncpg": "postgresql+asyncpg://app:geheim@127.0.0.1:{port}/prod",
    "aiosqlite": "sqlite+aiosqlite:///{outside}",
}


@pytest.fixture(scope="session")
def drivers() -> str:
    return drivers_environment()


def stays_shut(seen, name: str, server, line: int, host="127.0.0.1"):
    """Nobody reached the server, and the attempt is shown with its line and without its password."""
    assert server.reached == [], name
    what, at = seen.refused[name][0]
    assert f"{host}:{server.port}" in what and at == line, (name, what, at)
    assert "geheim" not in json.dumps(seen.trace.refused) + seen.trace.steps[0].output


@pytest.mark.attempt("database", "an engine of another URL")
def test_an_engine_of_another_url_is_vetoed_before_any_packet(attempted, listen, drivers, tried, tmp_path):
    servers = {name: listen() for name in ENGINES}
    urls = {name: url.format(port=servers[name].port, outside=tmp_path / name) for name, url in ENGINES.items()}
    opened = "import sqlalchemy\nengine = sqlalchemy.create_engine({!r})\nengine.connect()"
    seen = attempted({name: opened.format(url) for name, url in urls.items()}, app={"python": drivers})
    assert "engine veto" in seen.trace.provenance["guards"]
    for name, url in urls.items():
        tried(name, held=servers[name].reached == [] and not (tmp_path / name).exists())
        assert not (tmp_path / name).exists() and servers[name].reached == [], name
        assert seen.refused[name] == [(url.replace("geheim", "***"), 3)], "once, and without its password"
        error = seen.errors[name].text
        assert "refused by the incident kit" in error and "OperationalError" in error
    assert "geheim" not in json.dumps(seen.trace.refused) + seen.trace.steps[0].output


@pytest.mark.attempt("database", "an async engine of another URL")
def test_an_async_engine_of_another_url_is_vetoed_as_well(attempted, listen, drivers, tried, tmp_path):
    servers = {name: listen() for name in ASYNC_ENGINES}
    source = """import asyncio
from sqlalchemy.ext.asyncio import create_async_engine
async def go():
    async with create_async_engine({!r}).connect():
        pass
asyncio.run(go())
"""
    urls = {name: url.format(port=servers[name].port, outside=tmp_path / name) for name, url in ASYNC_ENGINES.items()}
    seen = attempted({name: source.format(url) for name, url in urls.items()}, app={"python": drivers})
    for name, server in servers.items():
        tried(name, held=server.reached == [] and not (tmp_path / name).exists())
        assert not (tmp_path / name).exists() and len(seen.refused[name]) == 1, name
        if name == "aiosqlite":
            assert seen.refused[name] == [(f"sqlite:///{tmp_path / name}", 4)]
        else:
            stays_shut(seen, name, server, 4)


DIRECT = {
    "psycopg2": "import psycopg2\npsycopg2.connect(host='127.0.0.1', port=PORT, user='app', password='geheim', dbname='prod')",
    "psycopg2, a URL": "import psycopg2\npsycopg2.connect('postgresql://app:geheim@127.0.0.1:%d/prod' % PORT)",
    "psycopg": "import psycopg\npsycopg.connect('host=127.0.0.1 port=%d password=geheim' % PORT)",
    "psycopg, async": "import asyncio, psycopg\nasyncio.run(psycopg.AsyncConnection.connect('host=127.0.0.1 password=geheim port=%d' % PORT))",
    "asyncpg": "import asyncio, asyncpg\nasyncio.run(asyncpg.connect(host='127.0.0.1', port=PORT, user='app', password='geheim'))",
    "pymysql": "import pymysql\npymysql.connect(host='127.0.0.1', port=PORT, user='app', password='geheim')",
    "an engine's creator": "import psycopg2, sqlalchemy\nsqlalchemy.create_engine('postgresql://', creator=lambda: psycopg2.connect(host='127.0.0.1', port=PORT, password='geheim')).connect()",
    "psycopg2 by the environment": "import os, psycopg2; os.environ.update(PGHOST='127.0.0.1', PGPORT=str(PORT), PGPASSWORD='geheim')\npsycopg2.connect('')",
    "redis": "import redis\nredis.Redis.from_url('redis://:geheim@127.0.0.1:%d/0' % PORT).ping()",
    "a message broker": "import pika\npika.BlockingConnection(pika.URLParameters('amqp://app:geheim@127.0.0.1:%d/' % PORT))",
    "redis by name": "import redis\nredis.Redis('localhost', PORT).ping()",
}  # fmt: skip


@pytest.mark.attempt("database", "a driver called directly")
def test_a_driver_that_is_called_directly_is_refused_with_its_site(attempted, listen, drivers, tried):
    servers = {name: listen() for name in DIRECT}
    texts = {name: f"PORT = {servers[name].port}\n{text}" for name, text in DIRECT.items()}
    seen = attempted(texts, app={"python": drivers})
    for name, server in servers.items():
        tried(name, held=server.reached == [])
        first = str(seen.refused[name][:1])
        host = "localhost" if "localhost:" in first else "::1" if "::1" in first else "127.0.0.1"
        assert host == "127.0.0.1" or "by name" in name
        stays_shut(seen, name, server, 3, host)


@pytest.mark.attempt("database", "a database file outside")
def test_a_database_file_outside_is_not_made(attempted, drivers, tried, tmp_path):
    tries = {
        "sqlite3": "import sqlite3\nsqlite3.connect(OUT)",
        "aiosqlite": "import aiosqlite, asyncio\nasync def go(): await aiosqlite.connect(OUT)\nasyncio.run(go())",
        "sqlite3, a URI": "import sqlite3\nsqlite3.connect('file:' + OUT, uri=True)",
        "sqlite3, through a link": "import os, sqlite3; os.symlink(OUT, 'link')\nsqlite3.connect('link')",
    }
    texts = {name: f"OUT = {str(tmp_path / name)!r}\n{text}" for name, text in tries.items()}
    seen = attempted(texts, app={"python": drivers})
    for name in tries:
        tried(name, held=not (tmp_path / name).exists())
        assert not (tmp_path / name).exists(), name
        what, line = seen.refused[name][0]
        assert what == f"sqlite:///{tmp_path / name}" and line in (3, 4)


def test_the_scratch_database_and_those_in_memory_are_open(started, drivers):
    trace = started(
        """
        import asyncio, os, sqlite3, sqlalchemy
        from sqlalchemy.ext.asyncio import create_async_engine
        for url in (os.environ["DATABASE_URL"], "sqlite://", "sqlite:///:memory:", "sqlite:///own.db", "sqlite:///file:m?mode=memory&uri=true"):
            with sqlalchemy.create_engine(url).begin() as connection:
                connection.execute(sqlalchemy.text("create table t (a integer)"))
        async def go():
            async with create_async_engine("sqlite+aiosqlite:///other.db").connect():
                pass
        asyncio.run(go())
        """,
        app={"python": drivers},
    )
    assert trace.steps[0].ok, trace.steps[0].output
    assert trace.refused == ()


WHERE = {
    "a .env file": "URL = dict(line.strip().split('=', 1) for line in open('../../.env'))['PROD_URL']",
    "a URL built from other variables": "import os; URL = 'postgresql://app:%s@%s/prod' % ('geheim', os.environ['DB_AT'])",
    "a URL in the source": "URL = '{url}'",
}  # fmt: skip


@pytest.mark.attempt("database", "the URL comes from")
def test_wherever_the_url_comes_from_it_is_refused(attempted, listen, drivers, tried):
    server = listen()
    url = f"postgresql://app:geheim@127.0.0.1:{server.port}/prod"
    opened = "import sqlalchemy\n{}\nsqlalchemy.create_engine(URL).connect()"
    seen = attempted(
        {place: opened.format(source.replace("{url}", url)) for place, source in WHERE.items()},
        files={".env": f"PROD_URL={url}\n"},
        app={"python": drivers, "env": {"DB_AT": f"127.0.0.1:{server.port}"}},
    )
    for place in WHERE:
        tried(place, held=server.reached == [])
        stays_shut(seen, place, server, 3)


@pytest.mark.attempt("database", "migrations, the URL in")
@pytest.mark.parametrize("place", ["alembic.ini", "env.py"])
def test_migrations_against_a_url_of_their_own_are_refused(place, started, listen, drivers):
    server = listen()
    url = f"postgresql://app:geheim@127.0.0.1:{server.port}/prod"
    env = """
        from alembic import context
        from sqlalchemy import create_engine
        URL = {url}
        with create_engine(URL).connect() as connection:
            context.configure(connection=connection)
            context.run_migrations()
    """
    files = {
        "alembic.ini": f"[alembic]\nscript_location = migrations\nsqlalchemy.url = {url if place == 'alembic.ini' else ''}\n",
        "migrations/env.py": env.replace(
            "{url}", "context.config.get_main_option('sqlalchemy.url')" if place == "alembic.ini" else repr(url)
        ),
        "migrations/script.py.mako": "",
        "migrations/versions/001.py": "revision = '001'\ndown_revision = None\ndef upgrade(): pass\n",
    }
    trace = started("", files=files, app={"python": drivers}, startup=[{"command": "alembic upgrade head"}])
    assert server.reached == []
    assert (trace.refused[0]["what"], trace.refused[0]["site"]["file"]) == (
        f"postgresql+psycopg2://app:***@127.0.0.1:{server.port}/prod",
        "migrations/env.py",
    )
    assert "geheim" not in trace.steps[0].output


@pytest.mark.parametrize("version", each_interpreter())
def test_every_interpreter_refuses_and_shows(version, started, listen, tmp_path):
    server = listen()
    source = f"""
        import socket, sqlite3
        try:
            socket.create_connection(("127.0.0.1", {server.port}))
        except ConnectionRefusedError as error:
            assert "refused by the incident kit" in str(error)
        try:
            sqlite3.connect({str(tmp_path / "prod.db")!r})
        except (PermissionError, sqlite3.OperationalError):
            pass
        own = socket.socket(); own.bind(("127.0.0.1", 0)); own.listen()
        socket.create_connection(own.getsockname())
    """
    trace = started(source, app={"python": interpreters()[version]})
    assert trace.steps[0].ok, trace.steps[0].output
    assert [one["site"]["line"] for one in trace.refused] == [4, 8] and server.reached == []
    assert not (tmp_path / "prod.db").exists() and not trace.lost


@pytest.mark.attempt("database", "SQLAlchemy")
@pytest.mark.parametrize(
    "line",
    [pytest.param("1.3.24", marks=pytest.mark.slow), "1.4.54", pytest.param("2.0.58", marks=pytest.mark.slow), "2.1.9"],
)
def test_every_line_of_sqlalchemy_is_vetoed(line, started, tmp_path):
    if line == "1.3.24" and (3, 9) not in interpreters():
        pytest.skip("no such interpreter here")
    old = line == "1.3.24"
    python = environment(interpreters()[3, 9], f"sqlalchemy=={line}") if old else applications_environment(line[:3])
    source = f"import sqlalchemy\nsqlalchemy.create_engine('sqlite:///{tmp_path}/prod.db').connect()"
    trace = started(source, app={"python": python})
    assert trace.refused[0]["what"] == f"sqlite:///{tmp_path}/prod.db" and "engine veto" in trace.provenance["guards"]
    assert not (tmp_path / "prod.db").exists() and not trace.lost


# -- limits

# Each of these ends by itself in the end: a guard that fails must not cost more than its test.
ENDLESS = {
    "forks without end": ("while time.time() < END:\n    if not os.fork(): pass", "processes at once (limits.processes)"),
    "forks, each leaving its parent": ("while time.time() < END:\n    if os.fork() and os.getpid() != FIRST: os._exit(0)\n    if os.getpid() != FIRST: os.setsid()", "limits."),
    "hops from process to process": ("while time.time() < END:\n    if os.fork():\n        if os.getpid() != FIRST: os._exit(0)\n        time.sleep(60)\n    os.setsid()", "limits."),
    "a shell's bomb": ("import subprocess; subprocess.run(['sh', '-c', 'for i in $(seq 400); do sleep 20 & done; wait'])", "processes at once (limits.processes)"),
    "many children": ("import subprocess\nall = [subprocess.Popen(['sleep', '20']) for _ in range(60)]\ntime.sleep(60)", "processes at once (limits.processes)"),
    "counts without end": ("while True: pass", "still running after 2 seconds (limits.seconds)"),
    "counts in many processes": ("for _ in range(3): os.fork()\nwhile time.time() < END: pass", "still running after 2 seconds (limits.seconds)"),
    "prints without end": ("while True: os.write(1, b'x' * 9999)", "printed more than 1 MB (limits.output_mb)"),
    "a child prints without end": ("import subprocess; subprocess.run('yes')", "printed more than 1 MB (limits.output_mb)"),
    "writes 100 GB": ("file = open('big', 'wb')\nwhile True: file.write(bytes(range(256)) * 4096)", ""),
    "writes many files": ("n = 0\nwhile True:\n    n += 1\n    open('big%d' % n, 'wb').write(bytes(range(256)) * 4096)", "wrote more than 50 MB (limits.disk_mb)"),
    "ignores SIGTERM": ("import signal\nfor n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)\nwhile True: time.sleep(60)", "still running"),
    "stops itself": ("import signal; os.kill(os.getpid(), signal.SIGSTOP)", "still running"),
    "waits for a lock": ("import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()", "still running"),
    "takes all memory": ("all = []\nwhile True: all.append(bytearray(50 << 20))", "out of memory at 800 MB (limits.memory_mb)"),
    "leaves daemons": ("if not os.fork():\n    os.setsid()\n    if not os.fork():\n        while True: time.sleep(1)\n    os._exit(0)\ntime.sleep(60)", "still running"),
}  # fmt: skip


def marked(mark: str) -> list[str]:
    """Living processes whose environment holds ``mark``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "environ").read_bytes() and "Z (" not in (entry / "status").read_text():
                found.append(entry.name)
        except OSError:
            continue
    return found


@pytest.mark.attempt("limits", "the startup")
@linux
@pytest.mark.parametrize("name", ENDLESS)
def test_what_does_not_end_is_ended_with_all_its_descendants(name, started, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source, why = ENDLESS[name]
    mark = f"MARK_{os.getpid()}_{time.monotonic_ns()}"
    seconds = 10 if name == "takes all memory" else 2  # a machine with much to do gives its memory slowly
    limits = {"seconds": seconds, "disk_mb": 50, "output_mb": 1, "memory_mb": 800, "processes": 40}
    began = time.monotonic()
    trace = started(
        f"import os, time\nFIRST, END = os.getpid(), time.time() + 15\n{source}",
        limits=limits,
        app={"env": {mark: "1"}},
    )
    assert time.monotonic() - began < 30
    assert marked(mark) == [] and not list(tmp_path.glob("incident-*"))
    assert trace.broke and why in str(trace.broke) or trace.steps[0].error and not why
    assert "service.main" in [one.module for one in trace.imports], "what was seen until then is kept"


@pytest.mark.attempt("limits", "forks, seen from the command line")
@linux
def test_a_run_that_passes_a_limit_is_exit_4(kit, write_incident):
    file = write_incident(
        {
            "service/__init__.py": "",
            "service/main.py": "import os, time\nend = time.time() + 10\nwhile time.time() < end: os.fork()",
        },
        limits={"processes": 30, "seconds": 20},
    )
    said = kit("reproduce", file, "--json")
    assert said.code == 4 and "more than 30 processes at once (limits.processes)" in said.json["broke"]
    assert said.json["provenance"]["guards"]


@pytest.mark.attempt("database", "a server that answers a request")
@linux
def test_a_served_application_is_reached_and_reaches_nothing(write_incident, listen):
    """The kit's own requests and a later command of the run come through; the application's own do not leave."""
    server, asked = listen(), []
    source = f"""
        import http.server, socket, sys
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                try:
                    socket.create_connection(("127.0.0.1", {server.port}))
                    code = 500
                except OSError:
                    code = 200
                self.send_response(code); self.end_headers()
        if __name__ == "__main__":
            open("port", "w").write(sys.argv[1])
            http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
    """
    asks = "python -c \"import urllib.request; urllib.request.urlopen('http://127.0.0.1:' + open('port').read())\""

    def look(space, port):
        asked.append(urllib.request.urlopen(f"http://127.0.0.1:{port}/").status)

    steps = [{"serve": "python -m service.main {port}"}, {"command": asks}]
    file = write_incident({"service/__init__.py": "", "service/main.py": source}, startup=steps)
    trace = reproduce(load(file), while_up=look)
    assert [step.ok for step in trace.steps] == [True, True], [step.output for step in trace.steps]
    assert asked == [200] and server.reached == []
    assert {one["what"] for one in trace.refused} == {f"tcp 127.0.0.1:{server.port}"}


# -- kernels that have less

LESS = {
    "nothing": "landlock.version = lambda: 0; seccomp.known_machine = lambda: False",
    "no seccomp": "seccomp.known_machine = lambda: False",
    "no Landlock": "landlock.version = lambda: 0",
    "an early Landlock": "landlock.version = lambda: 3",
    "no copies of sockets": "broker.take = lambda pid, fd: None",
}


@pytest.fixture
def lesser_kernel(monkeypatch, tmp_path):
    """Runs startups under a supervisor that finds only a part of the guards."""

    def use(what: str):
        script = tmp_path / "supervisor.py"
        script.write_text(
            f"import sys; sys.path.append({str(PROJECT / 'kit' / 'startup' / 'guard')!r})\n"
            f"import broker, landlock, seccomp, supervisor\n{LESS[what]}\nsupervisor.main()\n"
        )
        monkeypatch.setattr("kit.startup.process._SUPERVISOR", str(script))

    return use


@pytest.mark.attempt("database", "a connection on a lesser kernel")
@need_landlock
@pytest.mark.parametrize("kernel", LESS)
def test_a_guard_that_is_missing_is_said_and_fails_no_run(kernel, lesser_kernel, started, listen):
    lesser_kernel(kernel)
    server = listen()
    asks = "import _socket; _socket.socket().connect(('127.0.0.1', %d))"
    # By seccomp a connection of a process without the probe is asked for: one to a port of its own is let through.
    held = kernel not in ("nothing", "no seccomp")
    trace = started(
        f"""
        import os, socket, subprocess, sys, threading
        os.makedirs("a"); open("a/x", "w").write("x"); os.rename("a/x", "y"); os.chmod("y", 0o600)
        subprocess.run("true", check=True)
        thread = threading.Thread(target=int); thread.start(); thread.join()
        a, b = socket.socketpair(); a.send(b"x")
        try:
            socket.create_connection(("127.0.0.1", {server.port}))
        except ConnectionRefusedError:
            pass
        if {held}:
            own = socket.socket(); own.bind(("127.0.0.1", 0)); own.listen()
            socket.create_connection(own.getsockname())
            subprocess.run([sys.executable, "-I", "-S", "-c", {asks!r} % own.getsockname()[1]], check=True)
            assert subprocess.run([sys.executable, "-I", "-S", "-c", {asks!r} % {server.port}]).returncode
        """
    )
    assert trace.steps[0].ok, trace.steps[0].output
    assert server.reached == [] and trace.refused[0]["site"]["line"] == 8
    assert not held or {one["what"] for one in trace.refused} == {f"tcp 127.0.0.1:{server.port}"}
    guards, unguarded = trace.provenance["guards"], " ".join(trace.provenance["unguarded"])
    assert "audit hook" in guards
    said = {
        "nothing": "files outside the workspace are not protected",
        "no seccomp": "no seccomp filter",
        "no Landlock": "files outside the workspace are not protected",
        "an early Landlock": "does not hold signals",
        "no copies of sockets": "",
    }
    assert said[kernel] in unguarded
    assert ("landlock files" in guards) == (kernel not in ("nothing", "no Landlock"))
    assert ("seccomp connections" in guards) == (kernel not in ("nothing", "no seccomp"))
    if kernel == "nothing":
        assert "nothing in the kernel holds connections" in unguarded
