"""The import graph as it ran, what its picture shows, and the tables of a trace."""

import base64
import itertools
import random
import re
import time
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from showing import BASE, incident_of, known, many_modules, model

from kit import views
from kit.incident.source import absolute
from kit.startup.run import reproduce
from kit.trace.graph import cycles, import_graph
from kit.trace.tables import (
    after_each_import,
    imports_table,
    metadata_after_each_import,
    registrations_table,
    steps_table,
)
from kit.views import graph_picture
from kit.views.graph_picture import import_picture
from kit.views.import_times import import_timeline
from kit.views.metadata_picture import metadata_picture
from kit.views.reduced_graph import reduce
from kit.views.svg import FONT, clean_svg, plain


def test_each_way_names_every_line_from_the_startup_to_the_site():
    ways = import_graph(known()[1]).routes
    assert [way.text for way in ways] == [
        "dispatch/main.py:4 → dispatch/routers/__init__.py:1 → dispatch/routers/jobs.py:5 → dispatch/models.py:7",
        "dispatch/main.py:8 → dispatch/migrate.py:12 → migrations/env.py:11 → dispatch/models.py:7",
    ]


def test_a_way_tells_imports_from_calls_and_from_files_that_a_library_runs():
    first, second = import_graph(known()[1]).routes
    assert [stop.kind for stop in first.stops] == ["start", "import", "import", "import"]
    assert [stop.kind for stop in second.stops] == ["start", "call", "exec", "import"]
    assert second.stops[2].through == "alembic"


def test_modules_are_numbered_in_the_order_in_which_the_application_executes_them():
    modules = import_graph(known()[1]).modules
    assert [m.number for m in modules] == list(range(1, len(modules) + 1))
    names = [m.module for m in modules]
    assert (
        names.index("dispatch.main")
        < names.index("dispatch.migrate")
        < names.index("dispatch.models")
        < names.index("env_py")
    )


def test_one_file_under_two_names_is_two_modules_with_their_own_registrations():
    of_file = [m for m in import_graph(known()[1]).modules if m.file == "dispatch/models.py"]
    assert [(m.module, m.tables, m.rejected) for m in of_file] == [
        ("dispatch.models", ("riders", "jobs"), ()),
        ("models", (), ("riders",)),
    ]


def _edges(graph):
    names = {m.key: m.module for m in graph.modules}
    return {(names[e.importer], names[e.imported]): (e.line, e.first) for e in graph.edges}


def test_an_import_that_was_answered_from_sys_modules_is_an_edge_too_and_marked_so():
    edges = _edges(import_graph(known()[1]))
    assert edges["dispatch.routers.jobs", "dispatch.models"] == (5, True)
    assert edges["dispatch.routers.riders", "dispatch.models"] == (5, False)


def test_relative_imports_find_the_module_that_they_mean(tmp_path):
    files = {
        "shop/__init__.py": "",
        "shop/db.py": BASE,
        "shop/one.py": "from .db import Base\nfrom . import two\n",
        "shop/two.py": "from .db import Base\nfrom shop import db\n",
        "shop/main.py": "import shop.one\nfrom . import two\n",
        "db.py": "",
    }
    edges = _edges(import_graph(reproduce(incident_of(tmp_path, files))))
    assert edges["shop.one", "shop.db"] == (1, True)
    assert edges["shop.two", "shop.db"] == (1, False)
    assert not any("db" in pair for pair in edges)
    assert ("shop.one", "shop") not in edges and ("shop.two", "shop") not in edges


def test_a_module_that_is_executed_again_is_asked_for_once_and_not_the_execution_before(tmp_path):
    files = {
        "shop/__init__.py": "",
        "shop/half.py": "import nothing_of_this_name\n",
        "shop/again.py": "import shop.half\n",
        "shop/main.py": "try:\n    import shop.half\nexcept ImportError:\n    pass\nimport shop.again\n",
    }
    graph = import_graph(reproduce(incident_of(tmp_path, files)))
    first, second = [m.key for m in graph.modules if m.module == "shop.half"]
    again = next(m.key for m in graph.modules if m.module == "shop.again")
    assert [(e.imported, e.first) for e in graph.edges if e.importer == again] == [(second, True)]


def test_modules_that_import_each_other_are_one_group(tmp_path):
    files = {
        "shop/__init__.py": "",
        "shop/a.py": "import shop.b\n",
        "shop/b.py": "import shop.c\n",
        "shop/c.py": "import shop.a\n",
        "shop/lone.py": "",
        "shop/main.py": "import shop.a, shop.lone\n",
    }
    graph = import_graph(reproduce(incident_of(tmp_path, files)))
    names = {m.key: m.module for m in graph.modules}
    assert [[names[key] for key in group] for group in graph.cycles] == [["shop.a", "shop.b", "shop.c"]]


def test_modules_that_import_each_other_are_drawn_as_one_group_with_the_others_condensed(tmp_path):
    files = {
        "shop/__init__.py": "",
        "shop/db.py": BASE,
        "shop/a.py": "import shop.b\n" + model("One", "orders"),
        "shop/b.py": "import shop.c\n",
        "shop/c.py": "import shop.a\n",
        "shop/second.py": model("Two", "orders"),
        "shop/main.py": "import shop.a, shop.second\n",
    }
    reduced = reduce(import_graph(reproduce(incident_of(tmp_path, files))))
    inside = [(node.role, node.title, node.members) for node in reduced.nodes if node.cycle is not None]
    assert inside == [
        ("first", "a", ()),
        ("group", "2 more importing each other", ("shop.b (import 4)", "shop.c (import 5)")),
    ]
    assert {(line.role) for line in reduced.lines if line.start != "n0"} == {"cycle"}
    for upright in (False, True):
        drawn = import_picture(reduced, upright=upright)
        assert drawn.count('class="cluster"') == 1 and "import each other" in drawn
        assert "stroke-dasharray" in re.search(r'<g class="edge cycle">.*?</g>', drawn, re.S).group(0)


def test_submodules_that_import_from_their_own_package_are_no_cycle():
    assert import_graph(known()[1]).cycles == ()


def test_cycles_are_those_that_reachability_gives():
    chance = random.Random(7)
    for _ in range(300):
        size = chance.randint(1, 7)
        edges = [pair for pair in itertools.permutations(range(size), 2) if chance.random() < 0.25]
        reach = {a: {a} for a in range(size)}
        for _ in range(size):
            for a, b in edges:
                reach[a] |= reach[b]
        expected = {tuple(sorted(b for b in reach[a] if a in reach[b])) for a in range(size)}
        following = {a: [b for start, b in edges if start == a] for a in range(size)}
        assert set(cycles(following)) == {group for group in expected if len(group) > 1}


def _large(tmp_path, modules: int):
    files = {
        "shop/__init__.py": "",
        "shop/db.py": BASE,
        "shop/first.py": model("One", "orders"),
        "shop/second.py": model("Two", "orders"),
    }
    names = []
    for package, number in itertools.product(range(12), range(modules // 12)):
        files[f"shop/p{package}/__init__.py"] = ""
        files[f"shop/p{package}/m{number}.py"] = "import shop.first\n" if number % 2 else "import shop.db\n"
        names.append(f"shop.p{package}.m{number}")
    files["shop/main.py"] = (
        "import shop.first\n" + "".join(f"import {name}\n" for name in names) + "import shop.second\n"
    )
    return reproduce(incident_of(tmp_path, files))


def test_the_picture_of_a_large_application_stays_small_and_loses_no_module(tmp_path):
    trace = _large(tmp_path, 240)
    graph = import_graph(trace)
    reduced = reduce(graph)
    assert len(graph.modules) > 240 and len(reduced.nodes) <= 40
    assert [node.title for node in reduced.nodes[:3]] == ["main", "first", "second"]
    counts = [re.search(r"\((\d+) (?:more|modules)\)", node.title) for node in reduced.nodes]
    grouped = sum(int(found.group(1)) for found in counts if found)
    on_ways = sum(1 for node in reduced.nodes if node.role != "group")
    assert any(node.role == "group" for node in reduced.nodes)
    assert on_ways + grouped + sum(count for _, count in reduced.left_out) == len(graph.modules)
    assert import_picture(reduced) is not None


def test_a_very_long_way_is_cut_in_its_middle(tmp_path):
    files = {"shop/__init__.py": "", "shop/db.py": BASE, "shop/first.py": model("One", "orders")}
    for number in range(60):
        files[f"shop/s{number}.py"] = f"import shop.s{number + 1}\n" if number < 59 else model("Two", "orders")
    files["shop/main.py"] = "import shop.first\nimport shop.s0\n"
    reduced = reduce(import_graph(reproduce(incident_of(tmp_path, files))))
    assert len(reduced.nodes) <= 40
    assert any(node.title.endswith("more stops") for node in reduced.nodes)
    assert any(node.title == "s59" for node in reduced.nodes)


def test_a_function_called_on_both_ways_is_two_stops_and_a_shared_module_is_one(tmp_path):
    files = {
        "shop/__init__.py": "",
        "shop/db.py": BASE,
        "shop/make.py": "from sqlalchemy import Column, Integer, Table\nfrom shop.db import Base\n\n\ndef make():\n    return Table('orders', Base.metadata, Column('id', Integer))\n",
        "shop/main.py": "from shop.make import make\nmake()\nmake()\n",
    }
    reduced = reduce(import_graph(reproduce(incident_of(tmp_path, files))))
    assert [(node.role, node.title, node.detail) for node in reduced.nodes if node.role != "group"] == [
        ("root", "main", "start-up, step 1"),
        ("first", "make()", "call, main.py:2"),
        ("second", "make()", "call, main.py:3"),
    ]


def test_without_a_conflict_the_way_is_the_one_to_the_error(tmp_path):
    files = {"shop/__init__.py": "", "shop/main.py": "import shop.broken\n", "shop/broken.py": "\n1 / 0\n"}
    graph = import_graph(reproduce(incident_of(tmp_path, files)))
    assert [(way.name, way.text, way.outcome) for way in graph.routes] == [
        ("only", "shop/main.py:1 → shop/broken.py:2", "ZeroDivisionError")
    ]
    assert import_picture(reduce(graph)) is not None


def test_steps_of_one_interpreter_are_told_apart(tmp_path):
    files = {
        "shop/__init__.py": "",
        "shop/db.py": BASE,
        "shop/first.py": model("One", "orders"),
        "shop/second.py": model("Two", "orders"),
    }
    trace = reproduce(incident_of(tmp_path, files, "- import: shop.first\n  - import: shop.second"))
    assert [way.stops[0].how for way in import_graph(trace).routes] == ["start-up, step 1", "start-up, step 2"]


def test_without_a_failed_step_the_way_is_the_one_to_what_was_swallowed(tmp_path):
    files = {
        "shop/__init__.py": "",
        "shop/main.py": "try:\n    import shop.broken\nexcept ZeroDivisionError:\n    pass\n",
        "shop/broken.py": "\n1 / 0\n",
    }
    graph = import_graph(reproduce(incident_of(tmp_path, files)))
    assert [(way.name, way.text) for way in graph.routes] == [("only", "shop/main.py:2 → shop/broken.py:2")]


# ------------------------------------------------------------------------------------ the picture


def test_every_box_leads_to_a_place_that_the_lists_beside_the_picture_have(tmp_path):
    for trace in (known()[1], _large(tmp_path, 24)):
        html = views.imports(trace).html
        places = re.findall(r' id="([^"]+)"', html)
        links = {node.link for node in reduce(import_graph(trace)).nodes}
        assert len(links) > 3 and links <= set(places) and len(places) == len(set(places))
        assert set(re.findall(r'<a href="#([^"]+)"', import_picture(reduce(import_graph(trace))))) == links


def test_pictures_and_lists_of_thousands_of_modules_stay_small():
    trace = many_modules(4000)
    graph = import_graph(trace)
    assert len(graph.modules) == 4004
    ring = [m.key for m in graph.modules[2:2000]]
    lines = {importer: dict(here) for importer, here in graph.lines.items()}
    for one, other in zip(ring, ring[1:] + ring[:1], strict=True):
        lines[one][other] = 1
    for each in (graph, replace(graph, lines=lines)):
        reduced = reduce(each)
        shown = [node for node in reduced.nodes if node.role == "group"]
        assert len(reduced.nodes) <= 40 and any("more packages" in node.title for node in shown)
        assert import_picture(reduced) is not None and import_picture(reduced, upright=True) is not None
    parts = {name: getattr(views, name)(trace).html for name in ("metadata", "stepper", "collision", "imports")}
    parts["timeline"] = import_timeline(trace)[0].html
    assert sum(len(html) for html in parts.values()) < 1_100_000, {name: len(html) for name, html in parts.items()}
    assert "p0.m0" in parts["stepper"] and "modules that registered nothing" in parts["stepper"]
    assert parts["stepper"].count(" open>") == 1
    assert views.stepper(many_modules(120)).html.count("<details") < 100  # what changed nothing is one line together


def test_the_timeline_draws_each_import_with_its_importer_time_and_tables():
    html = import_timeline(known()[1])[0].html
    wide = base64.b64decode(re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', html).group(1)).decode()
    drawn = clean_svg(wide)
    assert drawn is not None and drawn.count('class="bar') == len(import_graph(known()[1]).modules)
    texts = [e.text for e in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert any(re.fullmatch(r"\d+ dispatch\.models ← jobs\.py:5", text) for text in texts)
    assert any(re.search(r"s ●2$", text) for text in texts) and any(text.endswith("× !") for text in texts)
    assert html.startswith("<details") and " open" not in html.partition(">")[0]


def test_the_picture_is_the_same_bytes_each_time_and_holds_every_node_and_edge():
    reduced = reduce(import_graph(known()[1]))
    drawn = import_picture(reduced)
    assert drawn == import_picture(reduced)
    assert len(re.findall(r'<g class="node', drawn)) == len(reduced.nodes) + 1
    assert len(re.findall(r'<g class="edge', drawn)) == len(reduced.lines) + 2


def test_the_ways_differ_by_line_and_calls_are_dashed():
    source = graph_picture.dot_source(reduce(import_graph(known()[1])))
    second = [line for line in source.splitlines() if "class=second" in line and "->" in line]
    assert all(re.search(r'color="(#\w+):\1"', line) for line in second)
    assert sum("style=dashed" in line for line in second) == 2
    assert not any(":#" in line for line in source.splitlines() if "class=first" in line)


def test_a_picture_that_lost_an_edge_is_not_shown(monkeypatch):
    reduced = reduce(import_graph(known()[1]))
    whole = graph_picture._drawn(graph_picture.engines()[0], graph_picture.dot_source(reduced))
    lost = whole.replace('class="edge', 'class="lost', 1)
    monkeypatch.setattr(graph_picture, "engines", lambda: ("first", "second"))
    monkeypatch.setattr(graph_picture, "_drawn", lambda program, source: lost)
    assert import_picture(reduced) is None
    monkeypatch.setattr(graph_picture, "_drawn", lambda program, source: {"first": lost, "second": whole}[program])
    assert import_picture(reduced) == clean_svg(whole)


def test_without_a_drawing_program_there_is_no_picture(monkeypatch):
    monkeypatch.setattr(graph_picture, "engines", lambda: ())
    assert import_picture(reduce(import_graph(known()[1]))) is None


def test_a_drawing_program_that_hangs_is_given_up(monkeypatch, tmp_path):
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(graph_picture, "engines", lambda: (str(slow),))
    monkeypatch.setattr(graph_picture, "_SECONDS", 0.2)
    began = time.monotonic()
    assert import_picture(reduce(import_graph(known()[1]))) is None
    assert time.monotonic() - began < 30


HOSTILE = [
    "<script>alert(1)</script>",
    "<b>bold</b>",
    'q"uo\\te|{x}',
    "a\x1b[31mred\x00",
    "rtl\u202egnp",
    "x" * 500,
    'end]; n0 [URL="javascript:1"]',
    "a:b",
    "\\N \\G",
]


@pytest.mark.parametrize("table", HOSTILE)
def test_a_hostile_name_is_only_text_in_the_picture(table, tmp_path):
    graph = replace(import_graph(known()[1]), tables=f"table {table}")
    graph = replace(graph, modules=tuple(replace(m, module=table, file=table) for m in graph.modules))
    for upright in (False, True):
        drawn = import_picture(reduce(graph), upright=upright)
        assert drawn is not None
        names = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(drawn).iter()}
        assert names <= {"svg", "g", "a", "path", "polygon", "polyline", "text", "title"}
        assert "javascript:" not in re.sub(r">[^<]*<", "><", drawn)
        texts = [
            (e.text or "").replace("\xa0", " ")
            for e in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")
        ]
        assert any(plain(f"table {table}") in text for text in texts)


def test_only_shapes_and_text_pass_the_allowlist():
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="x()" viewBox="0 0 1 1">'
        '<script>alert(1)</script><style>*{fill:url(http://x)}</style><foreignObject><b>x</b></foreignObject><image href="http://x"/>'
        '<a xlink:href="javascript:x()" xlink:title="tip"><rect id="r" fill="url(#x)" onclick="x()" width="1"/></a>'
        "<text>a &lt; b</text><use href='#r'/><animate/></svg>"
    )
    assert clean_svg(svg) == (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><g><title>tip</title><rect width="1"></rect></g>'
        f'<text font-family="{FONT}">a &lt; b</text></svg>'
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<svg",
        "<p/>",
        '<svg xmlns="http://www.w3.org/1999/xhtml"/>',
        '<!DOCTYPE svg [<!ENTITY a "x">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>',
    ],
)
def test_what_is_not_plain_svg_is_refused(text):
    assert clean_svg(text) is None


def test_the_picture_through_time_marks_the_rejected_table():
    def moment(module, total, new=(), rejected=(), again=()):
        row = {"module": module, "process": 0, "tables_total": total, "registered": new}
        return {**row, "rejected": rejected, "extended": again}

    moments = [moment("a", 0), moment("b", 3, ("x", "y", "z")), moment("<c>", 3, rejected=("orders",))]
    drawn = metadata_picture(moments)
    texts = [element.text for element in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert "+3" in texts and "<c>: orders rejected" in texts
    assert clean_svg(drawn) == drawn and clean_svg(metadata_picture(moments, narrow=True)) is not None
    met = [*moments, moment("d", 3, again=("orders",))]
    assert ">d: orders defined again</text>" in metadata_picture(met)


# ------------------------------------------------------------------------------------ tables


def test_the_metadata_after_each_import_grows_and_its_first_wrong_row_is_the_rejection():
    table = metadata_after_each_import(known()[1])
    rows = table.set_index("module")
    assert list(table.module[-3:]) == ["models", "env_py", "dispatch.main"]
    assert list(table.tables_total) == sorted(table.tables_total)
    assert rows.loc["dispatch.models", "registered"] == ("riders", "jobs")
    assert rows.loc["dispatch.models", "tables_total"] == 2
    assert rows.loc["models", "rejected"] == ("riders",)
    assert list(table.module[table.first_wrong]) == ["models"]
    held = {row["module"]: row["held"] for row in after_each_import(known()[1])}
    assert held["dispatch.models"] == ("jobs", "riders") and held["dispatch.main"] == ()


def test_a_table_that_a_step_registers_itself_has_a_row_of_its_own(tmp_path):
    files = {"shop/__init__.py": "", "shop/db.py": BASE}
    code = "- code: \"from sqlalchemy import Table; from shop.db import Base; Table('orders', Base.metadata)\""
    table = metadata_after_each_import(reproduce(incident_of(tmp_path, files, code)))
    assert table.iloc[-1].module == "(step 1 itself)" and table.iloc[-1].registered == ("orders",)
    assert not table.first_wrong.any()


def test_a_cleared_metadata_counts_from_nothing(tmp_path):
    files = {
        "shop/__init__.py": "",
        "shop/db.py": BASE,
        "shop/one.py": model("One", "orders"),
        "shop/main.py": "import shop.one\nfrom shop.db import Base\nBase.metadata.clear()\nimport shop.two\n",
        "shop/two.py": model("Two", "items"),
    }
    rows = metadata_after_each_import(reproduce(incident_of(tmp_path, files))).set_index("module")
    assert rows.loc["shop.one", "tables_total"] == 1 and rows.loc["shop.two", "tables_total"] == 1


def test_the_other_tables_have_their_documented_columns():
    trace = known()[1]
    assert list(steps_table(trace).columns) == ["kind", "step", "ok", "error", "seconds"]
    assert set(registrations_table(trace).outcome) == {"registered", "rejected"}
    assert len(imports_table(trace)) == len(import_graph(trace).modules)


@pytest.mark.parametrize(
    ("package", "level", "name"),
    [("a.b", 0, "mod"), ("a.b", 1, "a.b.mod"), ("a.b", 2, "a.mod"), ("a", 3, "mod"), ("", 1, "mod")],
)
def test_a_relative_import_is_named_from_its_package_and_in_none_by_itself(package, level, name):
    assert absolute("mod", package, level) == name
