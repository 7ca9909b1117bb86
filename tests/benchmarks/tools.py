"""Other tools and this kit on the miniature applications, each asked: which two lines, and why?

``.venv/bin/python tests/benchmarks/tools.py [--missing | APPLICATION ...]``

Without names: all applications of SQLAlchemy 2.0, and ``tools.md`` and ``tools.json`` are written beside this file.
``--missing``: likewise, but of the other tools what ``tools.json`` has an answer of is not asked again.
With names: the same for these only, printed and not written. What counts stands in ``README.md``.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests"), str(HERE)]

from environments import COMMON, KEPT, LIBRARIES, SQLALCHEMY, environment, interpreters  # noqa: E402
from judging import Said, Verdict, judge  # noqa: E402
from miniatures import APPLICATIONS, python, trace_file  # noqa: E402

from kit.incident.load import load  # noqa: E402

LINE = "2.0"
PINNED = {"pytest-alembic": "pytest-alembic==0.13.1", "import-linter": "import-linter==2.16", "pydeps": "pydeps==3.0.9"}
KEPT_CHARACTERS = 4000  # of each output, its end: there the tools say what they found
# With pytest 9.2 this pytest-alembic ends with an internal error while it collects its own tests.
INSTEAD = {"pytest-alembic": {"pytest": "pytest==8.4.2"}}
SECONDS = 120  # for each run of another tool
SECONDS_KIT = 60  # it starts nothing

CONFTEST = '''
import os

import pytest
from sqlalchemy import MetaData, create_engine


@pytest.fixture
def alembic_config():
    return {"file": "alembic.ini"}


@pytest.fixture
def alembic_engine():
    """The scratch database that env.py opens, empty before each test."""
    engine = create_engine(os.environ["DATABASE_URL"])
    there = MetaData()
    there.reflect(engine)
    there.drop_all(engine)
    yield engine
    engine.dispose()
'''
# The experimental test that pytest-alembic has for models that env.py does not import. It looks for the metadata in
# the namespace of the package; the applications keep it in a module, so it is handed over.
ALL_MODELS = """
import importlib

from pytest_alembic.tests.experimental import test_all_models_register_on_metadata as check


def test_all_models_register_on_metadata(alembic_runner):
    package = importlib.import_module({package!r})
    package.metadata = importlib.import_module({base!r}).Base.metadata
    check(alembic_runner, {package!r})
"""


@dataclass(frozen=True)
class Case:
    """One application in a copy of its own, prepared, as its incident file starts it."""

    name: str
    root: Path
    paths: tuple[Path, ...]
    variables: dict[str, str]
    asks_migrations: bool

    def run(self, python: str, *words: str) -> tuple[int, str]:
        """The exit code and all that is said by a program of one environment, or by ``python``."""
        folder = Path(python).parent
        program = [str(folder / words[0]), *words[1:]]
        environment = {**self.variables, "PATH": f"{folder}:{os.defpath}"}
        return _run(program, self.root, environment, SECONDS)


def _run(program: list[str], folder: Path, variables: dict[str, str], seconds: int) -> tuple[int, str]:
    try:
        done = subprocess.run(
            program,
            cwd=folder,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return -1, f"no answer within {seconds} s"
    return done.returncode, done.stdout


@cache
def tool_environment(tool: str) -> str:
    """The interpreter of an environment in which the applications run and one more tool is installed."""
    instead = INSTEAD.get(tool, {})
    common = [instead.get(one.split("==")[0], one) for one in COMMON]
    return environment(interpreters()[sys.version_info[:2]], SQLALCHEMY[LINE], *LIBRARIES[LINE], *common, PINNED[tool])


def ask_pytest_alembic(case: Case) -> Said | None:
    """Its built-in tests, and the experimental one that is about models."""
    if not case.asks_migrations:
        return None
    tests = case.root / "migration_tests"
    tests.mkdir()
    (tests / "conftest.py").write_text(CONFTEST)
    scripts = re.search(r"^script_location *= *(\S+)", (case.root / "alembic.ini").read_text(), re.M)[1]
    base = re.search(r"from (\S+) import .*\bBase\b", (case.root / scripts / "env.py").read_text())[1]
    (tests / "test_models.py").write_text(ALL_MODELS.format(package=base.split(".")[0], base=base))
    where = [
        "--rootdir=.",
        "-o",
        "pytest_alembic_exclude=up_down_consistency",
        "-o",
        "pytest_alembic_tests_path=migration_tests/conftest.py",
    ]
    quiet = ["-q", "-p", "no:cacheprovider", "-W", "ignore"]
    code, text = case.run(
        tool_environment("pytest-alembic"), "python", "-m", "pytest", "--test-alembic", *quiet, *where, tests.name
    )
    return Said(code != 0, text)


def ask_alembic_check(case: Case) -> Said | None:
    """``alembic upgrade head`` on an empty database, then ``alembic check``."""
    if not case.asks_migrations:
        return None
    code, text = case.run(python(LINE), "alembic", "upgrade", "head")
    if code == 0:
        code, checked = case.run(python(LINE), "alembic", "check")
        text += checked
    return Said(code != 0, text)


def ask_alembic_heads(case: Case) -> Said | None:
    """Several heads are its one complaint; it has no exit code for them."""
    if not case.asks_migrations:
        return None
    code, text = case.run(python(LINE), "alembic", "heads")
    return Said(code != 0 or text.count("(head)") > 1, text)


def ask_import_linter(case: Case) -> Said:
    """The one contract that needs no architecture to be known: no import cycles, type checkers' imports aside."""
    roots = "".join(f"\n    {name}" for name in import_roots(case))
    (case.root / ".importlinter").write_text(
        f"[importlinter]\nroot_packages ={roots}\nexclude_type_checking_imports = True\n\n"
        f"[importlinter:contract:acyclic]\nname = No import cycles\ntype = acyclic_siblings\nancestors ={roots}\n"
    )
    code, text = case.run(tool_environment("import-linter"), "lint-imports", "--no-cache", "--no-logo")
    named, ancestor = set(), ""
    for line in text.splitlines():
        if told := re.match(r"No cycles are allowed in (\S+?)\.?$", line):
            ancestor = told[1]
        elif told := re.match(r"- \.(\S+) -> \.(\S+) ", line):
            named |= {f"{ancestor}.{name}" for name in told.groups()}
    return Said(code != 0, text, frozenset(named))


def ask_pydeps(case: Case) -> Said:
    """The import cycles of every package, as a graph and with the files that the modules are in."""
    texts, named = [], set()
    what = ["--no-output", "--show-cycles", "--show-dot", "--show-deps"]
    for name, folder in import_roots(case).items():
        # Without the exclusion it reads all of SQLAlchemy, for the same answer.
        shared = [str(folder), "--no-config", "--max-bacon", "0", "--only", name, "-x", "sqlalchemy*"]
        _, cycles = case.run(tool_environment("pydeps"), "pydeps", *shared, *what)
        labels = dict(re.findall(r'(\w+) \[.*label="([^"]+)"', cycles))
        arrows = re.findall(r"^ *(\w+) -> (\w+)", cycles, re.MULTILINE)
        # A label is broken into lines with `\n` where it is long.
        named |= {labels.get(end, end).replace("\\.\\n", ".").replace("\\n", "") for arrow in arrows for end in arrow}
        texts += [f"pydeps {name} --show-cycles", cycles]
    # It has no exit code for them: a cycle that is shown is the violation.
    return Said(bool(named), "\n".join(texts), frozenset(named))


def ask_kit(case: Case) -> Said:
    """``python -m kit diagnose --from-trace``, of the trace that ``make traces`` kept of this application: nothing is started."""
    with tempfile.TemporaryDirectory() as place:
        answer = Path(place) / "answer.json"
        asked = ["diagnose", str(APPLICATIONS / case.name), "--from-trace", str(trace_file(case.name, LINE))]
        _, text = _run(
            [sys.executable, "-m", "kit", *asked, "--json", "-o", str(answer)], PROJECT, dict(os.environ), SECONDS_KIT
        )
        if answer.exists():
            report = json.loads(answer.read_text())
            text = ""
        else:  # it broke: that finds nothing, and its words are kept
            report = {"mechanism": "none", "reproduced": False, "sites": [], "because": []}
    report = {key: report[key] for key in ("mechanism", "reproduced", "sites", "because")}
    return Said(report["mechanism"] != "none", text or json.dumps(report, indent=1), answer=report)


TOOLS: dict[str, Callable[[Case], Said | None]] = {
    "pytest-alembic": ask_pytest_alembic,
    "alembic check": ask_alembic_check,
    "alembic heads": ask_alembic_heads,
    "import-linter": ask_import_linter,
    "pydeps": ask_pydeps,
    "this kit": ask_kit,
}


def import_roots(case: Case) -> dict[str, Path]:
    """Every package that the application's path leads to, namespace packages included: name to folder."""
    found = {}
    for entry in case.paths:
        for folder in sorted(path for path in entry.iterdir() if path.is_dir() and path.name.isidentifier()):
            files = [path.relative_to(folder).parent.parts for path in folder.rglob("*.py")]
            if folder.name != "migrations" and any(all(map(str.isidentifier, parts)) for parts in files):
                found.setdefault(folder.name, folder)
    return found


def ask(name: str, tool: str) -> tuple[Said, Verdict] | None:
    """Run one tool on one application; None where it does not apply."""
    folder = APPLICATIONS / name
    incident = load(folder)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as place:
        place = Path(place).resolve()
        root = place / "app"
        shutil.copytree(folder / incident.app.root, root, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        paths = tuple((root / entry).resolve() for entry in incident.app.path)
        url = f"sqlite:///{place / 'scratch.db'}"
        variables = {
            "PATH": f"{Path(python(LINE)).parent}:{os.defpath}",
            "HOME": str(place),
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "DATABASE_URL": url,
            **{key: value.replace("{database_url}", url) for key, value in incident.app.env.items()},
        }
        case = Case(name, root, paths, variables, (root / "alembic.ini").exists())
        for step in incident.prepare:
            if step.kind == "rows":  # where these tools are run, in CI, tables have none
                continue
            module, _, function = step.text.partition(":")
            words = {
                "upgrade": ["alembic", "upgrade", step.text],
                "call": ["python", "-c", f"import {module}; {module}.{function}()"],
            }
            words = words.get(step.kind) or step.text.split()
            done = subprocess.run(words, cwd=root, env=variables, capture_output=True, timeout=SECONDS)
            assert done.returncode == 0, (name, done.stderr)
        said = TOOLS[tool](case)
        if said is None:
            return None
        expected = yaml.safe_load((folder / "expected.yaml").read_text())
        verdict = judge(said, expected, incident.expect.error, root)
        return Said(said.accuses, _scrubbed(said.text, place), said.modules, said.answer), verdict


def _scrubbed(text: str, place: Path) -> str:
    """Without paths of this machine, times and addresses: two runs store the same."""
    text = text.replace(str(place / "app") + "/", "").replace(str(place), "PLACE")
    # By the folder's name: it may be a link, and what runs in it knows where that leads.
    text = re.sub(rf"(?:/[\w.-]+)*/{re.escape(KEPT.name)}/(?:of-)?[0-9a-f]+", "ENVIRONMENT", text)
    text = text.replace(str(PROJECT), "PROJECT")
    text = re.sub(re.escape(sys.base_prefix) + r"|/\S*/\.pyenv/versions/[\d.]+", "PYTHON", text)
    text = re.sub(r"\b0x[0-9a-f]+", "0x...", text)
    text = re.sub(r"\bin \d+\.\d+s\b", "in ...s", text)
    return text[-KEPT_CHARACTERS:]


def applications(names: list[str]) -> list[str]:
    """The broken ones and then the healthy ones that run on this line of SQLAlchemy."""
    found = [path.parent.name for path in sorted(APPLICATIONS.glob("*/expected.yaml"))]
    found = [name for name in found if LINE in expected_of(name)["sqlalchemy"] and (not names or name in names)]
    if unknown := set(names) - set(found):
        raise SystemExit(f"no application of SQLAlchemy {LINE}: {', '.join(sorted(unknown))}")
    return sorted(found, key=lambda name: (is_healthy(name), name))


@cache
def expected_of(name: str) -> dict:
    return yaml.safe_load((APPLICATIONS / name / "expected.yaml").read_text())


def is_healthy(name: str) -> bool:
    return expected_of(name)["mechanism"] == "none"


def ask_all(names: list[str], known: dict) -> dict[tuple[str, str], tuple[Said, Verdict] | None]:
    """Every tool on every application, two at a time, but for the answers that are known."""
    for tool in PINNED:
        tool_environment(tool)
    python(LINE)
    todo = [(name, tool) for tool in reversed(TOOLS) for name in names if (name, tool) not in known]
    results = {key: answer for key, answer in known.items() if key[0] in names}
    with ThreadPoolExecutor(2) as pool:
        for key, result in zip(todo, pool.map(lambda one: ask(*one), todo), strict=True):
            results[key] = result
            print(f"{key[1]}: {key[0]}", file=sys.stderr, flush=True)
    return results


def markdown(names: list[str], results: dict) -> str:
    """The summary, and one row an application."""
    broken, healthy = [n for n in names if not is_healthy(n)], [n for n in names if is_healthy(n)]
    lines = [
        "| tool | applies to | finds the failure | both lines | names the cause | healthy accused |",
        "|---|---|---|---|---|---|",
    ]
    for tool in TOOLS:
        asked = [results[name, tool] for name in broken if results[name, tool]]
        calm = [results[name, tool] for name in healthy if results[name, tool]]
        cells = [f"{len(asked)} of {len(broken)} broken, {len(calm)} of {len(healthy)} healthy"]
        cells += [f"{sum(getattr(one, key) for _, one in asked)}/{len(broken)}" for key in ("finds", "sites", "cause")]
        cells += [f"{sum(one.accused for _, one in calm)}/{len(healthy)}"]
        lines.append(f"| {tool} | {' | '.join(cells)} |")
    lines += [
        "",
        "An application that a tool does not apply to counts as not found; healthy, as not accused.",
        "",
        "In each cell: finds the failure, both lines, names the cause. `n/a`: there are no migrations to ask.",
        "",
        "| application | " + " | ".join(TOOLS) + " |",
        "|---|" + "---|" * len(TOOLS),
    ]
    for name in broken:
        lines.append(f"| {name} | {' | '.join(_cell(results[name, tool]) for tool in TOOLS)} |")
    lines += ["", "Healthy applications: is one accused?", ""]
    lines += ["| application | " + " | ".join(TOOLS) + " |", "|---|" + "---|" * len(TOOLS)]
    for name in healthy:
        lines.append(f"| {name} | {' | '.join(_cell(results[name, tool]) for tool in TOOLS)} |")
    return "\n".join(lines) + "\n"


def _cell(result: tuple[Said, Verdict] | None) -> str:
    if result is None:
        return "n/a"
    _, verdict = result
    if verdict.accused is not None:
        return "**accused**" if verdict.accused else "no"
    return " ".join("yes" if answer else "–" for answer in (verdict.finds, verdict.sites, verdict.cause))


def stored(names: list[str], results: dict) -> dict:
    """For ``tools.json``: versions, and what each tool said and got for it."""

    def one(result):
        if result is None:
            return None
        said, verdict = result
        modules = sorted(said.modules) if said.modules is not None else None
        return {**verdict.as_json(), "accuses": said.accuses, "modules": modules, "output_ends": said.text}

    return {
        "versions": versions(),
        "applications": {name: {tool: one(results[name, tool]) for tool in TOOLS} for name in names},
    }


def answered() -> dict[tuple[str, str], tuple[Said, Verdict] | None]:
    """What ``tools.json`` has of the tools other than the kit."""
    known = {}
    for name, answers in json.loads((HERE / "tools.json").read_text())["applications"].items():
        for tool in TOOLS.keys() & answers.keys() - {"this kit"}:
            answer = answers[tool]
            if answer is None:
                known[name, tool] = None
                continue
            verdict = {key: answer[key] for key in ("finds", "sites", "cause", "accused")}
            modules = None if answer["modules"] is None else frozenset(answer["modules"])
            said = Said(answer["accuses"], answer["output_ends"], modules)
            known[name, tool] = said, Verdict(**verdict, lines=tuple(answer["lines"]))
    return known


def versions() -> list[str]:
    """What was installed, as far as it is pinned."""
    return ["python {}.{}".format(*sys.version_info), SQLALCHEMY[LINE], *LIBRARIES[LINE], *PINNED.values()]


def main(names: list[str]) -> None:
    """Ask, print, and after a whole run write."""
    known = answered() if names == ["--missing"] else {}
    names = [] if known else names
    chosen = applications(names)
    results = ask_all(chosen, known)
    table = markdown(chosen, results)
    print(table)
    if not names:
        title = "# Which two lines, and why?\n\nWritten by `tests/benchmarks/tools.py`; what counts stands in `README.md`.\n"
        (HERE / "tools.md").write_text(f"{title}\nVersions: {', '.join(versions())}.\n\n{table}")
        content = json.dumps(stored(chosen, results), indent=1, sort_keys=True, ensure_ascii=False)
        (HERE / "tools.json").write_text(content + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
