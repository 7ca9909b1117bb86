"""Why a table was registered twice: one function a mechanism, each with its evidence for or against.

Every function takes a :class:`Pair` and gives ``(holds, sentence)``; the sentence is the fact that decided,
with sites, whichever way it went. They look at what both executions have: real file, line, module name,
function, thread, who executed the module and how that ended; never at names or paths of an application.
The slugs are the field's vocabulary as the kit uses it; they are promises.
"""

import re
from collections.abc import Callable

from ..trace.chains import executed_by_alembic
from .two_registrations import (
    CELLS,
    RUNNERS,
    Finding,
    Pair,
    importer_of,
    is_bytecode,
    is_library,
    is_program,
    loaded_by_path,
    root_of,
    runner_roots,
    top_of,
    way_to,
    written_name,
)

_TICK = 20_000_000  # nanoseconds: Linux knows a thread's beginning to a hundredth of a second

Answer = tuple[bool, str]


def reflected_before_declared(pair: Pair) -> Answer:
    if pair.first.outcome == "reflected":
        return True, f"the table was first read from the database, by reflection at {pair.first.frame}"
    return False, f"the first definition, at {pair.first.site}, is written out and not reflected"


def model_declared_in_migration_script(pair: Pair) -> Answer:
    for registration, body in ((pair.first, pair.first_import), (pair.second, pair.second_import)):
        if body is not None and executed_by_alembic(body):
            return True, f"{registration.site} is executed by Alembic itself, as {body.module}"
    return False, "neither definition is in a file that Alembic executes as env.py or as a revision"


def half_defined_class(pair: Pair) -> Answer:
    first = pair.first
    if first.class_ is None:
        return False, f"the first definition, at {first.site}, is no mapped class"
    if first.made_mapper:
        return False, f"the class at {first.site} got its mapper"
    if first.later:
        return False, f"the class at {first.site} is to be mapped later, on purpose"
    if re.match(r"0\.|1\.[0-3]\.", pair.trace.provenance.get("sqlalchemy") or ""):  # without a registry
        return False, "whether the first class got its mapper is out of sight with this SQLAlchemy"
    return True, f"the class at {first.site} left its table behind and never got a mapper: its mapping failed"


def main_module_imported_again(pair: Pair) -> Answer:
    if not pair.same_file:
        return False, pair.two_files
    for registration, other in ((pair.first, pair.second), (pair.second, pair.first)):
        body = pair.first_import if registration is pair.first else pair.second_import
        ran_as, named = registration.frame.module, other.frame.module
        is_main = ran_as in ("__main__", "__mp_main__") and named != ran_as
        if is_main and body is not None and is_program(body):
            return True, (
                f"{registration.site.file} runs as {registration.frame.module}, the program itself, and is imported as {other.frame.module}"
            )
    return False, f"the names that the file ran under are {pair.names}: none is the program's own"


def half_import_retried(pair: Pair) -> Answer:
    if not pair.same_file:
        return False, pair.two_files
    first, second = pair.first_import, pair.second_import
    if first is None or first is second:
        return False, "one execution of the module brought both"
    if first.error is None or first.ended is None or first.ended > pair.second.at:
        return False, f"the first execution of {first.module} did not fail"
    where = next((str(f) for f in reversed(first.error.frames) if f.application), first.file)
    failed = f"the first import of {first.module} failed after it had registered its tables: {first.error} at {where}"
    return True, failed


def no_function(pair: Pair) -> str:
    if not pair.same_line:
        return f"the definitions are at two places, {pair.first.site} and {pair.second.site}"
    if not pair.same_name:
        return f"the module ran under {pair.names}"
    return f"the definition at {pair.first.site} is at module level, in no function"


def race_in_lazy_definition(pair: Pair) -> Answer:
    if not pair.in_function:
        return False, no_function(pair)
    first, second = pair.first.thread or "the main thread", pair.second.thread or "the main thread"
    function = f"{pair.first.frame.function}()"
    if first != second and pair.second.inside:
        return True, f"two threads, {first} and {second}, were in {function} at {pair.first.site} at one time"
    if first != second and pair.second.since is not None and pair.second.since + _TICK < pair.first.at:
        through = f"were on their way through {function}, at {pair.first.site}, at one time"
        return True, f"two threads, {first} and {second}, {through}"
    if first != second:
        return False, f"two threads, {first} and {second}, called {function}; nothing shows that the calls overlapped"
    return False, f"both calls of {pair.first.frame.function}() were made in one thread, {first}"


def defined_inside_function_called_twice(pair: Pair) -> Answer:
    if not pair.in_function:
        return False, no_function(pair)
    if pair.first_import is not pair.second_import:
        return False, f"the module {pair.first.frame.module} itself was executed twice"
    return True, f"the definition at {pair.first.site} is in {pair.first.frame.function}(), which was called twice"


def runner_root_second_name(pair: Pair) -> Answer:
    if not pair.same_file or pair.same_name:
        return False, f"the file ran under {pair.names}" if pair.same_file else pair.two_files
    for registration, other in ((pair.first, pair.second), (pair.second, pair.first)):
        position = max((n for n, f in enumerate(registration.chain) if RUNNERS.match(f.file)), default=None)
        if position is None:
            continue
        named = next((f for f in registration.chain[position + 1 :] if f.application), None)
        root = root_of(registration.real, registration.frame.module)
        if root in runner_roots(pair.trace) - {root_of(other.real, other.frame.module)}:
            because = f"the test runner put the folder {root or '.'} on sys.path, so {registration.site.file} became {registration.frame.module}"
            return True, f"{because} beside {other.frame.module}"
        by_runner = named is not None and top_of(named.module) == top_of(registration.frame.module)
        if by_runner and top_of(named.module) != top_of(other.frame.module):
            return True, (
                f"the test runner named {named.file} {named.module}, by the folder that it put on sys.path; "
                f"so {registration.site.file} became {registration.frame.module} beside {other.frame.module}"
            )
    return False, "no test runner gave the file its second name"


def file_loaded_again_by_path(pair: Pair) -> Answer:
    if not pair.same_file:
        return False, pair.two_files
    if pair.same_execution:
        return False, "one execution of the file brought both"
    first, second = pair.first_import, pair.second_import
    if None in (first, second) or executed_by_alembic(first) or executed_by_alembic(second):
        return False, "the file was not loaded by its path"
    if first.how == second.how == "exec":
        return False, "both executions are of the same kind, a script's"
    for body in (second, first):
        loaded = loaded_by_path(pair.trace, body)
        if loaded is not None:
            sentence = f"{loaded.by or 'the step'} loads {loaded.file} by its path, as {loaded.module}"
            other = pair.first if body is second else pair.second
            return True, f"{sentence}, beside the import as {other.frame.module}"
    return False, "the import system executed the file both times; no loader executed it by its path"


def script_or_cell_run_again(pair: Pair) -> Answer:
    frames = (pair.first.frame, pair.second.frame)
    cells = [CELLS.search(frame.file) or frame.function.startswith("<cell") for frame in frames]
    if all(cells):
        return True, f"both definitions were made in cells of one session: {pair.first.site} and {pair.second.site}"
    first, second = pair.first_import, pair.second_import
    if pair.same_file and not pair.same_execution and None not in (first, second) and first.how == second.how == "exec":
        return True, f"{second.by or 'the step'} executes the script {second.file} again in the same process"
    return False, "no script or cell was executed twice"


def importlib_reload(pair: Pair) -> Answer:
    if not pair.same_file or not pair.same_name or pair.same_execution:
        return False, f"the file ran under {pair.names}" if pair.same_file else pair.two_files
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
        return False, pair.two_files
    if pair.same_name:
        return False, f"the file ran under one module name, {pair.first.frame.module}"
    return True, (
        f"one file, {pair.second.real}, is imported under two module names: {pair.first.frame.module} "
        f"by {importer_of(pair.first_import)}{pair.first.through}, "
        f"and {pair.second.frame.module} by {importer_of(pair.second_import)}{pair.second.through}"
    )


def module_and_package_side_by_side(pair: Pair) -> Answer:
    for registration, other in ((pair.first, pair.second), (pair.second, pair.first)):
        stem = (registration.real or "").removesuffix(".py")
        if (registration.real or "").endswith(".py") and (other.real or "").startswith(stem + "/"):
            return True, f"{registration.real} and the package {stem}/ stand side by side, and both define the table"
    return False, "the two files are not a module and a package of one name"


def fork_of_library_models_on_its_base(pair: Pair) -> Answer:
    outside = [registration for registration in (pair.first, pair.second) if is_library(registration.frame)]
    if len(outside) == 1 and pair.first.metadata.site is not None and is_library(pair.first.metadata.site):
        return True, (
            f"{outside[0].site} belongs to a library, whose metadata (made at {pair.first.metadata.label}) "
            "the application's own definition uses too"
        )
    if len(outside) == 1:
        return False, "the metadata is not the library's"
    return False, "both definitions are the application's own" if not outside else "both definitions are a library's"


def association_table_and_class(pair: Pair) -> Answer:
    both = (pair.first, pair.second)
    kinds = [r.class_ is not None or r.in_class == "__table__" or r.made_mapper for r in both]
    if kinds[0] != kinds[1]:
        table, class_ = (pair.first, pair.second) if kinds[1] else (pair.second, pair.first)
        return True, f"{table.site} is a Table(), and {class_.site} maps the class {class_.site.name} to the same table"
    return False, "both are classes" if kinds[0] else "both are Table() calls"


def computed_table_name_collision(pair: Pair) -> Answer:
    written = [written_name(pair.trace, registration) for registration in (pair.first, pair.second)]
    if pair.same_execution and pair.same_line and written[0] not in (None, pair.first.table):
        return (True, f"one statement, {pair.first.site}, computes the table's name, by {written[0]}, and ran twice")
    for registration, name in zip((pair.first, pair.second), written, strict=True):
        if registration.class_ is not None and name is None:
            class_ = f"the class {registration.class_} at {registration.site}"
            return True, f"{class_} does not say its table's name: it is computed"
    if written[0] != written[1]:
        return True, f"the table's name is computed, by {written[0]} and by {written[1]}"
    return False, "each definition writes out the table's name"


def second_class_same_file(pair: Pair) -> Answer:
    if pair.same_file and not pair.same_line:
        return True, f"one file defines the table twice, at {pair.first.site} and at {pair.second.site}"
    return False, pair.two_files if not pair.same_file else f"it is one definition, at {pair.first.site}"


def second_class_other_file(pair: Pair) -> Answer:
    if pair.same_file:
        return False, f"both registrations come from one file, {pair.first.real}"
    of_application = [registration for registration in (pair.first, pair.second) if registration.frame.application]
    missing = [registration for registration in of_application if is_bytecode(pair.trace, registration)]
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
        f"by {way_to(pair.first)}, second {pair.second.site} by {way_to(pair.second)}"
    )
    against = {slug: sentence for slug, holds, sentence in answers if not holds}
    others = TWO_DEFINITIONS if family is ONE_DEFINITION else ONE_DEFINITION
    against |= {slug: sentence for slug, ask in others for holds, sentence in [ask(pair)] if not holds}
    if not holding:
        return Finding("undecided", (known, "no mechanism that the kit knows fits"), against)
    slug, sentence = holding[0]
    against |= {other: f"{slug} says more: {sentence}" for other, _ in holding[1:]}
    return Finding(slug, (known, sentence), dict(sorted(against.items())))
