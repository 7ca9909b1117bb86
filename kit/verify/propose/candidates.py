"""Which changes may cure which mechanism, the likeliest first.

What only hides a fault (``extend_existing``, clearing the metadata, a Base of its own, ``except: pass``) is no candidate: it is run
on request, to show what it hides (:func:`maskers`). No revision that a database may have run is edited.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import libcst as cst

from ...trace.chains import application_frames
from . import (
    definitions,
    edits,
    edits_of_classes,
    edits_of_imports,
    executed_again,
    functions,
    imports,
    metadata,
    own_modules,
    routes,
    settings,
)
from .failing_build import Broken, Candidate, first
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
    "no-such-module": (imports.from_its_new_place,),
    "loggers-disabled": (settings.keep_loggers,),
    "several-heads": (metadata.merge_heads,),
    "created-outside-migrations": (metadata.migrations_alone,),
    "unknown-url-scheme": (settings.right_scheme,),
    "async-driver-in-sync-code": (settings.right_scheme,),
    "sync-driver-in-async-code": (settings.right_scheme,),
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
    "no-such-module": "what is to take the place of the module only you can decide",
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
    writers = BY_MECHANISM.get(broken.finding.mechanism, ())
    if broken.failing and broken.finding.mechanism in ("none", "undecided"):
        writers += (routes.mount_router,)
    candidates = [candidate for write in writers for candidate in _written(write, broken)]
    in_form_ = (replace(c, edits=in_form(c.edits, broken.sources, broken.tops)) for c in map(_tidy, candidates))
    return _named_apart([candidate for candidate in in_form_ if candidate.changes_something])


def _written(write: Writer, broken: Broken) -> list[Candidate]:
    """What a writer gives; where it comes to a source that LibCST does not read, or asks for what is not known, what it gave until then."""
    written: list[Candidate] = []
    with suppress(ValueError, cst.ParserSyntaxError, cst.CSTValidationError, RecursionError):
        written.extend(candidate for candidate in write(broken))
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


def maskers(broken: Broken) -> list[Candidate]:
    """The known ones that can be written for this build: each changes the second definition, or what leads to it."""
    return [*_written(_of_definition, broken), *_written(_caught, broken)]


def _of_definition(broken: Broken) -> Iterator[Candidate]:
    second = broken.both[1]
    site, file, line = second.site, second.site.file, second.site.line
    says = f"extend_existing=True at {site}, as the message advises: the second definition changes the first's table."
    flag = (edits.add_argument, line, "Table", "extend_existing", "True")
    flag = (edits_of_classes.with_flag, line, "extend_existing") if second.class_ else flag
    yield from broken.change("extend-existing", says, file, *flag)
    base = broken.edited(file, edits_of_classes.base_of, line) if second.class_ else None
    cleared = f"{base}.metadata.clear()"
    says = f"{cleared} before {site}: the metadata forgets every table that was defined until then."
    if base:
        yield from broken.change("clear-metadata", says, file, edits_of_classes.before_class, line, cleared)
    if base and base.isidentifier():
        says = f"A base of its own for the class at {site}: its table is on a metadata that nothing else knows."
        needed = ["from sqlalchemy.orm import declarative_base"]
        own_base = (edits_of_classes.with_base, line, "OwnBase", "declarative_base()")
        yield from broken.change("second-base", says, file, *own_base, imports=needed)


def _caught(broken: Broken) -> Iterator[Candidate]:
    """``try`` about the import that leads to the second definition."""
    frames = [f for f in application_frames(broken.both[1].chain) if f.function == "<module>"]
    says = "try … except around the import at {}: the error is no longer seen, and what the module would have brought is missing.".format
    caught = edits_of_imports.caught
    yield from first(broken.change("caught", says(it), it.file, caught, it.line) for it in frames[-2::-1])
