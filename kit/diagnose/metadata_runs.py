"""What decides whether Alembic sees a table, or what creates tables does: ``env.py`` with what it lacks, one object in place of two."""

import ast
import re
from collections.abc import Callable, Sequence

from ..incident.source import assigned_name, nodes_at
from ..startup.migrations import Migrations
from ..trace.values import Error, Frame, Registration
from .experiments import gone, object_of, with_replaced
from .values import Case, Experiment

# Of what env.py hands over and of what it lacks, each once.
_ALL = "list({{id(each): each for each in (*(lambda it: it if isinstance(it, (list, tuple)) else [it])({0}), {1})}}.values())"


def with_imports(case: Case, modules: Sequence[str], names: Sequence[str]) -> Experiment | None:
    """The startup with an ``env.py`` that imports the modules, and then what Alembic sees."""
    env = _env_file(case)
    if env is None or not all(modules):
        return None
    file, text = env
    last = max((m.end() for m in re.finditer(r"^(?:from|import) [^\n(]*(?:\([^)]*\))?[^\n]*\n", text, re.M)), default=0)
    imports = "".join(f"import {module}  # noqa\n" for module in dict.fromkeys(modules))
    says = f"{file} imports {', '.join(dict.fromkeys(modules))} as well"
    return Experiment(says, case.incident, _sees(names), {file: text[:last] + imports + text[last:]}, compares=True)


def with_metadata(case: Case, tables: Sequence[Registration]) -> Experiment | None:
    """The startup with an ``env.py`` that hands over the metadata of these tables as well, and then what Alembic sees."""
    env, objects = _env_file(case), {table.metadata.label: object_of(table) for table in tables}
    if env is None or not tables or None in objects.values():
        return None
    file, text = env
    others = ", ".join(f"{object_}.metadata" for object_ in objects.values())
    keywords = [node for node in ast.walk(case.tree(file)) if isinstance(node, ast.keyword)]
    handed = [node.value for node in keywords if node.arg == "target_metadata"]
    for value in sorted(handed, key=lambda value: value.lineno, reverse=True):
        text = with_replaced(text, value, _ALL.format(ast.unparse(value), others))
    of_tables = ", ".join(table.site.name or table.table for table in tables)
    says = f"{file} hands Alembic the metadata of {of_tables} as well"
    judge = _sees([table.table for table in tables])
    return Experiment(says, case.incident, judge, {file: text}, compares=True) if handed else None


def _env_file(case: Case) -> tuple[str, str] | None:
    """The ``env.py`` that ran, and its text."""
    imports = case.migrations.trace.imports if case.migrations is not None and case.migrations.trace else ()
    file = next((i.file for i in imports if i.application and i.module == "env_py" and i.file), None)
    text = case.sources.get(file or "")
    return (file, text) if text else None


def _sees(names: Sequence[str]) -> Callable[[Migrations | None], tuple[bool | None, str]]:
    """Judges what Alembic compares: do these tables belong to what ``env.py`` hands over?"""
    listed = ", ".join(dict.fromkeys(names))

    def judge(seen: Migrations | None) -> tuple[bool | None, str]:
        if seen is None or seen.models is None:
            problem = seen.problem if seen is not None else "Alembic was not asked"
            twice = re.search(r"Duplicate table keys across multiple MetaData objects: (.*)", problem)
            both = twice is not None and any(f'"{name}"' in twice[1] for name in names)
            return both or None, f"Alembic then sees two tables of one name: {problem}" if both else problem
        unseen = [name for name in names if name not in seen.models]
        if unseen:
            return False, f"Alembic still does not see {', '.join(dict.fromkeys(unseen))}"
        differences = zip(seen.differing, seen.differences, strict=False)
        of_names = [sentence for table, sentence in differences if table in names]
        drops = [table for table in seen.differing if table not in seen.models and table in (seen.database or {})]
        rest = [*dict.fromkeys(of_names), *([f"autogenerate still wants to drop {', '.join(drops)}"] if drops else [])]
        return True, "; ".join([f"Alembic then sees {listed}, and autogenerate does not drop it", *rest])

    return judge


def with_one_object(case: Case, ours: Frame, *others: Frame, error: Error) -> Experiment | None:
    """The startup with one ``Base``, ``SQLAlchemy`` or ``MetaData``: what makes the second of two takes the first in its place."""
    made = _made_at(case, ours)
    for other in others:
        first = _made_at(case, other) if made is not None and other[:2] != ours[:2] else None
        alike = first and ast.unparse(first.value.func) == ast.unparse(made.value.func)
        if alike and other.module and not other.module.startswith("__"):
            name = f"__import__({other.module!r}, fromlist=['x']).{assigned_name(first)}"
            edits = {ours.file: with_replaced(case.sources[ours.file], made.value, name)}
            says = f"the {assigned_name(first)} of {other} in place of the {assigned_name(made)} of {ours}"
            return Experiment(says, case.incident, gone(error.text.partition("\n")[0]), edits)
    return None


def _made_at(case: Case, frame: Frame) -> ast.Assign | None:
    """The assignment of a call that a line is part of."""
    holding = (node for node in nodes_at(case.tree(frame.file), frame.line, ast.Assign) if assigned_name(node))
    return next((node for node in holding if isinstance(node.value, ast.Call)), None)
