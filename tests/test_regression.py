"""The guard: a pytest file that fails on the broken build and passes on the fixed one, and needs nothing of the kit."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT, patch
from environments import interpreters, sqlalchemy_environment
from miniatures import APPLICATIONS, EXPECTED, incident_of, python

from kit.incident.load import load
from kit.verify.guard import guard_report, make_guard, try_guard

BROKEN = [
    (name, [fix for fix, verdict in expected["fixes"].items() if verdict == "cures"])
    for name, expected in EXPECTED.items()
    if "2.0" in expected["sqlalchemy"] and "cures" in (expected.get("fixes") or {}).values()
]
UNGUARDED = RACE = "race-in-lazy-definition"
FILLED = {"migration-fails-on-data"}  # they begin from a database with rows, which no test in a repository has


# One of each kind of step, with a cure: a call, a server; and, for make test-all, an import, a command, prepared and with migrations.
IN_PYTEST = {"extend-existing-merged-two-models": "own-table", "alias-two-module-names-alembic-in-process": "one-name"}
ALSO_IN_PYTEST = {
    "alias-two-module-names": "one-spelling",
    "main-module-imported-again": "models-apart",
    "model-module-not-imported-by-env": "aggregator",
    "test-runner-root-second-name": "package-root",
}
# What make test tries beside those: one of each kind of sign that a guard looks for.
OFTEN = {
    "extend-existing-merged-two-models",
    "loggers-disabled",
    "name-taken-in-registry",
    "route-shadowed",
    RACE,
}


def guard_of(once, name: str, cures: list[str]):
    """An application's guard, made once for all tests."""
    return once(f"guard-of-{name}", lambda: make_guard(incident_of(APPLICATIONS / name, "2.0"), fixes=cures))


@pytest.mark.parametrize(
    ("name", "cures"),
    [pytest.param(*one, id=one[0], marks=() if one[0] in OFTEN else pytest.mark.slow) for one in BROKEN],
)
def test_it_fails_on_the_broken_build_and_passes_with_each_cure(name, cures, once):
    expected = EXPECTED[name]
    guard = guard_of(once, name, cures)
    if expected["mechanism"] == UNGUARDED:
        assert guard.source is None and guard.code == 1 and "passes by luck" in guard.because
        return
    if name in FILLED:
        assert guard.source is None and guard.code == 1 and "a database that the kit fills" in guard.because
        return
    assert guard.code == 0 and guard.source, guard
    broken, *fixed = guard.tried
    assert not broken.passes and broken.output.startswith(
        "The incident is back" if broken.back else "The incident's error is gone"
    )
    fixes = load(APPLICATIONS / name).fixes
    of_the_repository = [fix for fix in cures if not fixes[fix].settings]
    assert [one.fix for one in fixed] == of_the_repository and all(one.passes for one in fixed)
    if expected["mechanism"] != "undecided":  # of which the kit itself knows no lines
        for line in filter(None, (expected.get("first"), expected.get("second"))):
            assert line in broken.output


def copied(name: str, fix: str | None, folder: Path) -> Path:
    """A repository of the application's own, with its fix, and a folder for tests."""
    shutil.copytree(APPLICATIONS / name / "app", folder, symlinks=True)
    if fix:
        patch = APPLICATIONS / name / "fixes" / f"{fix}.patch"
        subprocess.run(["git", "apply", str(patch)], cwd=folder, check=True)
    (folder / "guards").mkdir()
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("applications", [IN_PYTEST, pytest.param(ALSO_IN_PYTEST, marks=pytest.mark.slow)], ids=len)
def test_under_pytest_in_the_applications_own_repository_it_does_the_same_and_leaves_nothing(
    applications, tmp_path, once
):
    roots = {}
    for name, fix in applications.items():
        guard = guard_of(once, name, dict(BROKEN)[name])
        assert guard.code == 0 and fix in [one.fix for one in guard.tried if one.passes], guard
        for build, applied in (("broken", None), ("fixed", fix)):
            root = copied(name, applied, tmp_path / name / build)
            file = root / "guards" / f"test_{build}_{name.replace('-', '_')}.py"
            file.write_text(guard.source)
            roots[file] = root
    before = {root: files_of(root) for root in roots.values()}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python("2.0"), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), *roots],
        cwd=tmp_path,
        env={**environment, "DATABASE_URL": "postgresql://admin@db.example.com/prod"},
        capture_output=True,
        text=True,
    )
    failed = {line.split("/test_")[1].split(".py")[0] for line in done.stdout.splitlines() if line.startswith("FAILED")}
    assert failed == {f"broken_{name.replace('-', '_')}" for name in applications}, done.stdout
    assert f"{len(applications)} failed, {len(applications)} passed" in done.stdout
    if applications is IN_PYTEST:
        assert "first  dispatch/models.py:7\n" in done.stdout
        chain = "dispatch/main.py:8 -> dispatch/migrate.py:12 -> migrations/env.py:11\n"
        assert f"second dispatch/models.py:7 by {chain}" in done.stdout
    assert {root: files_of(root) for root in roots.values()} == before


OTHERS = [
    (version, line)
    for version, line in (((3, 8), "1.4"), ((3, 8), "2.0"), ((3, 12), "2.1"), ((3, 13), "2.0"))
    if version in interpreters()
]


@pytest.mark.slow
@pytest.mark.parametrize(("version", "line"), OTHERS, ids=[f"{a}.{b}-{line}" for (a, b), line in OTHERS])
def test_it_runs_on_other_interpreters_and_other_sqlalchemys(version, line):
    incident = load(APPLICATIONS / "model-declared-in-migration-script")
    app = incident.app.model_copy(update={"python": sqlalchemy_environment(version, line)})
    guard = make_guard(incident.model_copy(update={"app": app}), fixes=["light-table"])
    assert guard.code == 0 and [one.passes for one in guard.tried] == [False, True], guard


@pytest.mark.slow
def test_of_the_bundled_incident_it_passes_with_the_whole_fix_and_not_with_a_half():
    incident = load(PROJECT / "notebooks" / "incidents" / "energy_events")
    guard = make_guard(incident, fixes=["full"])
    broken, full = guard.tried
    assert not broken.passes and full.passes
    assert broken.back and "The incident is back" in broken.output
    assert "first  app/models_extra.py:259" in broken.output and "second app/models_domain.py:36 by" in broken.output
    half = try_guard(incident, guard.source, guard.name, "remove-legacy")
    assert not half.passes and not half.back and half.output.startswith("The incident's error is gone, but")
    assert "Attribute name 'metadata' is reserved" in half.output  # the next one was hidden behind it


def test_it_is_python_3_8_needs_only_the_standard_library_and_says_what_to_do(kit, write_incident, duplicate, tmp_path):
    target = tmp_path / "tests" / "incidents" / "test_guard.py"  # these folders are made
    said = kit("guard", write_incident(duplicate), "-o", target)
    assert said.code == 0 and "no fix is verified, so it has not been seen to pass" in said.out
    tree = ast.parse(target.read_text(), feature_version=(3, 8))
    imported = {one.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    imported |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported - set(sys.stdlib_module_names) <= {"sqlalchemy"}
    document = ast.get_docstring(tree)
    assert "Two files define the same table." in document and "What to do when it fails" in document
    assert "alembic" not in target.read_text().lower()


TITLE = '"""; import os; os._exit(7)\n"""\\ {{ name }} {% if %} \x1b[31m \u202e'


@pytest.fixture
def guarded(once, write_incident, duplicate):
    """An incident whose title is hostile and one of whose variables is secret, and its guard, made once for all tests."""

    def make():
        app = {"env": {"API_TOKEN": "hunter2hunter2", "LEVEL": "info"}}
        incident = load(write_incident(duplicate, title=TITLE, app=app))
        return incident, make_guard(incident)

    return once("guarded", make)


def test_no_title_ends_the_docstring_or_becomes_code(guarded):
    tree = ast.parse(guarded[1].source)
    assert "import os; os._exit(7)" in ast.get_docstring(tree) and "{{ name }}" in ast.get_docstring(tree)
    assert not [one for one in ast.walk(tree) if isinstance(one, ast.Attribute) and one.attr == "_exit"]


def test_a_value_that_looks_like_a_secret_is_not_written_into_it(guarded):
    source = guarded[1].source
    assert "hunter2" not in source and "'LEVEL': 'info'" in source and "API_TOKEN" in source


def test_an_incident_that_a_startup_does_not_show_gets_no_guard(kit, write_incident, duplicate, tmp_path):
    # It depends on something that differs between the kit's startup and any other: no test that cannot fail is written.
    duplicate["service/main.py"] = """
        import os
        from service import billing
        if "INCIDENT_ROOT" in os.environ:
            from service import legacy
    """
    file = write_incident(duplicate)
    said = kit("guard", file, "-o", tmp_path / "test_guard.py")
    assert said.code == 1 and "the guard passes on the broken build" in said.out
    assert not (tmp_path / "test_guard.py").exists()


def test_what_does_not_reproduce_is_exit_3_and_writes_nothing(kit, write_incident, duplicate, tmp_path):
    duplicate["service/main.py"] = "from service import billing"
    said = kit("guard", write_incident(duplicate), "-o", tmp_path / "test_guard.py", "--json")
    assert said.code == 3 and said.json["guarded"] is False and not (tmp_path / "test_guard.py").exists()


def test_it_says_when_it_does_not_find_the_application(guarded, tmp_path):
    incident, guard = guarded
    lost = tmp_path / "lost" / "test_guard.py"
    lost.parent.mkdir()
    lost.write_text(guard.source)
    done = subprocess.run([sys.executable, str(lost)], capture_output=True, text=True)
    assert done.returncode == 1 and "This guard did not find the application: no service/" in done.stderr
    environment = {**os.environ, "INCIDENT_GUARD_ROOT": str(incident.file.parent / "app")}
    done = subprocess.run([sys.executable, str(lost)], env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "The incident is back" in done.stderr


def test_the_report_for_programs_holds_the_source_and_what_was_tried(guarded):
    report = guard_report(*guarded)
    assert (
        report["schema"] == 1
        and report["guarded"]
        and report["tried"][0]
        == {
            "fix": None,
            "passes": False,
            "said": report["tried"][0]["said"],
        }
    )


def test_an_application_that_needs_an_asynchronous_driver_gets_the_url_with_it(write_incident, duplicate):
    duplicate["service/flags.py"] = "old = True\n"
    duplicate["service/main.py"] = """
        import os
        assert os.environ["DATABASE_URL"].startswith("sqlite+aiosqlite:///")
        from service import billing, flags
        if flags.old:
            from service import legacy
    """
    file = write_incident(duplicate, database_driver="aiosqlite", fixes={"apart": {"patches": ["apart.patch"]}})
    (file.parent / "apart.patch").write_text(patch("service/flags.py", "old = True", "old = False"))
    guard = make_guard(load(file), fixes=["apart"])
    assert guard.code == 0 and [one.passes for one in guard.tried] == [False, True], guard
    assert guard.tried[0].output.startswith("The incident is back")
    assert not any("docstring" in one.output for one in guard.tried)


@pytest.mark.parametrize("held", [True, False], ids=["git holds what decides", "git does not hold it"])
def test_a_guard_sees_the_incident_in_a_fresh_clone_or_is_not_written(held, write_incident, duplicate):
    duplicate["service/main.py"] = (
        "from pathlib import Path\nfrom service import billing\n"
        "if (Path(__file__).parent / 'legacy.on').exists():\n    from service import legacy\n"
    )
    file = write_incident({**duplicate, "service/legacy.on": "", ".gitignore": "" if held else "*.on\n"})
    root = file.parent / "app"
    for words in ("init -q", "add -A", "-c user.name=a -c user.email=a@example.com commit -qm first"):
        subprocess.run(["git", *words.split()], cwd=root, check=True, capture_output=True)
    guard = make_guard(load(file))
    assert (guard.source is not None) is held and guard.code == (0 if held else 1)
    assert held or "in a fresh clone the guard passes" in guard.because and "service/legacy.on" in guard.because
