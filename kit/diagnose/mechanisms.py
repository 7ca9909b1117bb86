"""Why a table was registered twice: one function a mechanism, each with its evidence for or against.

Every function takes a :class:`Pair` and gives ``(holds, sentence)``; the sentence is the fact that decided,
with sites, whichever way it went. They look at what both executions have: real file, line, module name,
function, thread, who executed the module and how that ended; never at names or paths of an application.
The slugs are the field's vocabulary as the kit uses it; they are promises.
"""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from ..trace.values import Frame, Import, Registration, Trace, application_frames, executed_by_alembic

_RUNNERS = re.compile(r"^(_pytest/|pytest/|nose2?/|python3\.\d+/(unittest/|doctest\.py))")
_CELLS = re.compile(r"(^<|ipykernel_\d+/)")  # code that stands in no file
_VENDORED = re.compile(r"^(_?vendor(ed)?|third[_-]?party|extern(al)?)/|/_vendor/|(site|dist)-packages/")
_TICK = 20_000_000  # nanoseconds: Linux knows a thread's beginning to a hundredth of a second


@dataclass(frozen=True)
class Finding:
    """A mechanism, ``undecided`` or ``none``; what says so, and for each neighbour the fact that rules it out."""

    mechanism: str
    because: tuple[str, ...]
    against: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Two registrations of one table on one metadata, in order of time."""

    trace: Trace
    first: Registration
    second: Registration

    @cached_property
    def same_file(self) -> bool:
        return self.first.real is not None and self.first.real == self.second.real

    @cached_property
    def same_line(self) -> bool:
        return self.same_file and self.first.site.line == self.second.site.line

    @cached_property
    def same_name(self) -> bool:
        return self.first.frame.module == self.second.frame.module

    @cached_property
    def first_import(self) -> Import | None:
        return self._body(self.first)

    @cached_property
    def second_import(self) -> Import | None:
        return self._body(self.second)

    @cached_property
    def same_execution(self) -> bool:
        """Did one execution of one module body bring both?"""
        return self.first_import is not None and self.first_import is self.second_import

    @cached_property
    def in_function(self) -> bool:
        """Are both made inside a function's call, at one place?"""
        return self.same_line and self.same_name and _in_function(self.first) and _in_function(self.second)

    @cached_property
    def one_definition(self) -> bool:
        """Is it one file's statement that ran twice? It may have been edited in between."""
        bodies = (self.first_import, self.second_import)
        return self.same_line or self.same_file and None not in bodies and bodies[0] is not bodies[1]

    def _body(self, one: Registration) -> Import | None:
        """The execution of the module that holds the site, not of one that merely called into it."""
        found = self.trace.import_of(one.within)
        while found is not None and found.module != (one.frame.module or "?"):
            found = self.trace.import_of(found.within)
        if found is None:  # called later: the newest execution of that module before it
            past = {one.process: one.at, **self.trace.forked_from(one.process)}
            runs = [i for i in self.trace.imports if i.module == one.frame.module and i.began < past.get(i.process, 0)]
            found = runs[-1] if runs else None
        return found


Answer = tuple[bool, str]


def reflected_before_declared(pair: Pair) -> Answer:
    if pair.first.outcome == "reflected":
        return True, f"the table was first read from the database, by reflection at {pair.first.frame}"
    return False, f"the first definition, at {pair.first.site}, is written out and not reflected"


def model_declared_in_migration_script(pair: Pair) -> Answer:
    for one, body in ((pair.first, pair.first_import), (pair.second, pair.second_import)):
        if body is not None and executed_by_alembic(body):
            return True, f"{one.site} is executed by Alembic itself, as {body.module}"
    return False, "neither definition stands in a file that Alembic executes as env.py or as a revision"


def half_defined_class(pair: Pair) -> Answer:
    first = pair.first
    if first.class_ is None:
        return False, f"the first definition, at {first.site}, is no mapped class"
    if first.made_mapper:
        return False, f"the class at {first.site} got its mapper"
    if first.later:
        return False, f"the class at {first.site} is to be mapped later, on purpose"
    others = [r for r in pair.trace.registrations if r.class_ and r is not first and r.outcome != "rejected"]
    if others and not any(r.made_mapper for r in others):  # this SQLAlchemy does not show them
        return False, "whether the first class got its mapper is out of sight with this SQLAlchemy"
    return True, f"the class at {first.site} left its table behind and never got a mapper: its mapping failed"


def main_module_imported_again(pair: Pair) -> Answer:
    if not pair.same_file:
        return False, _two_files(pair)
    for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
        body = pair.first_import if one is pair.first else pair.second_import
        is_main = one.frame.module in ("__main__", "__mp_main__") and other.frame.module != one.frame.module
        if is_main and body is not None and _is_program(body):
            return True, (
                f"{one.site.file} runs as {one.frame.module}, the program itself, and is imported as {other.frame.module}"
            )
    return False, f"the names that the file ran under are {_names(pair)}: none is the program's own"


def half_import_retried(pair: Pair) -> Answer:
    if not pair.same_file:
        return False, _two_files(pair)
    first, second = pair.first_import, pair.second_import
    if first is None or first is second:
        return False, "one execution of the module brought both"
    if first.error is None or first.ended is None or first.ended > pair.second.at:
        return False, f"the first execution of {first.module} did not fail"
    where = next((str(f) for f in reversed(first.error.frames) if f.application), first.file)
    return (
        True,
        f"the first import of {first.module} failed after it had registered its tables: {first.error} at {where}",
    )


def race_in_lazy_definition(pair: Pair) -> Answer:
    if not pair.in_function:
        return False, _no_function(pair)
    one, two = pair.first.thread or "the main thread", pair.second.thread or "the main thread"
    function = f"{pair.first.frame.function}()"
    if one != two and pair.second.inside:
        return True, f"two threads, {one} and {two}, were in {function} at {pair.first.site} at one time"
    if one != two and pair.second.since is not None and pair.second.since + _TICK < pair.first.at:
        return (
            True,
            f"two threads, {one} and {two}, were on their way through {function}, at {pair.first.site}, at one time",
        )
    if one != two:
        return False, f"two threads, {one} and {two}, called {function}; nothing shows that the calls overlapped"
    return False, f"both calls of {pair.first.frame.function}() were made in one thread, {one}"


def defined_inside_function_called_twice(pair: Pair) -> Answer:
    if not pair.in_function:
        return False, _no_function(pair)
    if pair.first_import is not pair.second_import:
        return False, f"the module {pair.first.frame.module} itself was executed twice"
    return True, f"the definition at {pair.first.site} stands in {pair.first.frame.function}(), which was called twice"


def runner_root_second_name(pair: Pair) -> Answer:
    if not pair.same_file or pair.same_name:
        return False, f"the file ran under {_names(pair)}"
    for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
        position = max((n for n, f in enumerate(one.chain) if _RUNNERS.match(f.file)), default=None)
        if position is None:
            continue
        named = next((f for f in one.chain[position + 1 :] if f.application), None)
        if _root(one.real, one.frame.module) in _runner_roots(pair.trace) - {_root(other.real, other.frame.module)}:
            root = _root(one.real, one.frame.module) or "."
            said = f"the test runner put the folder {root} on sys.path, so {one.site.file} became {one.frame.module}"
            return True, f"{said} beside {other.frame.module}"
        if named is not None and _top(named.module) == _top(one.frame.module) != _top(other.frame.module):
            return True, (
                f"the test runner named {named.file} {named.module}, by the folder that it put on sys.path; "
                f"so {one.site.file} became {one.frame.module} beside {other.frame.module}"
            )
    return False, "no test runner gave the file its second name"


def file_loaded_again_by_path(pair: Pair) -> Answer:
    if not pair.same_file:
        return False, _two_files(pair)
    if pair.same_execution:
        return False, "one execution of the file brought both"
    first, second = pair.first_import, pair.second_import
    if None in (first, second) or executed_by_alembic(first) or executed_by_alembic(second):
        return False, "the file was not loaded by its path"
    if first.how == second.how == "exec":
        return False, "both executions are of the same kind, a script's"
    for body in (second, first):
        loaded = _loaded_by_path(pair.trace, body)
        if loaded is not None:
            by = loaded.by or "the step"
            return (
                True,
                f"{by} loads {loaded.file} by its path, as {loaded.module}, beside the import as {_other(pair, body)}",
            )
    return False, "the import system came for both executions; nobody loaded the file by its path"


def script_or_cell_run_again(pair: Pair) -> Answer:
    cells = [
        _CELLS.search(one.frame.file) or one.frame.function.startswith("<cell") for one in (pair.first, pair.second)
    ]
    if all(cells):
        return True, f"both definitions were made in cells of one session: {pair.first.site} and {pair.second.site}"
    first, second = pair.first_import, pair.second_import
    if pair.same_file and not pair.same_execution and None not in (first, second) and first.how == second.how == "exec":
        return True, f"{second.by or 'the step'} executes the script {second.file} again in the same process"
    return False, "no script or cell was executed twice"


def importlib_reload(pair: Pair) -> Answer:
    if not pair.same_file or not pair.same_name or pair.same_execution:
        return False, f"the file ran under {_names(pair)}" if pair.same_file else _two_files(pair)
    second = pair.second_import
    if second is None or second.how == "exec":
        return False, "the import system did not come for the second execution"
    if second.how == "reload" or second.again and second.how == "import":
        return True, f"{second.by or 'the step'} reloads {second.module}, into the namespace that it had"
    if second.how == "loader":
        return False, "the second execution was asked of a loader"
    if pair.first_import is not None and pair.first_import.error is None:
        return True, f"{second.module} was taken out of sys.modules and imported again by {second.by or 'the step'}"
    return False, f"the first execution of {second.module} failed"


def alias_two_module_names(pair: Pair) -> Answer:
    if not pair.same_file:
        return False, _two_files(pair)
    if pair.same_name:
        return False, f"the file ran under one module name, {pair.first.frame.module}"
    return True, (
        f"one file, {pair.second.real}, is imported under two module names: {pair.first.frame.module} "
        f"by {_importer(pair.first_import)}, and {pair.second.frame.module} by {_importer(pair.second_import)}"
    )


def module_and_package_side_by_side(pair: Pair) -> Answer:
    for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
        stem = (one.real or "").removesuffix(".py")
        if (one.real or "").endswith(".py") and (other.real or "").startswith(stem + "/"):
            return True, f"{one.real} and the package {stem}/ stand side by side, and both define the table"
    return False, "the two files are not a module and a package of one name"


def fork_of_library_models_on_its_base(pair: Pair) -> Answer:
    outside = [one for one in (pair.first, pair.second) if _is_library(one.frame)]
    if len(outside) == 1 and pair.first.metadata.site is not None and _is_library(pair.first.metadata.site):
        return True, (
            f"{outside[0].site} belongs to a library, whose metadata (made at {pair.first.metadata.label}) "
            "the application's own definition uses too"
        )
    if len(outside) == 1:
        return False, "the metadata is not the library's"
    return False, "both definitions are the application's own" if not outside else "both definitions are a library's"


def association_table_and_class(pair: Pair) -> Answer:
    mapped = [one.class_ is not None or one.in_class == "__table__" for one in (pair.first, pair.second)]
    kinds = [is_class or one.made_mapper for is_class, one in zip(mapped, (pair.first, pair.second), strict=True)]
    if kinds[0] != kinds[1]:
        table, class_ = (pair.first, pair.second) if kinds[1] else (pair.second, pair.first)
        return True, f"{table.site} is a Table(), and {class_.site} maps the class {class_.site.name} to the same table"
    return False, "both are classes" if kinds[0] else "both are Table() calls"


def computed_table_name_collision(pair: Pair) -> Answer:
    said = [_said_name(pair.trace, one) for one in (pair.first, pair.second)]
    if pair.same_execution and pair.same_line and said[0] not in (None, pair.first.table):
        return True, f"one statement, {pair.first.site}, computes the table's name, by {said[0]}, and came to it twice"
    for one, name in zip((pair.first, pair.second), said, strict=True):
        if one.class_ is not None and name is None:
            return True, f"the class {one.class_} at {one.site} does not say its table's name: it is computed"
    if said[0] != said[1]:
        return True, f"the table's name is computed, by {said[0]} and by {said[1]}"
    return False, "each definition writes out the table's name"


def second_class_same_file(pair: Pair) -> Answer:
    if pair.same_file and not pair.same_line:
        return True, f"one file defines the table twice, at {pair.first.site} and at {pair.second.site}"
    return False, _two_files(pair) if not pair.same_file else f"it is one definition, at {pair.first.site}"


def second_class_other_file(pair: Pair) -> Answer:
    if pair.same_file:
        return False, f"both registrations come from one file, {pair.first.real}"
    missing = [one for one in (pair.first, pair.second) if one.frame.application and _is_bytecode(pair.trace, one)]
    stale = f"; {missing[0].site.file} is not there as source: stale bytecode" if missing else ""
    return True, f"two files define the table, {pair.first.site} and {pair.second.site}{stale}"


# In order of precedence: what asks for more special evidence comes first.
BY_DEFINITION: tuple[tuple[str, Callable[[Pair], Answer]], ...] = (
    ("reflected-before-declared", reflected_before_declared),
    ("model-declared-in-migration-script", model_declared_in_migration_script),
    ("half-defined-class", half_defined_class),
    ("script-or-cell-run-again", script_or_cell_run_again),
)
ONE_DEFINITION = (
    ("race-in-lazy-definition", race_in_lazy_definition),
    ("defined-inside-function-called-twice", defined_inside_function_called_twice),
    ("main-module-imported-again", main_module_imported_again),
    ("half-import-retried", half_import_retried),
    ("test-runner-root-second-name", runner_root_second_name),
    ("file-loaded-again-by-path", file_loaded_again_by_path),
    ("importlib-reload", importlib_reload),
    ("alias-two-module-names", alias_two_module_names),
    ("computed-table-name-collision", computed_table_name_collision),
)
TWO_DEFINITIONS = (
    ("module-and-package-side-by-side", module_and_package_side_by_side),
    ("fork-of-library-models-on-its-base", fork_of_library_models_on_its_base),
    ("association-table-and-class", association_table_and_class),
    ("computed-table-name-collision", computed_table_name_collision),
    ("second-class-same-table-same-file", second_class_same_file),
    ("second-class-same-table-other-file", second_class_other_file),
)


def judge(pair: Pair) -> Finding:
    """The mechanism by which the second registration came; ``undecided`` if no mechanism fits."""
    family = ONE_DEFINITION if pair.one_definition else TWO_DEFINITIONS
    answers = [(slug, *ask(pair)) for slug, ask in (*BY_DEFINITION, *family)]
    holding = [(slug, sentence) for slug, holds, sentence in answers if holds]
    known = (
        f"table {pair.second.table} on the metadata made at {pair.second.metadata.label}: first {pair.first.site} "
        f"by {_way(pair.first)}, second {pair.second.site} by {_way(pair.second)}"
    )
    against = {slug: sentence for slug, holds, sentence in answers if not holds}
    others = TWO_DEFINITIONS if family is ONE_DEFINITION else ONE_DEFINITION
    against |= {slug: sentence for slug, ask in others for holds, sentence in [ask(pair)] if not holds}
    if not holding:
        return Finding("undecided", (known, "no mechanism that the kit knows fits"), against)
    slug, sentence = holding[0]
    against |= {other: f"{slug} says more: {sentence}" for other, _ in holding[1:]}
    return Finding(slug, (known, sentence), dict(sorted(against.items())))


# ------------------------------------------------------------------------------------ facts


def _in_function(one: Registration) -> bool:
    """Is it made inside a function's call? Module level, a comprehension there and a class's body are not."""
    if one.class_ is not None and "<locals>" in one.class_:
        return True
    outer = (one.class_ or "").split(".")[-2:-1]
    return one.frame.function[:1] != "<" and one.frame.function not in outer and not one.in_class


def _root(file: str | None, module: str | None) -> str:
    """The folder on the path by which a file has its module name."""
    stem = (file or "").removesuffix(".py").removesuffix("/__init__")
    return stem.removesuffix((module or "").replace(".", "/")).rstrip("/")


def _runner_roots(trace: Trace) -> set[str]:
    """The folders by which a test runner named the files that it imported itself."""
    own = [one for one in trace.imports if one.application and one.chain and _RUNNERS.match(_last(one.chain).file)]
    return {_root(one.real, one.module) for one in own}


def _last(chain) -> Frame:
    return next((frame for frame in reversed(chain) if "/importlib/" not in frame.file), chain[-1])


def _is_program(body: Import) -> bool:
    """Was this body executed as the program itself, by Python or by ``runpy`` for a launcher?"""
    own = [n for n, frame in enumerate(body.chain) if frame.application]
    return not own or any("runpy" in f.file and f.function == "run_module" for f in body.chain[own[-1] :])


def _loaded_by_path(trace: Trace, body: Import) -> Import | None:
    """The execution that a loader, or ``exec`` of the file's code, was asked for: this one, or that of its package."""
    current = body
    while current is not None:
        foreign = any(f.application for f in current.chain) or current.how == "loader"
        if (
            current.how in ("loader", "exec")
            and foreign
            and _top(current.module) == _top(body.module)
            and not executed_by_alembic(current)
        ):
            return current
        current = trace.import_of(current.within)
    return None


def _other(pair: Pair, body: Import) -> str | None:
    return pair.first.frame.module if body is pair.second_import else pair.second.frame.module


def _top(module: str | None) -> str:
    return (module or "").split(".")[0]


def _is_library(frame: Frame) -> bool:
    return not frame.application or bool(_VENDORED.search(frame.file))


def _is_bytecode(trace: Trace, one: Registration) -> bool:
    bodies = [i for i in trace.imports if i.module == one.frame.module and i.file and i.file.endswith(".pyc")]
    return bool(bodies) or one.site.file not in trace.sources


def _said_name(trace: Trace, one: Registration) -> str | None:
    """How the class statement says its table's name: the name, an expression's text, or None where it does not.

    By its source where that is at hand. A name that stands literally anywhere in the statement, as in a decorator, counts.
    """
    source = trace.sources.get(one.site.file) or trace.sources.get(one.frame.file)
    try:
        tree = ast.parse(source) if source is not None else None
    except (SyntaxError, ValueError, RecursionError):
        tree = None
    for node in ast.walk(tree) if tree is not None else ():
        if one.class_ is None and isinstance(node, ast.Call) and node.lineno == one.site.line and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            if called == "Table":
                return one.table if isinstance(node.args[0], ast.Constant) else ast.unparse(node.args[0])
        if isinstance(node, ast.ClassDef) and node.lineno == one.site.line:
            names = {one.table, one.table.split(".")[-1]}
            if any(isinstance(part, ast.Constant) and part.value in names for part in ast.walk(node)):
                return one.table
            return next((said for part in node.body if (said := _binding(part)) is not None), None)
    return one.table if one.named or one.class_ is None else None


def _binding(statement: ast.stmt) -> str | None:
    """The text of what a statement binds ``__tablename__`` or ``__table__`` to, if it does; not of a function."""
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    value = getattr(statement, "value", None)
    return ast.unparse(value) if value is not None and names & {"__tablename__", "__table__"} else None


def _two_files(pair: Pair) -> str:
    return f"the definitions stand in two files, {pair.first.site.file} and {pair.second.site.file}"


def _names(pair: Pair) -> str:
    if pair.same_name:
        return f"one module name, {pair.first.frame.module}"
    return f"{pair.first.frame.module} and {pair.second.frame.module}"


def _no_function(pair: Pair) -> str:
    if not pair.same_line:
        return f"the definitions stand at two places, {pair.first.site} and {pair.second.site}"
    if not pair.same_name:
        return f"the module ran under {_names(pair)}"
    return f"the definition at {pair.first.site} stands at module level, in no function"


def _importer(body: Import | None) -> str:
    return str(body.by) if body is not None and body.by is not None else "the step"


def _way(one: Registration) -> str:
    return " → ".join(str(frame) for frame in application_frames(one.chain)[:-1]) or "the step itself"
