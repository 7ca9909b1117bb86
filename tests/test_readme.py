"""The README says what is there: its commands, its keys, its examples."""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml
from conftest import PROJECT

from kit.incident import model as incident

README = (PROJECT / "README.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", README, re.S)


def test_every_key_of_the_incident_file_is_in_its_table():
    table = README.split("### Every key of the incident file")[1].split("## Verdicts")[0]
    models = (
        incident.Incident,
        incident.App,
        incident.Expect,
        incident.Check,
        incident.Http,
        incident.Postmortem,
        incident.Limits,
    )
    for model in models:
        for name in model.model_fields:
            if name != "file":
                assert re.search(rf"\b{name}\b", table), f"{model.__name__}.{name} is not in the README"


def test_the_worked_example_is_a_valid_incident_file(tmp_path):
    head, more = blocks("yaml")[:2]
    (tmp_path / "shop" / ".venv" / "bin").mkdir(parents=True)
    folder = tmp_path / "kit" / "incidents" / "orders"
    (folder / "fixes").mkdir(parents=True)
    (folder / "fixes" / "remove-legacy.patch").write_text("")
    (tmp_path / "shop" / "alembic.ini").write_text("")
    (folder / "incident.yaml").write_text(head + more)
    read = incident.load(folder)
    assert read.expect.table == "invoices" and len(read.checks) == 5 and read.hypotheses[0].kind == "one-definition"


def test_every_command_of_the_readme_is_one_that_the_kit_has(kit):
    named = set(re.findall(r"python -m kit (\w+)", README)) - {"COMMAND"}
    known = set(re.findall(r"^    (\w+)\b", kit("--help").out, re.M))
    assert named and named <= known
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`?make ([a-z]+)", README)) - {"alone"} <= targets


def test_each_notebook_has_the_parameters_that_the_readme_names():
    from papermill import inspect_notebook

    table = README.split("| notebook | parameters |")[1].split("\n\n")[0]
    said = {}
    for row in re.findall(r"^\| (`.*) \| (.*) \|$", table, re.M):
        for name in re.findall(r"`(\w+)\.ipynb`", row[0]):
            said[name] = set(re.findall(r"`(\w+)`", row[1]))
    notebooks = sorted((PROJECT / "notebooks").glob("*.ipynb"))
    assert {one.stem: set(inspect_notebook(str(one))) for one in notebooks} == said


def test_the_readmes_papermill_commands_run(write_incident, duplicate, tmp_path):
    commands = re.findall(r"^    \.venv/bin/(papermill .*)$", README, re.M)
    assert len(commands) == 2
    file = write_incident(duplicate)
    log = 'Traceback (most recent call last):\n  File "/srv/service/legacy.py", line 5, in <module>\n    class OldInvoice(Base):\nOSError: x\n'
    (tmp_path / "pasted.txt").write_text(log)
    for command in commands:
        words = command.replace("incidents/orders/incident.yaml", str(file)).replace("out.", f"{tmp_path}/out.").split()
        words = [str(tmp_path / one) if one == "pasted.txt" else one for one in words]
        program = Path(sys.executable).with_name(words[0])
        done = subprocess.run([program, *words[1:]], cwd=PROJECT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and "unknown parameter" not in done.stderr, done.stderr
        assert "service/legacy.py" in (tmp_path / "out.ipynb").read_text()
    assert json.loads((tmp_path / "out.json").read_text())["reproduced"] is True


def test_what_the_readme_says_of_the_bundled_incident_is_what_it_prints(kit):
    said = kit("reproduce", "notebooks/incidents/energy_events").out
    shown = README.split("`reproduce` says on the bundled incident:")[1].split("The server came up")[0]
    for line in shown.strip("\n").splitlines():
        assert line.strip().split(" …")[0] in said


def test_every_exit_code_of_the_readme_is_documented_once():
    table = README.split("## Exit codes")[1].split("`--json`")[0]
    assert re.findall(r"^\| (\d) \|", table, re.M) == list("01234")


def test_requirements_are_pinned_each_with_its_reason():
    for line in (PROJECT / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(r"[A-Za-z0-9_.\[\]-]+==\S+ +# \S.*", line), line


def test_the_incident_files_of_the_project_are_valid():
    for file in sorted(PROJECT.glob("**/incident.yaml")):
        if ".venv" not in file.parts and ".environments" not in file.parts:
            assert incident.load(file).title and yaml.safe_load(file.read_text())
