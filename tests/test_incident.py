"""The incident file: every mistake is named with its key and line."""

import pytest

from kit.base.errors import IncidentError, RunBroke
from kit.incident.load import load
from kit.incident.revisions import revision_in
from kit.incident.sources import read_sources

GOOD = """\
title: An incident
app:
  root: app
startup:
  - import: service.main
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str, **files: str):
        (tmp_path / "app").mkdir(exist_ok=True)
        for name, content in files.items():
            (tmp_path / name).write_text(content)
        (tmp_path / "incident.yaml").write_text(text)
        return tmp_path / "incident.yaml"

    return write


def test_the_shortest_file_has_the_promised_defaults(written):
    incident = load(written(GOOD))
    assert (incident.database, incident.database_env) == ("sqlite", "DATABASE_URL")
    assert (incident.app.workdir, incident.app.path) == (".", ["."])
    assert str(incident.startup[0]) == "import: service.main"


def test_a_folder_stands_for_the_incident_yaml_in_it(written):
    assert load(written(GOOD).parent).title == "An incident"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("root: app", "rot: app"), ["incident.yaml:3: app.rot: unknown key; did you mean 'root'?"]),
        (GOOD.replace("title: An incident\n", ""), ["title: required, but not there"]),
        (GOOD + "database: oracle\n", [":6: database:", "'sqlite' or 'postgresql'"]),
        (GOOD.replace("import: service.main", "import: [a]"), [":5: startup.0"]),
        (GOOD.replace("import:", "impotr:"), [":5: startup.0:", "a step is one of import, call"]),
        (GOOD + "  - call: service.main\n", [":6: startup.1:", "module:function"]),
        (GOOD + "limits:\n  seconds: fast\n", [":7: limits.seconds:"]),
        (
            GOOD + "fixes:\n  one:\n    patches: [gone.patch]\n",
            [":8: fixes.one.patches.0: there is no file", "gone.patch"],
        ),
        (GOOD.replace("root: app", "root: elsewhere"), [":3: app.root: there is no folder"]),
        (GOOD + "checks:\n  - mappers: true\n    clean_start: true\n", [":7: checks.0: a check is one of"]),
        (GOOD + "checks:\n  - http: {path: /, stauts: 200}\n", ["stauts: unknown key; did you mean 'status'?"]),
        (GOOD + "title: Again\n", [":6: title: this key is here a second time (first in line 1)"]),
        ("title: [\n", [":2: not valid YAML"]),
        ("- a\n- b\n", [":1: an incident file is a mapping"]),
        (GOOD.replace("root: app", "root: app\n  workdir: ../.."), [":4: app.workdir:", "must lie inside"]),
        (GOOD.replace("root: app", "env: {A: b}"), [":2: app: give either root"]),
        (
            GOOD + "  - serve: uvicorn a:b --port {PORT}\n",
            [":6: startup.1: unknown placeholder {PORT}; did you mean {port}?"],
        ),
        (
            GOOD + "  - serve: uvicorn a:b --port {port} --host {host}\n",
            [":6: startup.1:", "{host}", "known here: {port}"],
        ),
        (
            GOOD + "  - command: curl localhost:{port}\n",
            [":6: startup.1: {port} stands for the port of a server", "'serve: …'"],
        ),
        (GOOD + "  - command: app --db {databse_url}\n", [":6: startup.1:", "did you mean {database_url}?"]),
        (
            GOOD.replace("root: app", "root: app\n  env: {A: '{DATABASE_URL}'}"),
            [":4: app.env: A: unknown placeholder {DATABASE_URL}; did you mean {database_url}?"],
        ),
        (GOOD + "file: /etc/passwd\n", [":6: file: unknown key"]),
    ],
)
def test_a_mistake_is_named_with_its_line(written, text, said):
    with pytest.raises(IncidentError) as error:
        load(written(text))
    for part in said:
        assert part in str(error.value)
    assert error.value.exit_code == 2


def test_every_mistake_is_named_at_once(written):
    with pytest.raises(IncidentError) as error:
        load(written(GOOD.replace("title:", "tilte:") + "databas: sqlite\n"))
    assert len(str(error.value).splitlines()) == 3  # two unknown keys, one missing


def test_braces_that_are_the_shells_or_a_languages_own_are_no_placeholders(written):
    steps = [
        "serve: app --port {port} --db ${DB}",
        "command: \"awk '{print}' x\"",
        "command: app --json '{\"a\": 1}' {}",
    ]
    text = GOOD + "".join(
        f"  - {step}\n" if not step.startswith("command: app") else f"  - command: >-\n      {step[9:]}\n"
        for step in steps
    )
    assert len(load(written(text)).startup) == 4


def test_aliases_that_explode_are_refused(written):
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    with pytest.raises(IncidentError, match="aliases make this file larger"):
        load(written(bomb))


def test_yaml_makes_no_objects(written):
    with pytest.raises(IncidentError, match="not valid YAML"):
        load(written(GOOD + "log: !!python/object/apply:os.system ['true']\n"))


def test_dates_and_numbers_are_text_where_text_is_asked(written):
    incident = load(
        written(
            GOOD.replace("root: app", "root: app\n  env: {PORT: 8080, DEBUG: true}")
            + "postmortem:\n  timeline:\n    - {at: 2025-11-26 14:04, what: It came}\n  actions:\n    - {what: Mend, due: 2025-12-01}\n"
        )
    )
    assert incident.app.env == {"PORT": "8080", "DEBUG": "true"}
    assert incident.postmortem.actions[0].due == "2025-12-01"
    assert "impact" in incident.postmortem.missing


def test_a_missing_interpreter_is_a_broken_run_that_says_where_it_looked(written):
    incident = load(written(GOOD.replace("root: app", "root: app\n  python: python9.9")))
    with pytest.raises(RunBroke, match="there is no interpreter 'python9.9'"):
        incident.python  # noqa: B018


def test_a_program_that_is_no_python_is_said_to_be_none(written):
    incident = load(written(GOOD.replace("root: app", "root: app\n  python: /bin/false")))
    with pytest.raises(RunBroke, match="is not a Python 3.8 or later that runs"):
        incident.python  # noqa: B018


# Every one is refused with exit code 2 and one message that holds this.
HOSTILE = {
    "an object of Python": (GOOD + "log: !!python/object/apply:os.system ['true']\n", ":6: not valid YAML"),
    "a name of Python": (GOOD + "log: !!python/name:os.system\n", ":6: not valid YAML"),
    "merge keys that explode": (
        "a: &b0 {x: 1}\n" + "".join(f"b{n}: &b{n} {{<<: [{', '.join([f'*b{n - 1}'] * 9)}]}}\n" for n in range(1, 9)),
        "aliases make this file larger",
    ),
    "a list that holds itself": ("a: &a [*a]\n", "aliases make this file larger"),
    "a thousand levels": ("a: " + "[" * 1000 + "]" * 1000, "nested too deeply"),
    "a number of 5000 digits": (GOOD + f"limits: {{processes: {'9' * 5000}}}\n", ":6: not valid YAML: this is no int"),
    "a limit beyond every system": (GOOD + "limits: {memory_mb: 99999999999999999999}\n", "limits.memory_mb"),
    "a limit without end": (GOOD + "limits: {seconds: .inf}\n", "limits.seconds"),
    "a day that is none": (GOOD + "log: 2025-02-31\n", ":6: not valid YAML: this is no timestamp"),
    "a tag and another value": (GOOD + "log: !!bool x\n", ":6: not valid YAML: this is no bool"),
    "a NUL": (GOOD.replace("An incident", "a\0b"), "not valid YAML"),
    "an escaped NUL": (GOOD.replace("An incident", '"a\\0b"'), ":1: a NUL or half a character"),
    "half a character": (GOOD.replace("An incident", '"\\ud800"'), ":1: a NUL or half a character"),
    "the same key twice": (
        GOOD.replace("root: app", "root: app\n  root: /"),
        ":4: root: this key is here a second",
    ),
    "two documents": (GOOD + "---\n" + GOOD, "another document"),
    "a variable without a name": (GOOD.replace("root: app", 'root: app\n  env: {"": x}'), "is no name of a variable"),
    "a name of 5000 letters": (GOOD.replace("root: app", f"root: {'a' * 5000}"), "app.root: there is no folder"),
    "nobody's home": (GOOD.replace("root: app", "root: ~nobody-at-all/x"), "app.root: there is no folder"),
    "UTF-16": (GOOD.encode("utf-16"), "cannot be read as UTF-8"),
    "5 MB": (GOOD + "#" * (5 << 20), "is larger than 4 MB"),
}


@pytest.mark.attempt("hostile", "an incident file with")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_message(name, written, record_property):
    content, said = HOSTILE[name]
    file = written("")
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(IncidentError) as error:
        load(file)
    assert said in str(error.value) and len(str(error.value)) < 6000 and "\n" not in str(error.value)
    record_property("happened", "refused, exit 2")


@pytest.mark.parametrize("how", ["a byte order mark", "line ends of Windows"])
def test_files_of_other_editors_are_read(how, written):
    text = "\ufeff" + GOOD if "mark" in how else GOOD.replace("\n", "\r\n")
    file = written("")
    file.write_bytes(text.encode())
    assert load(file).title == "An incident"


def test_what_is_no_file_is_not_waited_for(written, tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(IncidentError, match="is no file"):
        load(tmp_path / "pipe.yaml")


def test_a_value_under_a_secret_name_is_in_no_message(written):
    with pytest.raises(IncidentError) as error:
        load(written(GOOD.replace("root: app", "root: app\n  env: {DB_PASSWORD: [geheim99]}")))
    assert "DB_PASSWORD" in str(error.value) and "geheim99" not in str(error.value)


def test_a_column_that_is_indexed_makes_an_index_of_its_table_s_name():
    text = (
        "from alembic import op\nimport sqlalchemy as sa\nrevision = 'b'\ndown_revision = 'a'\n\n\ndef upgrade():\n"
        "    op.create_table('rule', sa.Column('id', sa.Integer, primary_key=True), sa.Column('group_id', sa.Integer, index=True))\n"
        "    op.add_column('rule', sa.Column('mark', sa.Integer, index=True))\n    op.add_column('rule', sa.Column('text', sa.Text))\n"
    )
    made = [object_ for operation in revision_in("b.py", text).operations for object_ in operation.creates]
    indexes = [name for kind, name in made if kind == "index"]
    assert indexes == ["ix_rule_group_id", "ix_rule_mark"]
    assert [name for kind, name in made if kind == "column"] == ["rule.id", "rule.group_id", "rule.mark", "rule.text"]


def test_requirements_are_read_wherever_people_keep_them(tmp_path):
    for file in ("requirements.txt", "requirements/common.txt", "requirements-dev.txt", "docs/notes.txt"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("itsdangerous==0.24\n")
    read = read_sources(tmp_path, ["."], ()).requirements["itsdangerous"]
    assert [file for file, *_ in read] == ["requirements-dev.txt", "requirements.txt", "requirements/common.txt"]


@pytest.mark.parametrize(
    ("line", "range_"),
    [('Store = "^2.0"', "^2.0"), ('Store = {version = "^2.0", optional = true}', "^2.0"), ('Store = {path = "../store"}', ""), ("store==2.0", "==2.0")],
)  # fmt: skip
def test_the_range_of_a_requirement_is_its_version_also_where_poetry_has_more_of_it(line, range_, tmp_path):
    (tmp_path / "pyproject.toml").write_text(f"[tool.poetry.dependencies]\n{line}\n")
    assert ("pyproject.toml", 2, range_) in read_sources(tmp_path, ["."], ()).requirements["store"]
