"""Properties, tried with inputs that Hypothesis makes up: nothing that somebody else wrote is more than data.

The same inputs in every run (``derandomize``), so that two runs of one commit agree.
"""

import base64
import copy
import json
import re
import shutil
import time
import urllib.parse

import pytest
import yaml
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from showing import APPLICATIONS

from kit.base import known_secrets
from kit.base.errors import IncidentError
from kit.base.redact import redact
from kit.incident.load import load
from kit.incident.model import Incident
from kit.startup.run import run_startup
from kit.startup.workspace import workspace
from kit.trace.events import read_events
from kit.trace.processes import Ended
from kit.trace.reader import read_trace
from kit.trace.trace import Trace
from kit.triage.logs import read_log


def examples(count: int):
    """So many inputs, always the same; the fixtures hold for all of them. One that fails is shown as it was found."""
    held = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    plain = {"derandomize": True, "deadline": None, "database": None, "phases": [Phase.generate]}
    return settings(max_examples=count, suppress_health_check=held, **plain)


# ------------------------------------------------------------------------------------ the incident file

FULL = {
    "title": "T",
    "app": {"root": "app", "workdir": ".", "path": ["."], "python": "python3", "env": {"A": "b"}},
    "database": "sqlite",
    "prepare": [{"command": "true"}],
    "startup": [{"import": "a.b"}, {"call": "a:b"}, {"serve": "x {port}"}],
    "expect": {"error": "e", "table": "t"},
    "log": "log.txt",
    "hypotheses": [{"claim": "c", "kind": "several-metadata"}],
    "fixes": {"one": {"patches": ["log.txt"], "claim": "c"}},
    "checks": [{"mappers": True}, {"http": {"path": "/", "headers": {"a": "b"}}}, {"migrations": "x"}],
    "postmortem": {"summary": "s", "timeline": [{"at": "now", "what": "w"}], "lucky": ["l"]},
    "limits": {"seconds": 1, "memory_mb": 1},
}
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.dates(),
    st.datetimes(),
    st.binary(max_size=8),
    st.sampled_from(["~", "~nobody-here", "a\0b", "=", "<<", "{port}", "../..", "/", "", "x" * 5000, 10**400, -0.0]),
)
keys = st.one_of(st.text(max_size=5), st.integers(), st.none(), st.booleans(), st.sampled_from(sorted(FULL)))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)


def places(value, at=()):
    yield at
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(one, (*at, key))


@st.composite
def almost_right(draw):
    """A whole incident file with other values at one to three of its places."""
    content = copy.deepcopy(FULL)
    for _ in range(draw(st.integers(1, 3))):
        where = draw(st.sampled_from(list(places(content))))
        if where:
            inner = content
            for part in where[:-1]:
                inner = inner[part]
            inner[where[-1]] = draw(values)
        else:
            content = {**content, **draw(st.dictionaries(keys, values, max_size=2))}
    return yaml.dump(content, allow_unicode=draw(st.booleans()), sort_keys=False).encode("utf-8", "surrogatepass")


lines = st.sampled_from(
    [
        "title: T",
        "app: {root: app}",
        "startup: [{import: a}]",
        "a: &a [*a]",
        "a: &a [x, x]",
        "b: [*a, *a]",
        "<<: *a",
        "- x",
        "? [a]",
        ": b",
        "!!int x: 1",
        "title: 0x_",
        "limits: {seconds: 1e999}",
        "log: 2025-02-31",
        "log: !!binary x",
        "!!python/name:os.system x",
        "---",
        "...",
        "%YAML 9.9",
        "\tx: 1",
        "[[[[[[",
        "{{{{{{",
        "key: |",
        " text",
        "title: >-",
        "env: {A: 'b",
        "\ufeffx: y",
        "x: \x85 y",
        "x: \u2028 y",
        "expect: {table: 1_0}",
    ]
)
broken = st.one_of(
    st.lists(lines, max_size=12).map(lambda some: "\n".join(some).encode()),
    st.binary(max_size=60),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text(max_size=40).map(lambda text: ("title: " + text).encode("utf-16", "surrogatepass")),
    st.integers(1, 3000).map(lambda depth: b"a: " + b"[" * depth),
)


@given(almost_right() | broken)
@examples(200)
def test_any_file_is_an_incident_or_one_error_that_names_it(tmp_path, content):
    (tmp_path / "app").mkdir(exist_ok=True)
    (tmp_path / "log.txt").touch()
    file = tmp_path / "incident.yaml"
    file.write_bytes(content)
    try:
        assert isinstance(load(file), Incident)
    except IncidentError as error:
        assert "incident.yaml" in str(error) and str(error).encode()


# ------------------------------------------------------------------------------------ logs

TRACEBACK = """\
Traceback (most recent call last):
  File "/srv/app/main.py", line {a}, in <module>
    from app import models
  File "/srv/app/models.py", line {b}, in <module>
    class Event(Base):
sqlalchemy.exc.InvalidRequestError: Table 'events' is already defined for this MetaData instance."""

pieces = st.sampled_from(
    [
        *TRACEBACK.format(a=1, b=2).splitlines(),
        "During handling of the above exception, another exception occurred:",
        "  + Exception Group Traceback (most recent call last):",
        "    | ExceptionGroup: many (2 sub-exceptions)",
        "  [Previous line repeated 99999999999 more times]",
        '{"exc_info": "Traceback (most recent call last):\\n  File \\"a.py\\", line 3, in f\\nKeyError: 1"}',
        '{"exception": {"frames": [{"filename": "a.py", "lineno": 3}, {"filename": 3}], "type": []}}',
        '{"frames": [{"filename": "a.py", "lineno": true, "line": 3}], "x": [[[[1]]]]}',
        '  File "a.py", line ' + "9" * 5000,
        "a.py:3: in f",
        "a.py:3: KeyError",
        ">   x = 1",
        "E   KeyError: 1",
        "\x1b[31mTraceback (most recent call last):\x1b[0m",
        'Traceback (most recent call last):\\n  File "a.py", line 3, in f\\nKeyError#012x',
        "",
    ]
)
prefixes = st.sampled_from(["", "api-1  | ", "12:00:01 ERROR ", "    ", "[1] ", "| ", "+ ", "\\"])
texts = st.lists(st.tuples(prefixes, pieces | st.text(max_size=30)).map("".join), max_size=25).map("\n".join)


@given(texts | st.binary(max_size=200) | st.text(max_size=100))
@examples(250)
def test_any_log_is_read_to_its_end(text):
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    import io

    log = read_log(io.BytesIO(content))
    assert all(one.raised and str(one.error) for one in log.tracebacks)


noise = st.lists(
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["2025-11-26 14:04:01,123 INFO", "db-1  | LOG:", "worker[7]:", "172.18.0.1 - -"]),
        st.sampled_from(["GET /health 200", "checkpoint complete: wrote 3 buffers", "job done", "{}", "x=1 (y)"]),
        st.integers(0, 9),
    ),
    max_size=6,
)


@given(st.sampled_from(["api-1  | ", "web.1: ", "2025-11-26T14:04 app "]), st.lists(noise, min_size=6, max_size=6))
@examples(120)
def test_a_traceback_is_found_among_the_lines_of_others(prefix, between):
    mine = [prefix + line for line in TRACEBACK.format(a=21, b=36).splitlines()]
    alone = read_log("\n".join(mine)).tracebacks
    mixed = [line for others, own in zip(between, mine, strict=True) for line in (*others, own)]
    found = read_log("\n".join(mixed)).tracebacks
    assert [one.raised for one in found] == [one.raised for one in alone]
    assert [(frame.file, frame.line) for frame in found[0].frames] == [
        ("/srv/app/main.py", 21),
        ("/srv/app/models.py", 36),
    ]


@pytest.mark.parametrize(
    "piece",
    [
        "{",
        '{"a": ',
        'File "',
        "Traceback (most recent call last):\n",
        "> \n",
        '\\nFile "x',
        "a.py:1: in ",
        "9",
        "\x1b[",
        '  File "a.py", line 1, in f\n',
    ],  # fmt: skip
)
def test_no_log_takes_longer_than_its_length(piece):
    def cost(size: int) -> float:
        began = time.process_time()
        read_log("Traceback (most recent call last):\n" + piece * (size // len(piece)))
        return time.process_time() - began

    # Twenty times as much text may not take a hundred times as long; a hundredth of a second is noise.
    assert cost(400_000) < 100 * max(cost(20_000), 0.01)


# ------------------------------------------------------------------------------------ traces


@pytest.fixture(scope="module")
def recorded(once, tmp_path_factory):
    """What the probe wrote of a real startup: several steps, Alembic, a rejected table."""
    incident = load(APPLICATIONS / "alias-two-module-names-alembic-in-process")

    def record() -> str:
        kept = tmp_path_factory.mktemp("trace")
        with workspace(incident) as space:
            run_startup(
                incident, space, while_up=lambda *_: shutil.copytree(space.folder / "trace", kept, dirs_exist_ok=True)
            )
        data = max((path.read_bytes().rstrip(b"\0") for path in kept.rglob("*.jsonl")), key=len)
        # Without the libraries' own modules, which make up most of it: it is read many hundred times.
        events = [json.loads(line) for line in data.split(b"\n") if line.strip(b"\0")]
        foreign = {
            one["n"] for one in events if one["k"] == "exec" and "site-packages" in (one["f"] or "/lib/site-packages")
        }
        foreign |= {one["n"] for one in events if one["k"] == "exec" and "/lib/python" in (one["f"] or "")}
        lines = [one for one in events if not (one["k"] in ("exec", "done") and one["n"] in foreign)]
        assert {"exec", "done", "edge", "metadata", "table", "process"} <= {one["k"] for one in lines}
        return "".join(json.dumps(one) + "\n" for one in lines).replace(str(space.folder), "WORKSPACE")

    lines = once("recorded-lines", record)
    with workspace(incident) as space:
        yield incident, space, lines.replace("WORKSPACE", str(space.folder)).encode()


def read(recorded, folder, files: list[bytes]) -> Trace:
    incident, space, _ = recorded
    shutil.rmtree(folder / "step", ignore_errors=True)
    (folder / "step").mkdir()
    for number, data in enumerate(files):
        (folder / "step" / f"{number}.jsonl").write_bytes(data)
    steps = [(number, step) for number, step in enumerate(incident.startup, 1)]
    return read_trace(incident, space, [Ended(steps, folder / "step", False, None, 1, None)])


@given(cut=st.floats(0, 1), tail=st.sampled_from([b"", b"\0" * 100, b"x\n", b'{"k":', b"\xff\xfe\n"]))
@examples(30)
def test_of_a_trace_that_is_cut_every_whole_event_is_kept(recorded, tmp_path, cut, tail):
    data = recorded[2]
    at = int(cut * len(data))
    trace = read(recorded, tmp_path, [data[:at] + tail])
    whole = [json.loads(line) for line in data[:at].split(b"\n")[:-1] if line.strip(b"\0")]
    time = 0
    for event in whole:  # an edge is written without its time: that of the event before it is near enough
        time = event.setdefault("t", time) if event["k"] == "edge" else event.get("t", time)
    kept = [event for _, _, event in read_events(tmp_path / "step")]
    for event, as_read in zip(whole, kept, strict=False):  # a line alone is one of the innermost body
        if event["k"] == "exec" and "l" in event:
            event["b"], event["via"] = as_read["b"], [[as_read["via"][0][0], event.pop("l")]]
    assert kept[: len(whole)] == whole
    assert len(trace.imports) >= sum(1 for one in whole if one["k"] == "exec") and trace.lost == ()


@given(st.lists(st.integers(0, 2), min_size=20, max_size=20))
@examples(20)
def test_events_that_several_processes_wrote_side_by_side_are_all_read(recorded, tmp_path, turns):
    events = [line for line in recorded[2].split(b"\n") if line.strip(b"\0")]
    parts: list[list[bytes]] = [[], [], []]
    for number, line in enumerate(events):
        parts[turns[number % len(turns)]].append(line)
    trace = read(recorded, tmp_path, [b"\n".join(part) + b"\n" for part in parts])
    assert len(list(read_events(tmp_path / "step"))) == len(events) and trace.provenance["processes"] <= 3


def test_edges_of_several_processes_are_told_in_order_of_time_and_one_that_is_none_costs_no_other(recorded, tmp_path):
    process = {"k": "process", "pid": 1, "parent": 0, "t": 1}
    files = []
    for first, package in ((10, "one"), (11, "two")):
        place = {"k": "place", "c": 7, "f": f"{package}/a.py", "fn": "<module>", "m": f"{package}.a", "p": package}
        whole = {"k": "edge", "c": 7, "l": 3, "to": ".b", "names": "c"}
        spoilt = [{"l": "3"}, {"t": None}, {"t": 1 << 64}, {"to": 5}, {"names": [5]}, {"p": []}, {"c": 8}]
        edges = [whole | {"t": first}, *(whole | {"t": first + 2} | one for one in spoilt)]
        edges += [whole | {"t": first + 4, "p": None}, whole | {"t": first + 6, "dyn": True}]
        files.append("".join(json.dumps(one) + "\n" for one in (process, *edges[:1], place, *edges[1:])).encode())
    trace = read(recorded, tmp_path, files)
    seen = [(e.at, e.place.process, e.place.importer, e.line, e.wanted.package, e.by_call) for e in trace.edges]
    assert seen == [
        (10, 0, "one.a", 3, "one", False),
        (11, 1, "two.a", 3, "two", False),
        (14, 0, "one.a", 3, None, False),
        (15, 1, "two.a", 3, None, False),
        (16, 0, "one.a", 3, "one", True),
        (17, 1, "two.a", 3, "two", True),
    ]
    assert {(e.wanted.imported, e.wanted.names) for e in trace.edges} == {(".b", ("c",))}
    assert trace.lost == ("an event of kind edge was not in order",)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


FIELDS = [
    "t",
    "n",
    "b",
    "i",
    "s",
    "l",
    "f",
    "fn",
    "m",
    "via",
    "error",
    "how",
    "names",
    "to",
    "p",
    "url",
    "table",
    "cls",
    "mod",
    "existing",
    "new",
    "cols",
    "mapped",
    "since",
    "inside",
    "forked",
]
FIELDS += [
    "parent",
    "pid",
    "version",
    "implementation",
    "uncaught",
    "mappers",
    "what",
    "why",
    "name",
    "outcome",
    "bound",
    "again",
    "k",
    "th",
    "frames",
    "links",
    "text",
]
spoilt = st.tuples(st.integers(0, 10**6), st.sampled_from(FIELDS), st.none() | json_values)


@given(st.lists(spoilt, min_size=1, max_size=6))
@examples(80)
def test_a_trace_with_fields_of_any_kind_is_read(recorded, tmp_path, changes):
    events = [json.loads(line) for line in recorded[2].split(b"\n") if line.strip(b"\0")]
    for number, name, value in changes:
        having = [one for one in events if name in one] or [one["error"] for one in events if one.get("error")]
        event = (having or events)[number % len(having or events)]
        if value is None:
            event.pop(name, None)
        else:
            event[name] = value
    trace = read(recorded, tmp_path, ["\n".join(map(json.dumps, events)).encode()])
    assert json.dumps([trace.provenance, trace.lost, [str(one) for one in trace.errors]])
    assert trace.conflicts is not None and [str(step) for step in trace.steps]


@given(st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=20))
@examples(25)
def test_a_trace_with_bytes_that_are_none_of_its_own_is_read(recorded, tmp_path, changes):
    content = bytearray(recorded[2])
    for where, byte in changes:
        content[int(where * len(content))] = byte
    read(recorded, tmp_path, [bytes(content)])


# ------------------------------------------------------------------------------------ redaction

CONTEXTS = [
    "postgresql://app:{}@db:5432/prod",
    "redis://:{}@cache/0",
    "password={}",
    "PGPASSWORD={}",
    "DB_PASSWORD: '{}'",
    '{{"client_secret": "{}"}}',
    "{{'api_key': '{}', 'n': 1}}",
    "Authorization: Bearer {}",
    "Cookie: session={}",
    "https://x/y?access_token={}&page=2",
    "connect(host='db', password=\"{}\")",
    "token = Column(String(40), default='{}')",
    "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
]  # fmt: skip
secret = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~+", min_size=9, max_size=30).filter(
    lambda text: (
        text[0].isalnum()
        and text[-1].isalnum()
        and re.search(r"\d", text)
        and not re.search(r"^[A-Za-z_]\w*\.\w", text)
    )
)
around = st.text("ab c=:/@'\"\n\\{}[](),;.?&0Z-", max_size=25) | st.sampled_from(
    [
        "",
        "\n",
        "Traceback: ",
        "password=",
        "://",
        "://a:",
        "'",
        '"',
        "token: ",
        "Bearer ",
        "-----BEGIN ",
        "***",
        "\\",
        "é",
    ]
)


@given(around, st.sampled_from(CONTEXTS), secret, around)
@examples(400)
def test_a_planted_secret_never_survives_and_twice_is_once(before, context, value, after):
    assume(value not in before + after)
    text = f"{before}\n{context.format(value)}\n{after}"
    once = redact(text)
    assert value not in once
    assert redact(once) == once


@given(st.lists(around | st.sampled_from([one.format("s3cret-Value") for one in CONTEXTS]), max_size=8).map("".join))
@examples(400)
def test_redacting_twice_is_redacting_once(text):
    once = redact(text)
    assert redact(once) == once and once.count("\n") == text.count("\n")


WRITTEN = {
    "plain": str,
    "repr": repr,
    "JSON": json.dumps,
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "JSON, unescaped": lambda text: json.dumps(text, ensure_ascii=False),
    "bytes": lambda text: repr(text.encode()),
    "URL": lambda text: urllib.parse.quote(text, safe=""),
    "form": urllib.parse.quote_plus,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "basic authentication": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "capitals": str.upper,
}


odd = st.text("aZ09 äé\"'\\/&<%+=#@-_.😀", min_size=6, max_size=20).map(lambda text: f"k7Q{text}x9Z")


@pytest.fixture
def forgetting(monkeypatch):
    monkeypatch.setattr(known_secrets, "_known", {})
    monkeypatch.setattr(known_secrets, "_written", {})


@pytest.mark.attempt("secrets", "a value of app.env, planted at random places, written as")
@pytest.mark.parametrize("form", WRITTEN)
@given(before=st.text(max_size=20), after=st.text(max_size=20), value=odd)
@examples(30)
def test_what_is_known_exactly_is_masked_however_it_is_written(forgetting, form, before, after, value):
    known_secrets.remember("app.env.API_TOKEN", value)
    assert value in known_secrets.known()
    written = WRITTEN[form](value)
    shown = redact(f"{before} {written} {after}")
    core = written.strip("'\"b=\\")[3:-3]  # of base64 the letters at both ends belong to the neighbours as well
    assert core not in shown or core in before + after


WORDS = [
    "the",
    "table",
    "was",
    "registered",
    "twice",
    "by",
    "import",
    "of",
    "service.main",
    "at",
    "line",
    "12",
    ";",
    "class",
    "Invoice(Base):",
    "id",
    "=",
    "Column(Integer,",
    "primary_key=True)",
    "{'total':",
    "3}",
    "GET",
    "/health",
    "200",
    "http://127.0.0.1:8000/",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "tokens",
    "passed",
    "key",
    "value",
    "secretary",
    "File",
    '"service/main.py",',
    "line",
    "3,",
    "in",
    "<module>",
    "sqlalchemy.exc.InvalidRequestError:",
    "password:",
    "Mapped[str]",
    "=",
    "mapped_column()",
    "user@example.com",
]


@given(st.lists(st.sampled_from([*WORDS, "\n", "  "]), max_size=60))
@examples(200)
def test_text_without_secrets_stays_as_it_is(words):
    text = " ".join(words)
    assume(not re.search(r"password: (?!Mapped\[)|(?:secret|token|key)s? ?[:=]", text))
    assert redact(text) == text
