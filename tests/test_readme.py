"""The README says what is there: its commands, its keys, its examples."""

import json
import re
import subprocess
import sys
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path

import yaml
from conftest import PROJECT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from kit.diagnose.hypotheses import KINDS
from kit.incident import load
from kit.incident.model import Incident
from kit.incident.steps import Step

README = (PROJECT / "README.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", README, re.S)


def test_the_reference_of_the_incident_file_has_every_key_of_the_model_with_its_default():
    """In the model's order; a new key needs its words, by hand."""
    written = (PROJECT / "notebooks" / "incident-file.md").read_text("utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \| (.*?) ?\|$", written, re.M)
    assert [(key, default) for key, _, default in rows] == list(keys_of())
    meanings = {key: meaning for key, meaning, _ in rows}
    assert ": " + ", ".join(f"`{kind}`" for kind in KINDS) + "." in meanings["hypotheses[].kind"]
    assert "(notebooks/incident-file.md)" in README


def keys_of(model: type[BaseModel] = Incident, at: str = "") -> Iterator[tuple[str, str]]:
    """``(key, default)`` of every key of the file, in its order."""
    for name, field in model.model_fields.items():
        if name == "file" and model is Incident:
            continue
        inner, path = _inner(field.annotation, f"{at}{name}")
        if inner is not None and name != "check":
            if name == "http":
                yield path, _default(field)
            yield from keys_of(inner, f"{path}.")
        else:
            yield f"{at}{name}", _default(field)


def _inner(annotation: typing.Any, path: str) -> tuple[type[BaseModel] | None, str]:
    """The model of a key's value, and how the path to its own keys is written; steps are texts."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (None, path) if issubclass(annotation, Step) else (annotation, path)
    if origin is list:
        return _inner(arguments[0], f"{path}[]")
    if origin is dict:
        return _inner(arguments[1], f"{path}.NAME")
    for argument in arguments:
        model, where = _inner(argument, path)
        if model is not None:
            return model, where
    return None, path


def _default(field: typing.Any) -> str:
    if field.default is PydanticUndefined:
        return "required"
    value = field.default
    if value is None or value == [] or value == {}:
        return ""
    return f"`{', '.join(value) if isinstance(value, list) else value}`"


def test_the_readme_is_read_in_ten_minutes_and_its_links_lead_somewhere():
    assert len(README) <= 12_000
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", README):
        assert (PROJECT / target).exists(), target


def test_the_worked_example_is_a_valid_incident_file(tmp_path):
    head, more = blocks("yaml")[:2]
    (tmp_path / "shop" / ".venv" / "bin").mkdir(parents=True)
    folder = tmp_path / "kit" / "incidents" / "orders"
    (folder / "fixes").mkdir(parents=True)
    (folder / "fixes" / "remove-legacy.patch").write_text("")
    (tmp_path / "shop" / "alembic.ini").write_text("")
    (folder / "incident.yaml").write_text(head + more)
    read = load(folder)
    assert read.expect.table == "invoices" and len(read.checks) == 5 and read.hypotheses[0].kind == "one-definition"


def test_every_command_of_the_readme_is_one_that_the_kit_has(kit):
    named = set(re.findall(r"python -m kit (\w+)", README)) - {"COMMAND"}
    known = set(re.findall(r"^ {2,4}([a-z]+)(?: |$)", kit("--help").out, re.M))
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
    file = write_incident({**duplicate, "service/legacy.py": "\n" * 4 + "raise OSError('x')\n"})
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
    block = re.search(r"`reproduce` says of the bundled incident:\n\n((?:    .*\n)+)", README)[1]
    for line in block.splitlines():
        assert line.strip().split(" …")[0] in said


def test_every_exit_code_of_the_readme_is_documented_once():
    table = README.split("## Exit codes")[1].split("## What is safe")[0]
    assert re.findall(r"^\| (\d) \|", table, re.M) == list("01234")


def test_requirements_are_pinned_each_with_its_reason():
    for where in ("", "notebooks", "tests"):
        for line in (PROJECT / where / "requirements.txt").read_text().splitlines():
            if line and not line.startswith(("#", "-r ")):
                assert re.fullmatch(r"[A-Za-z0-9_.\[\]-]+==\S+ +# \S.*", line), line


def test_the_package_needs_what_is_pinned_and_nothing_else():
    """The ranges of pyproject.toml hold the pins; what only the bundled application, Lab and the tests need is apart."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(one) for one in project["dependencies"] + project["optional-dependencies"]["bundled"]]
    pins = re.findall(r"^([\w.-]+)(?:\[\w+\])?==(\S+)", (PROJECT / "requirements.txt").read_text(), re.M)
    assert {canonicalize_name(one.name): True for one in asked} == {canonicalize_name(name): True for name, _ in pins}
    versions = {canonicalize_name(name): version for name, version in pins}
    assert all(one.specifier.contains(versions[canonicalize_name(one.name)]) for one in asked)


def test_the_incident_files_of_the_project_are_valid():
    for file in sorted(PROJECT.glob("**/incident.yaml")):
        if ".venv" not in file.parts and ".environments" not in file.parts:
            assert load(file).title and yaml.safe_load(file.read_text())
