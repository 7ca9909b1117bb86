"""Which changes may cure which mechanism, the likeliest first.

What only hides a fault (``extend_existing``, clearing the metadata, a Base of its own, ``except: pass``) is no candidate, and no
revision that a database may have run is edited.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import libcst as cst

from . import definitions, executed_again, functions, imports, metadata, own_modules, routes, settings
from .failing_build import Broken, Candidate
from .form import in_form

Writer = Callable[[Broken], Iterator[Candidate]]

BY_MECHANISM: dict[str, tuple[Writer, ...]] = {
    "alias-two-module-names": (executed_again.one_spelling,),
    "test-runner-root-second-name": (executed_again.package_of_tests, executed_again.one_spelling),
    "main-module-imported-again": (executed_again.main_as_object, own_modules.models_apart),
    "importlib-reload": (own_modules.models_apart, executed_again.no_reload),
    "script-or-cell-run-again": (own_modules.models_apart, executed_again.no_reload),
    "file-loaded-again-by-path": (executed_again.by_name, own_modules.models_apart_at_last, executed_again.no_reload),
    "defined-inside-function-called-twice": (functions.define_once,),
    "race-in-lazy-definition": (functions.one_at_a_time,),
    "computed-table-name-collision": (definitions.own_names,),
    "association-table-and-class": (definitions.one_definition,),
    "second-class-same-table-other-file": (definitions.one_definition,),
    "second-class-same-table-same-file": (definitions.one_definition,),
    "extend-existing-merged-two-models": (definitions.one_definition, definitions.own_names),
    "module-and-package-side-by-side": (definitions.one_definition,),
    "fork-of-library-models-on-its-base": (definitions.own_instead_of_library,),
    "half-defined-class": (definitions.choose_before,),
    "half-import-retried": (imports.first_import_succeeds,),
    "metadata-is-reserved": (definitions.rename_reserved,),
    "ambiguous-class-name-in-registry": (definitions.module_path, definitions.own_registries),
    "no-join-condition": (definitions.foreign_key,),
    "model-declared-in-migration-script": (own_modules.models_apart_from_env,),
    "model-module-not-imported-by-env": (imports.import_models,),
    "table-on-metadata-alembic-does-not-migrate": (
        executed_again.one_spelling,
        metadata.one_metadata,
        imports.import_models,
    ),
    "reflected-before-declared": (metadata.reflect_apart,),
    "class-not-imported": (imports.import_class,),
    "circular-import": (imports.break_cycle,),
    "import-failure-swallowed": (imports.name_that_is_there,),
    "module-not-on-path": (imports.on_the_path,),
    "loggers-disabled": (settings.keep_loggers,),
    "several-heads": (metadata.merge_heads,),
    "created-outside-migrations": (metadata.migrations_alone,),
    "unknown-url-scheme": (settings.right_scheme,),
    "async-driver-in-sync-code": (settings.right_scheme,),
    "driver-not-installed": (settings.right_scheme,),
    "setting-missing": (settings.set_variable,),
    "api-removed-in-installed-version": (settings.new_spelling,),
    "startup-race": (settings.one_process_at_a_time, settings.preload),
    "route-shadowed": (routes.reach_it,),
    "name-taken-in-registry": (routes.name_of_its_own, routes.keep_names, routes.function_of_its_own_name),
    "name-on-another-metadata": (metadata.on_one_metadata,),
}

# Where nothing safe can be written, and why.
UNSAFE = {
    "importlib-reload": "what executes the models again and again keeps their base: it has to leave the models out, or be started anew",
    "migration-fails-on-data": "a revision that a database may have run is not edited: decide what the rows that are there get",
    "created-by-two-revisions": "a revision that a database may have run is not edited: decide which of the two creates it",
    "created-outside-migrations": "whether the database or the revision is right only you can decide",
    "unknown-revision": "the revision is not there to be restored from the sources",
    "model-declared-in-migration-script": "a revision that a database may have run is not edited",
    "import-failure-swallowed": "what the import asks for is not there, and cannot be guessed",
    "api-removed-in-installed-version": "the call's successor depends on what it is used for",
    "name-taken-in-registry": "two statements take one name, and which of the two is meant only you can decide",
    "library-shadowed": "what the file is to be called, and who imports it by its old name, only you can decide",
    "route-shadowed": "two functions answer for one path, and which of the two is meant only you can decide",
}


def why_unsafe(broken: Broken) -> str | None:
    """Why no safe change can be written, where that is known."""
    outside = [definition.site for definition in broken.pair or () if definition.site.file not in broken.sources]
    if outside and broken.finding.mechanism not in UNSAFE:
        return f"{outside[0]} is in no source of the application: the deployment or the library that put it there has to change"
    return UNSAFE.get(broken.finding.mechanism)


def candidates_for(broken: Broken) -> list[Candidate]:
    """Every candidate for the mechanism of a broken build, the likeliest first; and for routes that are declared and not mounted."""
    functions_ = BY_MECHANISM.get(broken.finding.mechanism, ())
    if broken.failing and broken.finding.mechanism in ("none", "undecided"):
        functions_ += (routes.mount_router,)
    candidates = [candidate for function in functions_ for candidate in _written(function, broken)]
    in_form_ = (replace(c, edits=in_form(c.edits, broken.sources, broken.own)) for c in map(_tidy, candidates))
    return _named_apart([candidate for candidate in in_form_ if candidate.changes_something])


def _written(function: Writer, broken: Broken) -> list[Candidate]:
    """What a writer gives; where it comes to a source that LibCST does not read, what it gave until then."""
    written: list[Candidate] = []
    on_pair = function in _ON_A_PAIR or function in _ON_EITHER
    known = broken.pair is not None and on_pair or broken.fault is not None and function not in _ON_A_PAIR
    if not known and function is not routes.mount_router:
        return written
    with suppress(ValueError, cst.ParserSyntaxError, cst.CSTValidationError, RecursionError):
        written.extend(candidate for candidate in function(broken))
    return written


def _tidy(candidate: Candidate) -> Candidate:
    """Sources without blank lines at their head, which a statement that went leaves there, and with an end to their last line."""
    sources = {file: text for file, text in candidate.edits.items() if file.endswith(".py")}
    tidied = {file: text.lstrip("\r\n") + "\n" * (text[-1:] not in "\n") for file, text in sources.items()}
    return replace(candidate, edits=candidate.edits | tidied)


def _named_apart(candidates: list[Candidate]) -> list[Candidate]:
    """Each change once, and each under a name of its own."""
    kept: dict[str, Candidate] = {}
    for candidate in candidates:
        if any(replace(candidate, name=other.name, says=other.says) == other for other in kept.values()):
            continue
        name, number = candidate.name, 2
        while name in kept:
            name, number = f"{candidate.name}-{number}", number + 1
        kept[name] = replace(candidate, name=name)
    return list(kept.values())


_ON_A_PAIR = {
    executed_again.no_reload,
    executed_again.by_name,
    executed_again.package_of_tests,
    own_modules.models_apart,
    own_modules.models_apart_at_last,
    own_modules.models_apart_from_env,
    functions.define_once,
    functions.one_at_a_time,
    definitions.one_definition,
    definitions.own_names,
    definitions.choose_before,
    definitions.own_instead_of_library,
    imports.first_import_succeeds,
    metadata.reflect_apart,
}
_ON_EITHER = {executed_again.one_spelling, executed_again.main_as_object}
