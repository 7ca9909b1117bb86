"""What an answer of a tool is worth: does it find the failure, both lines, the cause.

Every rule here leans towards the other tools. A line counts wherever it stands in their output, and where one line is
executed twice it needs to be there once; a cause counts if any sentence of theirs comes near it. The kit has to give
the two lines and the slug as its answer: its output holds every line of the startup, so presence would prove nothing.
"""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# What a person would accept as a name of the cause, searched in the output of the tools other than the kit, in any
# case. That a table "is already defined" is no cause: most of the mechanisms say it.
CAUSES = {
    "alias-two-module-names": r"two (module )?names|different (module )?names?|imported (twice|under)|same file|second name",
    "ambiguous-class-name-in-registry": r"multiple classes found|ambiguous|same class name|two classes",
    "association-table-and-class": r"association (table|object)|(table|class) and (a )?(class|table)|defined (twice )?in two",
    "computed-table-name-collision": r"(computed|generated|derived) (table )?name|same table name|name collision|declared_attr",
    "defined-inside-function-called-twice": r"called (twice|again|a second time)|inside (of )?a function|defined twice",
    "extend-existing-merged-two-models": r"merged|two (models|classes)|mapped (twice|by two)|multiple (models|classes)",
    "file-loaded-again-by-path": r"loaded (again|twice|by path|from a path)|executed (again|twice)|imported twice|same file",
    "fork-of-library-models-on-its-base": r"library|fork|third.party|defined (twice )?in two|two (models|classes)",
    "half-defined-class": r"(mapping|mapper) failed|could not assemble|left behind|half.defined",
    # Behind a half import may stand a cycle; who reports that cycle has named what to mend.
    "half-import-retried": r"circular|cycl|partially initiali[sz]ed|import (had )?failed|imported (again|twice)|retried",
    "importlib-reload": r"reloaded|executed (again|twice)|imported (again|twice)|second module object",
    "main-module-imported-again": r"__(mp_)?main__|main module|script (is )?imported|imported (again|twice)|two names",
    "metadata-is-reserved": r"reserved",
    "model-declared-in-migration-script": r"(declared|defined) in (a |the )?(migration|revision|env\.py)|model in a (migration|revision)",
    "model-module-not-imported-by-env": r"missing an import|not imported|never imported|without import",
    "module-and-package-side-by-side": r"side by side|shadow|module and (a )?package|package and (a )?module",
    "race-in-lazy-definition": r"race|thread|concurren",
    "reflected-before-declared": r"reflect",
    "script-or-cell-run-again": r"(run|executed) (again|twice|a second time)",
    "second-class-same-table-other-file": r"(defined|declared) (twice )?in two|two (classes|models|definitions)|duplicate (class|model|definition)",
    "second-class-same-table-same-file": r"(defined|declared) twice|two (classes|models|definitions)|duplicate (class|model|definition)",
    "table-on-metadata-alembic-does-not-migrate": r"(other|another|second|two|several|multiple) (base|metadata)|not in target_metadata",
    "several-heads": r"multiple heads?|single_head|more than one head|\(head\)[\s\S]*\(head\)",
    "unknown-revision": r"can't locate revision|no such revision",
    "migration-fails-on-data": r"NOT NULL constraint|null value|existing rows",
    "created-by-two-revisions": r"already exists",
    "created-outside-migrations": r"already exists",
    "startup-race": r"race|concurren|at the same time",
    "no-join-condition": r"join condition|foreign key relationships",
    "name-on-another-metadata": r"(other|another|second|two) (base|metadata)",
    "circular-import": r"circular|cycl|partially initiali[sz]ed",
    "import-failure-swallowed": r"swallowed|import (had )?failed|unresolved|not found|No module named",
    "module-not-on-path": r"not on the path|sys\.path|PYTHONPATH|No module named",
    "library-shadowed": r"shadow|is not a package|No module named 'alembic",
    "class-not-imported": r"not imported|never imported|failed to locate",
    "name-taken-in-registry": r"already registered|(registered|taken) (twice|again)|duplicate",
    "route-shadowed": r"shadow|never reached|unreachable",
    "loggers-disabled": r"disable_existing_loggers|loggers? (is|are|was|were) disabled",
    "api-removed-in-installed-version": r"has no attribute|removed|cannot import name",
    "setting-missing": r"KeyError|not set|missing",
    "unknown-url-scheme": r"can't load plugin|unknown (scheme|dialect)",
    "driver-not-installed": r"No module named|not installed",
    "async-driver-in-sync-code": r"greenlet|asynchronous|async driver",
    "test-runner-root-second-name": r"rootdir|import mode|second name|two (module )?names|different (module )?names?|imported twice",
}
# `path/to/file.py:7`, `File "path/to/file.py", line 7`
_SITE = re.compile(r"""([\w./\-]+\.py):(\d+)|File "([^"]+)", line (\d+)""")


@dataclass(frozen=True)
class Said:
    """What a tool said of one application.

    :ivar accuses: it ended with an error or a violation
    :ivar text: its whole output; machine paths are replaced when it is stored
    :ivar modules: for tools that see imports only, the modules that its violation names
    :ivar answer: for the kit, its report
    """

    accuses: bool
    text: str
    modules: frozenset[str] | None = None
    answer: dict[str, Any] | None = None


@dataclass(frozen=True)
class Verdict:
    """The three answers about a broken application; ``accused`` alone about a healthy one. None: not asked."""

    finds: bool | None = None
    sites: bool | None = None
    cause: bool | None = None
    accused: bool | None = None
    lines: tuple[str, ...] = ()  # which of the expected lines its output holds

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def judge(said: Said, expected: dict[str, Any], error: str | None, root: Path) -> Verdict:
    """Compare what a tool said with ``expected.yaml``.

    :param error: the text by which the incident file knows the failure
    :param root: the copy of the application in which the tool ran
    """
    if expected["mechanism"] == "none":
        return Verdict(accused=said.accuses)
    wanted = expected.get("sites") or [expected[key] for key in ("first", "second") if key in expected]
    if said.answer is not None:
        return _of_the_kit(said.answer, expected, wanted)
    if said.modules is not None:
        finds = said.accuses and all(_is_named(site, said.modules) for site in wanted)
    else:
        finds = said.accuses and any(word and word in said.text for word in (expected.get("table"), error))
        if said.accuses and "sites" in expected:  # of another kind than a table: its cause is as good as its error
            finds = finds or re.search(CAUSES.get(expected["mechanism"], "(?!)"), said.text, re.I) is not None
    there = sites_in(said.text, root)
    lines = tuple(site for site in dict.fromkeys(wanted) if site in there)
    words = CAUSES.get(expected["mechanism"])
    cause = finds and words is not None and re.search(words, said.text, re.IGNORECASE) is not None
    return Verdict(finds, finds and set(lines) == set(wanted), cause, lines=lines)


def _of_the_kit(report: dict[str, Any], expected: dict[str, Any], wanted: list[str]) -> Verdict:
    """Its own answer, exactly; "undecided" names no cause, also where it is the right verdict."""
    mechanism = report["mechanism"]
    given = [f"{one['file']}:{one['line']}" for one in report["sites"]]
    finds = report["reproduced"] and mechanism != "none"
    cause = finds and mechanism == expected["mechanism"] != "undecided"
    lines = tuple(site for site in dict.fromkeys(wanted) if site in given)
    return Verdict(finds, finds and given == wanted, cause, lines=lines)


def sites_in(text: str, root: Path) -> set[str]:
    """Every ``file:line`` of the application in a text, by real paths, relative to its root."""
    found = set()
    for one in _SITE.finditer(text):
        path, line = (one[1], one[2]) if one[1] else (one[3], one[4])
        real = (root / path).resolve()
        if real.is_relative_to(root.resolve()):
            found.add(f"{real.relative_to(root.resolve())}:{line}")
    return found


def _is_named(site: str, modules: frozenset[str]) -> bool:
    """Does a module, or the subpackage that it lies in, stand for the file of ``site``?"""
    parts = site.rsplit(":", 1)[0].removesuffix(".py").removesuffix("/__init__").split("/")
    # The file may be reached below a folder of the path (`src/`, `backend/`): any tail of its path is its name.
    names = {".".join(parts[start:stop]) for start in range(len(parts)) for stop in range(start + 1, len(parts) + 1)}
    return any(module in names and ("." in module or module == parts[-1]) for module in modules)
