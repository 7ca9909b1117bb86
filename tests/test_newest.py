"""CPython 3.14 and 3.15, from Debian's testing suite: debootstrap, as root, makes them in a folder of the tests' own."""

import pytest
from environments import newest_interpreters

from kit.incident.load import load
from kit.startup.run import reproduce
from kit.trace.chains import application_frames

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
    known = newest_interpreters()
    if version not in known:
        pytest.skip("needs root, debootstrap and patchelf")
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
    assert [(line, name) for _, line, name in asked(trace)][:3] == [(1, "shop.legacy"), (2, "shop.third"), (3, ".")]
