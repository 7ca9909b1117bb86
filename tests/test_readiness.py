"""When a server counts as up, and what of its end is a finding."""

import socket
import textwrap
import threading

import pytest

from kit.diagnose.observation import look_at
from kit.incident.load import load
from kit.incident.steps import Check
from kit.startup.run import reproduce
from kit.trace.end_state import judge_start
from kit.trace.expected import shows_incident

SERVER = """
    import os, socket, sys, threading, time

    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", int(os.environ["PORT"])))
    listening.listen()

    def answer(text, times=None):
        while times is None or times > 0:
            times = times and times - 1
            line, _ = listening.accept()
            line.recv(4000)
            line.sendall(text.encode())
            line.close()
"""
OK = "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"


@pytest.fixture
def serve(write_incident):
    def run(end: str, *steps, **files):
        sources = {"service/__init__.py": "", "server.py": SERVER + end, **files}
        incident = load(write_incident(sources, startup=[{"serve": "python server.py"}, *steps]))
        return incident, reproduce(incident)

    return run


def test_a_line_that_is_closed_without_a_byte_is_no_answer(serve):
    incident, trace = serve("    answer('', times=3)\n    sys.exit(3)\n")
    assert trace.steps[0].ok is False and trace.broke is None and shows_incident(incident, trace)


def test_a_server_that_ends_after_its_first_answer_is_a_step_that_failed(serve):
    end = f"    answer('{OK}', times=1)\n    sys.exit(3)\n"
    incident, trace = serve(end, {"code": "import time; time.sleep(1)"})
    assert trace.steps[0].error.endswith("the server ended while it was asked (exit code 3)")
    assert trace.broke is None and shows_incident(incident, trace)


def test_a_server_that_answers_no_longer_is_a_step_that_failed(serve):
    end = f"    answer('{OK}', times=1)\n    answer('')\n"
    incident, trace = serve(end)
    assert trace.steps[0].error.endswith("the server no longer answers") and shows_incident(incident, trace)


def test_a_server_that_starts_a_worker_anew_for_ever_fails_with_what_the_workers_end_of(serve):
    end = """
        answered = threading.Thread(target=answer, args=("",), daemon=True).start()
        for _ in range(400):
            if os.fork() == 0:
                try:
                    import service.models
                except ValueError as error:
                    print(f"ValueError: {error}", file=sys.stderr, flush=True)
                    os._exit(1)
            os.wait()
            time.sleep(0.3)
    """
    incident, trace = serve(
        textwrap.indent(textwrap.dedent(end), "    "), **{"service/models.py": "raise ValueError('no such colour')\n"}
    )
    assert (
        trace.broke is None
        and trace.steps[0].error.endswith("the server starts others for ever")
        and shows_incident(incident, trace)
    )


def test_a_worker_that_waits_for_its_tasks_is_a_step_that_succeeded(write_incident):
    waits = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
    trace = reproduce(load(write_incident({"arq.py": waits}, startup=[{"command": "python -m arq service.Jobs"}])))
    assert trace.steps[0].ok and trace.broke is None and not trace.swallowed


def test_no_redirect_is_followed_by_the_kit(serve):
    with socket.socket() as elsewhere:
        elsewhere.bind(("127.0.0.1", 0))
        elsewhere.listen()
        came = []

        def listen():
            elsewhere.settimeout(20)
            try:
                came.append(elsewhere.accept())
            except OSError:
                pass

        threading.Thread(target=listen, daemon=True).start()
        to = f"HTTP/1.1 302 Found\\r\\nLocation: http://127.0.0.1:{elsewhere.getsockname()[1]}/\\r\\nContent-Length: 0\\r\\n\\r\\n"
        incident, trace = serve(f"    answer('{to}')\n")
        assert trace.steps[0].ok and not shows_incident(incident, trace)
        asked = incident.model_copy(update={"checks": [Check.model_validate({"http": {"path": "/", "status": 302}})]})
        assert [check.ok for check in look_at(asked, checks=True).checks] == [True]
        assert not came


def test_what_comes_of_the_kit_stopping_a_server_is_no_finding(serve):
    end = f"""
    import signal

    def work():
        signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
        import service.slow

    if os.fork() == 0:
        work()
        os._exit(0)
    time.sleep(0.5)
    answer('{OK}')
"""
    incident, trace = serve(end, **{"service/slow.py": "import time\ntime.sleep(40)\n"})
    assert any(one.module == "service.slow" for one in trace.imports)
    assert judge_start(trace).ok and not trace.swallowed and not shows_incident(incident, trace)


def test_a_server_with_several_workers_is_up_when_its_workers_are(serve):
    end = f"""
    if os.fork() == 0:
        import service.heavy
        time.sleep(40)
    answer('{OK}')
"""
    heavy = "import time\nuntil = time.process_time() + 1.5\nwhile time.process_time() < until: pass\n"
    incident, trace = serve(end, **{"service/heavy.py": heavy})
    assert [one.ended is not None for one in trace.imports if one.module == "service.heavy"] == [True]


def test_a_server_over_a_worker_that_failed_is_told_by_the_workers_error(serve):
    """The server's own words say that something failed, and not what."""
    worker = """
    if os.fork() == 0:
        try:
            import service.store
        except OSError:
            import traceback
            traceback.print_exc()
            os._exit(3)
    os.wait()
"""
    ends = f"    answer('{OK}', times=1)\n    sys.exit(3)\n"
    wait = {"code": "import time; time.sleep(1)"}
    incident, trace = serve(worker + ends, wait, **{"service/store.py": "raise OSError('no table jobs')\n"})
    assert "OSError: no table jobs" in trace.steps[0].error and shows_incident(incident, trace)
    assert any(frame.file == "service/store.py" for frame in trace.steps[0].exception.frames)
