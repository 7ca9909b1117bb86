"""An error that only the printed text of a step holds is the step's error, with its place and what it came from."""

import pytest

from kit.trace.expected import holds
from kit.trace.printed_errors import last_error, printed_error

SERVER = """INFO:     Waiting for application startup.
ERROR:    Traceback (most recent call last):
  File "sqlalchemy/engine/default.py", line 964, in do_execute
    cursor.execute(statement, parameters)
sqlite3.OperationalError: no such table: talks

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "starlette/routing.py", line 661, in lifespan
    async with self.lifespan_context(app) as maybe_state:
  File "agents/main.py", line 11, in lifespan
    app.state.store = Store()
                      ^^^^^^^
sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: talks

ERROR:    Application startup failed. Exiting.
"""


def is_application(file: str) -> bool:
    return file.startswith("agents/")


def test_the_last_traceback_is_the_error_with_the_applications_frames_and_its_cause():
    error = printed_error(SERVER, is_application)
    assert str(error) == "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: talks"
    assert [(str(frame), frame.application) for frame in error.frames][-1] == ("agents/main.py:11", True)
    assert [name for _, name, _ in error.links] == ["OperationalError", "OperationalError"]


def test_a_server_that_gives_up_says_less_than_its_worker_did():
    gives_up = (
        SERVER
        + 'Traceback (most recent call last):\n  File "gunicorn/arbiter.py", line 683, in reap_workers\ngunicorn.errors.HaltServer: 3\n'
    )
    assert printed_error(gives_up, is_application).type == "sqlalchemy.exc.OperationalError"


GROUP = """ERROR:      + Exception Group Traceback (most recent call last):
  |   File "/site-packages/anyio/_backends/_asyncio.py", line 871, in __aexit__
  |     raise BaseExceptionGroup(
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "agents/main.py", line 11, in start
    |     Base.metadata.create_all(engine)
    | sqlalchemy.exc.NoReferencedTableError: could not find table 'agents'
    +------------------------------------
"""


def test_of_a_group_of_exceptions_its_member_is_the_error():
    error = printed_error(GROUP, is_application)
    assert str(error) == "sqlalchemy.exc.NoReferencedTableError: could not find table 'agents'"
    assert str(error.frames[-1]) == "agents/main.py:11"


@pytest.mark.parametrize(
    "suggested",
    [
        "Did you mean: 'agents.talk'?",
        "Did you forget to import 'talks'?",
        "Did you mean: 'task'? Or did you forget to import 'talks'?",
    ],
)
def test_what_an_interpreter_suggests_where_it_prints_an_error_is_no_part_of_it(suggested):
    raised = "No module named 'agents.talks'"
    frame = '  File "agents/main.py", line 3, in <module>\n'
    printed = f"Traceback (most recent call last):\n{frame}ModuleNotFoundError: {raised}. {suggested}\n"
    assert str(printed_error(printed, is_application)) == f"ModuleNotFoundError: {raised}"
    assert holds(f"ModuleNotFoundError: {raised}", f"ModuleNotFoundError: {raised}. {suggested}")
    assert not holds(f"ModuleNotFoundError: {raised}", f"ModuleNotFoundError: {raised}. Did you look?")


def test_text_without_a_traceback_holds_no_error():
    assert printed_error("ValueError: said in a sentence\nFAILED: no\n", is_application) is None


PYTEST = """============================= test session starts ==============================
_______________________ ERROR at setup of test_login_page ________________________
E   LookupError: <ContextVar name='flask.app_ctx'>
The above exception was the direct cause of the following exception:
E           RuntimeError: Working outside of application context.
E           with app.app_context(). See the documentation for more information.
__________________________ ERROR at setup of test_other ___________________________
E           ValueError: of the second one
=========================== short test summary info ============================
ERROR tests/test_login.py::test_login_page - RuntimeError: Working outside of...
============================== 2 errors in 0.10s ===============================
"""
SETTINGS = """ImportError while loading conftest '/srv/shop/tests/conftest.py'.
tests/conftest.py:3: in <module>
    from shop import create_app
shop/settings.py:9: in <module>
    settings = Settings()
               ^^^^^^^^^^
.venv/lib/python3.12/site-packages/pydantic_settings/main.py:292: in __init__
    super().__init__(**values)
E   pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings
E   database_url
E     Field required [type=missing, input_value={}, input_type=dict]
"""
METRIC = """______________________ ERROR at setup of test_prices ______________________

self = <prometheus_client.registry.CollectorRegistry object at 0x7f962d7a3950>

    def register(self, collector: Collector) -> None:
>               raise DuplicateTimeseries(duplicates)
E               prometheus_client.registry.DuplicateTimeseries: Duplicated timeseries in CollectorRegistry: {'tolls'}

shop/metrics.py:5: in monitor
    requests = Counter("tolls", "Tolls paid")
"""
USAGE = (
    "Error: Could not locate a Flask application.\n\nUsage: flask [OPTIONS] COMMAND\n\nError: No such command 'db'.\n"
)


def test_of_pytests_failures_the_first_says_why_and_not_how_many_there_were():
    assert last_error(PYTEST) == "RuntimeError: Working outside of application context."


@pytest.mark.parametrize(
    "printed, type_, text, last",
    [
        (PYTEST, "RuntimeError", "Working outside of application context.", None),
        (
            SETTINGS,
            "ValidationError",
            "1 validation error for Settings\ndatabase_url\n  Field required",
            "shop/settings.py:9",
        ),
        (METRIC, "DuplicateTimeseries", "Duplicated timeseries in CollectorRegistry: {'tolls'}", "shop/metrics.py:5"),
    ],
    ids=["chained", "of a conftest", "of another kind of name"],
)
def test_an_exception_that_pytest_tells_in_its_own_form_is_one_with_its_places(printed, type_, text, last):
    error = printed_error(printed, lambda file: file.startswith(("shop/", "tests/")))
    assert error.type.rpartition(".")[2] == type_ and error.text.startswith(text)
    assert [str(frame) for frame in error.frames if frame.application][-1:] == ([last] if last else [])


@pytest.mark.parametrize("says", ["import file mismatch:", "E       fixture 'client' not found"])
def test_what_pytest_says_of_a_failure_without_an_exception_is_its_reason(says):
    printed = f"==== ERRORS ====\n____ ERROR collecting tests/test_shop.py ____\n{says}\n  imported\n=== summary ===\n1 error in 0.10s\n"
    assert says.endswith(last_error(printed))


def test_of_a_programs_own_errors_the_first_says_why():
    assert last_error(USAGE) == "Error: Could not locate a Flask application."


def test_of_alembic_the_failure_says_why_and_not_the_warning_below_it():
    printed = "FAILED: Multiple head revisions are present\nversions.py:208: UserWarning: Revision 0023 is present\n  util.warn(\n"
    assert last_error(printed) == "FAILED: Multiple head revisions are present"
    logged = "ERROR    alembic.util.exc.CommandError: Multiple head revisions are     \n         present; name one     \n        \nINFO     stopped\n"
    assert last_error(logged + printed.partition("\n")[2]).endswith(
        "CommandError: Multiple head revisions are present; name one"
    )
