"""The probe: what it sees, and that the application does not see it."""

import functools
import os
import subprocess
import sys
import textwrap

import pytest
from conftest import PROJECT
from environments import each_interpreter, environment, interpreters, sqlalchemy_environment

from kit.incident.load import load
from kit.startup.child.probe.registries import _place_of_thing
from kit.startup.probe import probe_text
from kit.startup.run import reproduce
from kit.trace.chains import application_frames
from kit.trace.end_state import judge_mappers
from kit.trace.events import read_events

# Each interpreter of this machine with 2.0, and each line of SQLAlchemy on the oldest and the newest that it runs on.
VERSIONS = sorted(interpreters())
SINCE_3_11 = [version for version in VERSIONS if version >= (3, 11)]
UP_TO_3_13 = [version for version in VERSIONS if version <= (3, 13)]
OFTEN = {(VERSIONS[0], "1.4"), (VERSIONS[-1], "2.1")}
PAIRS = {(version, "2.0") for version in VERSIONS} | OFTEN
PAIRS |= {(UP_TO_3_13[-1], "1.4"), (SINCE_3_11[0], "2.1"), (SINCE_3_11[-1], "2.1")}


def named(pair) -> str:
    return f"python{pair[0][0]}.{pair[0][1]}-sqlalchemy{pair[1]}"


class Rooms:
    """A view's class, as Flask's are."""

    @classmethod
    def as_view(cls):
        def view():
            return cls()

        view.view_class = cls
        return functools.wraps(view)(lambda: view())

    def get(self):
        return "rooms"


def decorated(function):
    return functools.wraps(function)(lambda self: function(self))


class Unbound:
    """What stands for an object of a request, as Flask's g does: outside of one whatever is asked of it is an error."""

    def __getattr__(self, name):
        raise RuntimeError(f"{name}: outside of a request")


class Guards(Rooms):
    current = Unbound()

    @decorated
    def get(self):
        return "guards"


def test_a_view_is_defined_where_its_class_is_and_not_where_views_are_made_of_classes():
    places = [_place_of_thing(class_.as_view()) for class_ in (Rooms, Guards, type("Bare", (Rooms,), {}))]
    assert [place[2] for place in places] == ["Rooms", "Guards", "Rooms.as_view.<locals>.view"]
    codes = [function.__code__ for function in (Rooms.as_view.__func__, Guards.get.__wrapped__)]
    assert [place[1] for place in places[:2]] == [code.co_firstlineno for code in codes]


@pytest.mark.parametrize(
    "pair",
    [pytest.param(one, id=named(one), marks=() if one in OFTEN else pytest.mark.slow) for one in sorted(PAIRS)],
)
def test_each_interpreter_and_sqlalchemy_shows_both_sites_and_chains(pair, write_incident, duplicate):
    python = sqlalchemy_environment(*pair)
    names = "; ".join(f"name_{number}" for number in range(300))  # more than an instruction has room for
    duplicate["service/db.py"] = (
        textwrap.dedent(duplicate["service/db.py"]) + f"if __name__ == 'another':\n    {names}\nimport service\n"
    )
    trace = reproduce(load(write_incident(duplicate, app={"python": python})))
    (conflict,) = trace.conflicts
    assert trace.provenance["sqlalchemy"].startswith(pair[1])
    assert trace.provenance["python"].startswith(f"{pair[0][0]}.{pair[0][1]}.")
    assert (str(conflict.first.site), conflict.first.site.name) == ("service/billing.py:5", "Invoice")
    assert (str(conflict.second.site), conflict.second.site.name) == ("service/legacy.py:5", "OldInvoice")
    assert [str(f) for f in application_frames(conflict.first.chain)] == ["service/main.py:2", "service/billing.py:5"]
    assert [str(f) for f in application_frames(conflict.second.chain)] == ["service/main.py:3", "service/legacy.py:5"]
    assert [c["name"] for c in conflict.second.existing] == ["id"]
    assert [c["name"] for c in conflict.second.new] == ["id", "total"]
    assert conflict.metadata.label == "service/db.py:3"
    assert ("service.db", "service") in [(edge.place.importer, edge.wanted.imported) for edge in trace.edges]
    assert not trace.lost


# Prints what an application can see of its own startup.
SELF_PORTRAIT = {
    "service/__init__.py": "",
    "service/warns.py": """
        import warnings
        warnings.warn("from the import", stacklevel=2)
    """,
    "service/fails.py": "import service.broken",
    "service/broken.py": "raise ValueError('half way')",
    "service/main.py": """
        import importlib
        import sys
        import traceback
        import warnings
        warnings.simplefilter("always")
        print("\\n".join(sorted(sys.modules)))
        print([entry for entry in sys.path if "app" in entry.split("/")])
        import service.warns
        for load in ("import service.fails", "importlib.import_module('service.fails')", "import no_such_module"):
            try:
                exec(load)
            except Exception:
                traceback.print_exc()
        spec = importlib.util.spec_from_file_location("by_path", service.warns.__file__.replace("warns", "broken"))
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except ValueError:
            traceback.print_exc()
        print(type(importlib.import_module), "sitecustomize" in sys.modules)
    """,
}


@pytest.mark.parametrize("version", each_interpreter())
def test_the_application_sees_what_it_sees_without_the_probe(version, write_incident):
    python = interpreters()[version]
    files = {
        name: text.replace("import importlib\n", "import importlib.util\n") for name, text in SELF_PORTRAIT.items()
    }
    file = write_incident(files, app={"python": python}, startup=[{"command": "python -c 'import service.main'"}])
    trace = reproduce(load(file))
    root = file.parent / "app"
    plain = subprocess.run(
        [python, "-c", "import service.main"],
        cwd=root,
        env={
            "PYTHONPATH": str(root),
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
            "HOME": "/",
        },
        capture_output=True,
        text=True,
    )
    expected = (plain.stdout + plain.stderr).replace(f"{root}/", "").replace(str(root), "<workspace>/app")
    shown = trace.steps[0].output
    if version < (3, 10):  # there, taking atexit out again would lose what is registered with it
        expected, shown = expected.replace("atexit\n", ""), shown.replace("atexit\n", "")
    assert plain.returncode == 0 and "half way" in expected and "from the import" in expected
    assert _without_libraries(shown) == _without_libraries(expected)


def _without_libraries(text: str) -> list[str]:
    """Folders of the interpreter are shortened in a trace; they are not what is compared."""
    import re

    return [re.sub(r"(?<=\")\S*/?(?=python3\.\d+/)", "", line) for line in text.splitlines()]


# How a module begins: its source, and each import statement of it that is executed, as (line, module, names).
BEGINNINGS = {
    "docstring": ('"""Begins\nif so."""\nimport os, sys\nX = 1\nfrom . import plain as p\n', "3 os;3 sys;5 . plain"),
    "tried": (
        "import os\ntry:\n    import gone\nexcept ImportError:\n    import sys\nimport json\n",
        "1 os;3 gone;5 sys;6 json",
    ),
    "folded": ("if 1:\n    import os\nif 0:\n    import sys\nimport json\n", "2 os;5 json"),
    "debugged": ("if __debug__:\n    import os\nif not __debug__:\n    import sys\nimport json\n", "2 os;5 json"),
    "checked": (
        "import os\nif os.sep == ':':\n    import sys\nelse:\n    from os import path, sep\n",
        "1 os;5 os path,sep",
    ),
    "called": (
        "import os\ndef f():\n    import sys\nf()\nf()\nimport json.decoder as d\n",
        "1 os;3 sys;6 json.decoder",
    ),
    "star": (
        "from __future__ import annotations\nfrom os.path import *\nimport os\n",
        "1 __future__ annotations;2 os.path *;3 os",
    ),
    "managed": ("import io\nwith io.StringIO():\n    import sys\nimport os\n", "1 io;3 sys;4 os"),
    "many": ("".join(f"import plain as p{n}\n" for n in range(300)), ";".join(f"{n} plain" for n in range(1, 301))),
}


@pytest.mark.parametrize("version", each_interpreter())
def test_each_import_statement_is_told_with_its_line_however_a_module_begins(version, write_incident):
    files = {f"service/{name}.py": text for name, (text, _) in BEGINNINGS.items()} | {"plain.py": ""}
    files |= {"service/__init__.py": "", "service/plain.py": ""}
    files["service/main.py"] = "".join(f"import service.{name}\n" for name in BEGINNINGS)
    startup = [{"command": "python -c 'import service.main'"}]
    trace = reproduce(load(write_incident(files, app={"python": interpreters()[version]}, startup=startup)))
    assert trace.lost == ()
    for name, (_, expected) in BEGINNINGS.items():
        edges = [edge for edge in trace.edges if edge.place.importer == f"service.{name}"]
        told = [f"{it.line} {it.wanted.imported} {','.join(it.wanted.names)}".strip() for it in edges]
        assert ";".join(told) == expected
    assert [edge.line for edge in trace.edges if edge.place.importer == "service.main"] == [
        *range(1, len(BEGINNINGS) + 1)
    ]


def test_what_the_collector_of_garbage_has_left_is_what_it_leaves_without_the_probe():
    """SQLAlchemy warns of a class of the same name as long as the failed module's one is not collected."""
    incident = load(PROJECT / "tests" / "applications" / "half-import-retried")
    root = incident.resolve(incident.app.root)
    plain = subprocess.run(
        [incident.python, "-m", "ticketing.worker", "--once"],
        cwd=root,
        env={"PYTHONPATH": str(root), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/"},
        capture_output=True,
        text=True,
    )
    (step,) = reproduce(incident).steps
    warned = "This declarative base already contains a class with the same class name"
    assert step.error and (warned in step.output) == (warned in plain.stderr), (step.output, plain.stderr)


def test_what_the_probe_itself_imports_at_the_end_of_a_process_is_no_loss(write_incident, duplicate):
    duplicate["service/main.py"] = "from service import billing"
    startup = [{"command": "python -m service.main"}]
    trace = reproduce(load(write_incident(duplicate, startup=startup)), judge=True)
    assert trace.judged and trace.lost == ()


def test_a_process_that_ends_itself_by_the_signal_that_it_was_sent_is_judged_before(write_incident, duplicate):
    """So ends a worker of gunicorn that uvicorn serves in."""
    duplicate["service/main.py"] = "import signal\nfrom service import billing\nsignal.raise_signal(signal.SIGTERM)"
    startup = [{"command": "python -m service.main || true"}]
    trace = reproduce(load(write_incident(duplicate, startup=startup)), judge=True)
    assert [mapper.table for judged in trace.judged for mapper in judged.mappers] == ["invoices"]


def test_an_environments_own_sitecustomize_still_runs(write_incident):
    files = {
        "service/__init__.py": "",
        "service/main.py": "import sys; assert sys.from_sitecustomize == 1 and 'sitecustomize' in sys.modules",
        "lib/sitecustomize.py": "import sys; sys.from_sitecustomize = 1",
    }
    trace = reproduce(load(write_incident(files, app={"path": [".", "lib"]})))
    assert trace.steps[0].ok, trace.steps[0].error


def test_every_way_to_execute_a_module_is_seen_in_order(write_incident):
    files = {
        "service/__init__.py": "",
        "service/plain.py": "x = 1",
        "service/half.py": "import service.plain\nraise RuntimeError('half')",
        "service/task.py": "import service.plain",
        "service/script.py": "import service.plain",
        "spaces/inner.py": "",
        "service/main.py": """
            import importlib, importlib.util, runpy, threading
            import service.plain
            try:
                import service.half
            except RuntimeError:
                pass
            importlib.reload(service.plain)
            spec = importlib.util.spec_from_file_location("task_by_path", service.plain.__file__.replace("plain", "task"))
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
            runpy.run_path(service.plain.__file__.replace("plain", "script"))
            importlib.import_module("service.plain")
            import spaces.inner
            thread = threading.Thread(target=lambda: __import__("service.task"), name="loader")
            thread.start()
            thread.join()
        """,
    }
    trace = reproduce(load(write_incident(files)))
    assert trace.steps[0].ok, trace.steps[0].error
    seen = [
        (one.module, one.error.text if one.error else None, one.again, one.thread)
        for one in trace.imports
        if one.application
    ]
    assert seen == [
        ("service", None, False, None),
        ("service.main", None, False, None),
        ("service.plain", None, False, None),
        ("service.half", "half", False, None),
        ("service.plain", None, True, None),
        ("task_by_path", None, False, None),
        ("<run_path>", None, False, None),
        ("spaces.inner", None, False, None),
        ("service.task", None, False, "loader"),
    ]
    (swallowed,) = trace.swallowed
    assert (str(swallowed.error), str(swallowed.site)) == ("RuntimeError: half", "service/half.py:2")
    edges = [(edge.place.importer, edge.line, edge.wanted.imported, edge.by_call) for edge in trace.edges]
    assert ("service.half", 1, "service.plain", False) in edges  # answered from sys.modules
    assert ("service.main", 12, "service.plain", True) in edges  # by import_module, likewise


@pytest.mark.parametrize(
    "end",
    [
        "os._exit(0)",
        "os.kill(os.getpid(), 9)",
        "ctypes.string_at(0)",
        "os.abort()",
        "os.closerange(3, 99); os._exit(1)",
    ],
)
def test_the_trace_holds_every_event_until_a_process_dies(end, write_incident, duplicate):
    duplicate["service/legacy.py"] = "from service.late import late"
    duplicate["service/late.py"] = f"import ctypes, os\n{end}"
    trace = reproduce(load(write_incident(duplicate)))
    assert trace.broke and "in the middle of it" in str(trace.broke) or "ended by" in str(trace.broke)
    assert [one.table for one in trace.registrations] == ["invoices"]
    assert trace.imports[-1].module == "ctypes" or "service.late" in [one.module for one in trace.imports]
    assert trace.edges[-1:] == (trace.edges[-1],)
    assert trace.edges[-1].wanted.imported in ("os", "_ctypes", "ctypes")


def test_a_forked_process_writes_a_trace_of_its_own(write_incident, duplicate):
    duplicate["service/main.py"] = """
        import os
        from service import billing
        pid = os.fork()
        if pid == 0:
            try:
                from service import legacy
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
    """
    trace = reproduce(load(write_incident(duplicate)))
    first, second = [one for one in trace.registrations if one.table == "invoices"]
    assert (first.outcome, second.outcome) == ("registered", "rejected")
    assert first.process != second.process


def test_a_forked_process_goes_on_with_the_bodies_that_its_parent_began(write_incident, duplicate):
    duplicate["service/main.py"] = "import service.forks\nimport service.billing"
    duplicate["service/forks.py"] = """
        import os
        import service.db
        pid = os.fork()
        import service.after
    """
    duplicate["service/after.py"] = ""
    trace = reproduce(load(write_incident(duplicate)))
    assert trace.lost == () and len({edge.place.process for edge in trace.edges}) == 2
    for process in {edge.place.process for edge in trace.edges}:
        after = [
            (edge.place.importer, edge.line, edge.wanted.imported)
            for edge in trace.edges
            if edge.place.process == process and edge.wanted.imported in ("service.after", "service.billing")
        ]
        assert after == [("service.forks", 5, "service.after"), ("service.main", 2, "service.billing")]


@pytest.mark.parametrize("act", ["open(__file__, 'w').write('import json')", "os.unlink(__file__)"])
def test_a_module_that_changes_its_own_source_is_not_read_from_what_it_became(act, write_incident, duplicate):
    duplicate["service/main.py"] = "import service.db\nimport service.own\nimport service.billing"
    duplicate["service/own.py"] = f"import os\nimport service.db\n{act}"
    trace = reproduce(load(write_incident(duplicate)))
    edges = [(edge.place.importer, edge.line, edge.wanted.imported) for edge in trace.edges]
    assert [edge for edge in edges if edge[0] == "service.main"] == [
        ("service.main", 1, "service.db"),
        ("service.main", 2, "service.own"),
        ("service.main", 3, "service.billing"),
    ]
    assert [edge for edge in edges if edge[0] == "service.own"] == []
    assert trace.lost == ("an event of kind edge was not in order",)


def test_alembics_env_and_revisions_are_modules_of_the_trace(write_incident, duplicate):
    pytest.importorskip("alembic")
    duplicate["service/main.py"] = """
        import os
        from alembic import command
        from alembic.config import Config
        config = Config()
        config.set_main_option("script_location", "migrations")
        command.upgrade(config, "head")
    """
    duplicate["migrations/script.py.mako"] = ""
    duplicate["migrations/env.py"] = """
        import os
        from alembic import context
        from sqlalchemy import create_engine
        from service.billing import Base
        with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
            context.configure(connection=connection, target_metadata=Base.metadata)
            with context.begin_transaction():
                context.run_migrations()
    """
    duplicate["migrations/versions/001_first.py"] = """
        import sqlalchemy as sa
        from alembic import op
        revision, down_revision = "001", None

        def upgrade():
            op.create_table("invoices", sa.Column("id", sa.Integer, primary_key=True))
    """
    trace = reproduce(load(write_incident(duplicate)))
    assert trace.steps[0].ok, trace.steps[0].error
    by_name = {one.module: one for one in trace.imports if one.application}
    assert str(by_name["env_py"].by) == "service/main.py:7"
    assert "001_first_py" in by_name
    # Alembic's own MetaData for each operation is not the application's.
    assert [r.table for r in trace.registrations if r.application] == ["invoices"]


def test_a_table_is_told_apart_by_what_became_of_it(write_incident):
    files = {
        "service/__init__.py": "",
        "service/main.py": """
            from sqlalchemy import Column, Integer, MetaData, Table, create_engine
            metadata = MetaData()
            first = Table("a", metadata, Column("id", Integer))
            Table("a", metadata)
            second = Table("a", metadata, Column("more", Integer), extend_existing=True)
            third = Table("a", metadata, Column("other", Integer), keep_existing=True)
            try:
                Table("a", metadata, Column("id", Integer))
            except Exception:
                pass
            try:
                Table("b", metadata, object())
            except Exception:
                pass
            engine = create_engine("sqlite://")
            with engine.begin() as connection:
                connection.exec_driver_sql("create table c (id integer)")
                Table("c", metadata, autoload_with=connection)
            metadata.clear()
            from sqlalchemy.dialects import mssql, postgresql  # each makes its catalogue's tables, which are nobody's
        """,
    }
    trace = reproduce(load(write_incident(files)))
    assert trace.steps[0].ok, trace.steps[0].error
    of_dialects = {one.table for one in trace.registrations if not one.application}
    assert {"pg_catalog.pg_namespace", "INFORMATION_SCHEMA.TABLES"} <= of_dialects
    seen = [
        (one.table, one.outcome, one.site.line, one.site.name, one.removed)
        for one in trace.registrations
        if one.table not in of_dialects
    ]
    assert seen == [
        ("a", "registered", 4, "first", False),
        ("a", "extended", 6, "second", False),
        ("a", "kept", 7, "third", False),
        ("a", "rejected", 9, None, False),
        ("b", "registered", 13, None, True),
        ("c", "reflected", 19, None, False),
    ]
    assert len(trace.cleared) == 1 and str(trace.cleared[0].chain[-1]) == "service/main.py:20"


def test_the_reader_passes_over_torn_and_foreign_lines(tmp_path):
    whole = b'{"k":"step","t":1,"s":1}\n'
    (tmp_path / "1-1.jsonl").write_bytes(whole + b"\0\0\0" + b'{"k":"st\n[1]\n\xff\xfe\n' + whole + b'{"k":"torn"')
    assert [event["k"] for _, _, event in read_events(tmp_path)] == ["step", "step"]


def test_the_probe_needs_only_the_standard_library_and_each_part_takes_from_others_what_they_have(tmp_path):
    source = tmp_path / "probe.py"
    source.write_text(probe_text())
    child = PROJECT / "kit" / "startup" / "child"
    parts = sorted((child / "probe").glob("[a-z]*.py"))
    assert all(part.read_text()[-200:] in probe_text() for part in parts)
    importing = "".join(f"import probe.{part.stem}\n" for part in parts)
    for words in ([str(source)], ["-c", f"import sys\nsys.path.insert(0, {str(child)!r})\n{importing}"]):
        done = subprocess.run([sys.executable, "-I", "-S", *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif((3, 9) not in interpreters(), reason="SQLAlchemy 1.3 runs on no later Python")
def test_before_sqlalchemy_1_4_the_mappers_are_judged_too(write_incident):
    """It has no registries: what the kit does not find there is no fault of the application's mappers."""
    models = """
        from sqlalchemy import Column, ForeignKey, Integer
        from sqlalchemy.ext.declarative import declarative_base
        from sqlalchemy.orm import relationship
        Base = declarative_base()
        class User(Base):
            __tablename__ = "users"
            id = Column(Integer, primary_key=True)
        class Order(Base):
            __tablename__ = "orders"
            id = Column(Integer, primary_key=True)
            user_id = Column(Integer, ForeignKey("users.id"))
            user = relationship("User")
    """
    app = {"python": environment(interpreters()[3, 9], "sqlalchemy==1.3.24")}
    startup = [{"import": "service.models"}]
    files = {"service/__init__.py": "", "service/models.py": models}
    trace = reproduce(load(write_incident(files, app=app, startup=startup)), judge=True)
    judged = judge_mappers(trace)
    assert judged.ok and "2 mapped classes configure" in judged.seen
    files["service/models.py"] = models.replace('relationship("User")', 'relationship("Usr")')
    trace = reproduce(load(write_incident(files, folder="broken", app=app, startup=startup)), judge=True)
    judged = judge_mappers(trace)
    assert judged.ok is False and "Usr" in judged.seen
