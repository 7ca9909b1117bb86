"""CPython 3.14 and 3.15, from Debian's testing suite: debootstrap, as root, makes them in a folder of the tests' own."""

import ast

import pytest
from environments import interpreters, newest_interpreters
from miniatures import APPLICATIONS, EXPECTED, incident_of, judged, shown_by

from kit.diagnose.decision import find_mechanism
from kit.diagnose.observation import RACES, look_at
from kit.incident.load import load
from kit.startup.run import reproduce
from kit.trace.chains import application_frames
from kit.trace.why import why

pytestmark = pytest.mark.slow
NAMES = "; ".join(f"name_{number}" for number in range(300))  # more than an instruction has room for
FILES = {
    "shop/__init__.py": "",
    "shop/plain.py": "SIZE = 1",
    "shop/wide.py": f"if __name__ == 'another':\n    {NAMES}\nimport shop.plain\nfrom . import plain as again\n",
    "shop/legacy.py": "class Order:\n    pass\n",
    "shop/third.py": "SIZE = 3",
}


@pytest.fixture(params=[(3, 14), (3, 15)], ids=["3.14", "3.15"])
def python(request):
    return _interpreter(request.param)


def _interpreter(version):
    known = newest_interpreters() if version > (3, 13) else interpreters()
    if version not in known:
        pytest.skip("needs root, debootstrap and patchelf" if version > (3, 13) else "it is not installed")
    return known[version]


def started(write_incident, python, main):
    files = {**FILES, "shop/main.py": main}
    return reproduce(load(write_incident(files, app={"python": python}, startup=[{"import": "shop.main"}])))


def asked(trace):
    return [(edge.place.importer, edge.line, edge.wanted.imported) for edge in trace.edges]


def test_every_import_statement_is_an_edge(python, write_incident):
    main = "import json\nfrom shop.legacy import Order\nfrom . import plain\n\n\ndef late():\n    import shop.third\n\n\nlate()\nimport shop.wide\n"
    trace = started(write_incident, python, main)
    assert trace.whole and not trace.lost, (trace.steps, trace.lost)
    assert {
        ("shop.main", 1, "json"),
        ("shop.main", 2, "shop.legacy"),
        ("shop.main", 3, "."),
        ("shop.main", 7, "shop.third"),
        ("shop.main", 11, "shop.wide"),
        ("shop.wide", 3, "shop.plain"),
        ("shop.wide", 4, "."),
    } <= set(asked(trace))


def test_the_chain_of_a_lazy_import_names_where_it_is_declared_and_where_it_was_first_used(write_incident):
    main = "lazy from shop.legacy import Order\nlazy import shop.third\nlazy from . import plain\n\n\ndef use():\n    return Order\n\n\nuse()\nplain.SIZE\n"
    trace = started(write_incident, _interpreter((3, 15)), main)
    assert trace.whole and not trace.lost, (trace.steps, trace.lost)
    chains = {one.module: [str(frame) for frame in application_frames(one.chain)] for one in trace.imports}
    assert chains["shop.legacy"] == ["shop/main.py:10", "shop/main.py:7", "shop/main.py:1"]
    assert chains["shop.plain"] == ["shop/main.py:11", "shop/main.py:3"]
    assert "shop.third" not in chains  # declared, and never used
    executed = [event for event in why(trace, "shop.legacy") if event.what == "executed"]
    assert [str(frame) for frame in executed[0].chain] == chains["shop.legacy"]
    assert [event.note for event in why(trace, "shop.third")] == ["its body had not been executed yet"]
    assert [(line, name) for _, line, name in asked(trace)][:3] == [(1, "shop.legacy"), (2, "shop.third"), (3, ".")]


CYCLE = {
    "shop/__init__.py": "",
    "shop/one.py": "from shop.two import SIZE\nCOUNT = 1\n",
    "shop/two.py": "from shop.one import COUNT\nSIZE = 2\n",
    "shop/main.py": "import shop.one\n",
}


@pytest.mark.parametrize("step", [{"import": "shop.main"}, {"command": "python -m shop.main"}], ids=str)
def test_what_python_imports_again_to_print_an_error_is_no_part_of_the_startup(step, write_incident):
    """From 3.13 on it looks what else a module has whose name could not be imported: once more, where that is gone again."""
    python = _interpreter((3, 13))
    trace = reproduce(load(write_incident(CYCLE, app={"python": python}, startup=[step])))
    modules = [execution.module for execution in trace.imports if execution.application]
    assert modules.count("shop.one") == modules.count("shop.two") == 1 and not trace.swallowed and not trace.lost
    (failed,) = trace.steps
    assert "cannot import name 'COUNT'" in failed.error


ON_2_0 = [name for name, expected in EXPECTED.items() if "2.0" in expected["sqlalchemy"]]
MATRIX = [(name, version) for version in ((3, 14), (3, 15)) for name in ON_2_0]


@pytest.mark.parametrize(
    ("name", "version"), MATRIX, ids=lambda part: part if isinstance(part, str) else "{}.{}".format(*part)
)
def test_a_miniature_shows_what_it_shows_on_the_tests_own_interpreter(name, version):
    """What is registered, what fails, who swallows what, and every import statement that ran: from 3.12 on, other doors see it."""
    shows_what_was_kept(name, version)


@pytest.mark.parametrize("version", [(3, 12), (3, 13)], ids="{0[0]}.{0[1]}".format)
def test_each_miniature_in_which_an_error_is_caught_shows_the_same_from_3_12_on(version):
    quiet = [name for name in ON_2_0 if judged(name)[1].trace.swallowed]
    assert quiet
    for name in quiet:
        shows_what_was_kept(name, version)


def shows_what_was_kept(name: str, version: tuple[int, int]) -> None:
    incident = incident_of(APPLICATIONS / name, interpreter=_interpreter(version))
    looked = look_at(incident)
    trace, kept = looked.trace, judged(name)[1].trace
    assert not trace.lost and trace.provenance["python"].startswith("{}.{}.".format(*version))
    assert find_mechanism(incident, looked)[0].mechanism == EXPECTED[name]["mechanism"]
    every, always = written(incident, trace)
    files = {file for file, _, _ in every}  # a step before the startup makes others
    assert {statement for statement in ran(trace) if statement[0] in files} <= every
    assert always <= ran(trace)
    if EXPECTED[name]["mechanism"] not in RACES:  # how far each of several processes comes differs from run to run
        assert shown_by(trace) == shown_by(kept), name
        assert ran(trace) == ran(kept), name


def ran(trace) -> set[tuple[str, int, str]]:
    """The import statements that ran, but for those that pytest writes into a test file: file, line, what each asks for."""
    asked = {(edge.place.file, edge.line, edge.wanted.imported) for edge in trace.edges if not edge.by_call}
    return {(file, line, name) for file, line, name in asked if name not in ("builtins", "_pytest.assertion.rewrite")}


def written(incident, trace) -> tuple[set[tuple[str, int, str]], set[tuple[str, int, str]]]:
    """The import statements of each file that ran: all of them, and those that run whenever the file runs to its end."""
    every, always = set(), set()
    for file in {execution.file for execution in trace.imports if execution.application}:
        path = incident.folder / incident.app.root / file
        if not path.exists():
            continue
        tree = ast.parse(path.read_text())
        whole = all(execution.ended and not execution.error for execution in trace.imports if execution.file == file)
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                asked = {(file, node.lineno, name) for name in _asked(node)}
                every |= asked
                always |= asked if whole and node in tree.body else set()
    return every, always


def _asked(node) -> list[str]:
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    return ["." * node.level + (node.module or "")]
