"""What goes wrong and fails no step is seen, with who caught it; and what is said to be missing says where it was looked for."""

import pytest
from environments import sqlalchemy_environment

from kit.incident.load import load
from kit.startup.run import reproduce
from kit.trace.end_state import HANDLED, LOOKED_AT, judge_start, looked_at

ODD = {
    "service/__init__.py": "",
    "service/child.py": "raise ValueError('in a child')\n",
    "service/main.py": """
        import asyncio, atexit, logging, subprocess, sys, threading

        log = logging.getLogger("service")

        def late():
            raise ValueError("at the exit")

        def work():
            raise ValueError("in a thread")

        async def warm():
            raise ValueError("in a task")

        async def start():
            asyncio.create_task(warm())
            await asyncio.sleep(0.01)

        def seed():
            raise ValueError("of a seed")

        def quiet():
            raise ValueError("of a disabled logger")

        atexit.register(late)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        asyncio.run(start())
        subprocess.run([sys.executable, "-m", "service.child"])
        try:
            seed()
        except Exception:
            log.exception("no rows")
        log.disabled = True
        try:
            quiet()
        except (ValueError, KeyError):
            log.error("lost", exc_info=True)
    """,
}


def test_an_error_of_a_thread_a_task_a_child_and_the_exit_and_one_that_is_logged_are_seen(kit, write_incident):
    file = write_incident(ODD)
    said = kit("reproduce", file, "--json")
    assert said.code == 0
    seen = {
        (
            caught["error"].partition(": ")[2],
            caught["site"]["line"],
            caught["how"],
            (caught["caught"] or {}).get("line"),
        )
        for caught in said.json["swallowed"]
    }
    assert seen == {
        ("at the exit", 7, "printed", None),
        ("in a thread", 10, "printed", None),
        ("in a task", 13, "logged", None),
        ("in a child", 1, "printed", None),
        ("of a seed", 20, "logged", 33),
        ("of a disabled logger", 23, "logged", 38),
    }
    assert "swallowed at service/main.py:20 (caught at service/main.py:33, logged)" in kit("reproduce", file).out


def test_the_step_s_own_error_is_not_swallowed_however_often_it_is_printed_and_logged(write_incident):
    main = """
        import logging, traceback

        def seed():
            raise ValueError("of a seed")

        try:
            seed()
        except ValueError as error:
            logging.getLogger("service").exception("no rows")
            traceback.print_exc()
            raise RuntimeError("no start") from error
    """
    trace = reproduce(load(write_incident({"service/__init__.py": "", "service/main.py": main})))
    assert not trace.whole and not trace.swallowed


def test_errors_of_a_group_that_fails_the_step_are_not_swallowed(write_incident):
    main = """
        errors = []
        for name in ("rates", "rows"):
            try:
                __import__("service." + name)
            except Exception as error:
                errors.append(error)
        raise ExceptionGroup("plugins", errors)
    """
    files = {"service/rates.py": "raise ValueError('no rates')\n", "service/rows.py": "raise ValueError('no rows')\n"}
    trace = reproduce(load(write_incident({"service/__init__.py": "", "service/main.py": main, **files})))
    assert not trace.whole and not trace.swallowed
    assert [caught.error.text for caught in trace.caught] == ["no rates", "no rows"]
    assert str(trace.catcher(trace.caught[0])) == "service/main.py:6"


def test_what_is_said_not_to_be_swallowed_says_where_it_was_looked_for(kit, write_incident):
    main = "def seed():\n    raise ValueError('of a seed')\n\ntry:\n    seed()\nexcept Exception:\n    pass\n"
    file = write_incident({"service/__init__.py": "", "service/main.py": main}, expect={"error": "no rows"})
    trace = reproduce(load(file))
    assert judge_start(trace).seen == f"every step succeeded, nothing was swallowed {LOOKED_AT}"
    assert f"nothing was swallowed {LOOKED_AT}" in kit("reproduce", file).out


@pytest.mark.parametrize(
    ("handlers", "line"),
    [
        ("except KeyError:\n    pass\nexcept LookupError:\n    pass", 5),
        ("except (ValueError, Exception) as error:\n    pass", 3),
        ("except ValueError:\n    pass", None),
        ("except Exception:\n    log()\n    raise", None),
        ("except:\n    pass", 3),
        ("finally:\n    pass", None),
    ],
)
def test_the_handler_that_keeps_an_error_is_the_first_that_fits_and_raises_nothing(handlers, line):
    from kit.incident.source import catcher_at

    names = ("Exception", "BaseException", "IndexError", "LookupError")
    assert catcher_at(f"try:\n    seed()\n{handlers}\n", 2, names) == line


SERVER = """
    import http.server, sys
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/rates":
                import service.rates
            self.send_response(200); self.end_headers()
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_an_error_that_only_an_answer_shows_is_there_for_every_command(kit, write_incident):
    files = {"service/__init__.py": "", "service/main.py": SERVER, "service/rates.py": "raise ValueError('no rates')"}
    asked = {"expect": {"error": "no rates"}, "checks": [{"http": {"path": "/rates"}}]}
    file = write_incident(files, startup=[{"serve": "python -m service.main {port}"}], **asked)
    assert {command: kit(command, file).code for command in ("reproduce", "diagnose", "verify")} == {
        "reproduce": 0,
        "diagnose": 0,
        "verify": 1,
    }


def test_an_error_that_only_the_mappers_show_is_there_for_every_command_and_is_said(kit, write_incident):
    from test_one_answer import MODELS

    main = MODELS + '        lines = relationship("Line")\n'
    file = write_incident({"service/__init__.py": "", "service/main.py": main}, expect={"error": "locate a name"})
    said = {command: kit(command, file) for command in ("reproduce", "diagnose", "verify")}
    assert [one.code for one in said.values()] == [0, 0, 1]
    assert "the mappers do not configure: " in said["reproduce"].out


def test_a_title_that_ends_like_a_secret_s_name_hides_no_verdict(kit, write_incident):
    file = write_incident({"service/__init__.py": "", "service/main.py": ""}, title="the link does not pass")
    assert "the link does not pass — not reproduced" in kit("reproduce", file).out


def test_from_3_12_on_what_a_handler_for_any_error_takes_from_a_function_is_seen(write_incident):
    main = """
        import importlib.metadata, json
        from contextlib import asynccontextmanager, suppress
        import asyncio

        def rates():
            raise ValueError("no rates")

        @asynccontextmanager
        async def lifespan():
            try:
                rates()
            except Exception:
                pass
            yield

        async def start():
            async with lifespan():
                pass

        asyncio.run(start())
        with suppress(Exception):
            rates()
        try:
            rates()
        except ValueError:
            pass  # for this one
        try:
            json.loads("{")  # of a library
        except Exception:
            pass
        try:
            importlib.metadata.version("service")
        except Exception:
            pass
        try:
            {}["rates"]
        except Exception:
            pass
        from sqlalchemy import create_engine, text
        engine = create_engine("sqlite://")
        try:
            engine.connect().execute(text("select 1 from rates"))
        except Exception:
            pass
        for _ in range(3):
            try:
                rates()
            except ValueError:
                try:
                    rates()
                finally:
                    break
    """
    python = sqlalchemy_environment((3, 13), "2.0")
    trace = reproduce(
        load(write_incident({"service/__init__.py": "", "service/main.py": main}, app={"python": python}))
    )
    assert trace.whole
    seen = {(str(caught.site), str(trace.catcher(caught)), caught.how) for caught in trace.swallowed}
    assert seen == {
        ("service/main.py:7", "service/main.py:13", "handled"),
        ("service/main.py:43", "service/main.py:44", "handled"),
    }
    assert judge_start(trace).seen.startswith("swallowed at service/main.py:7 (caught at service/main.py:13)")
    assert looked_at(trace) == LOOKED_AT + HANDLED
