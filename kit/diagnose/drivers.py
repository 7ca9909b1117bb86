"""Faults of a database's URL: a scheme that nothing knows, a driver that is not there, one that cannot be used in this way."""

import ast
import difflib
import re
from collections.abc import Iterator
from dataclasses import replace

from ..incident.source import nodes_at, parsed
from ..startup.installed_packages import DRIVERS, Installed, installed
from ..trace.values import Error, Frame, Site
from .experiments import (
    Judge,
    error_texts,
    first_line,
    gone,
    literal_edits,
    scheme_in,
    scratch_scheme,
    with_environment,
    with_replaced,
    with_scheme,
)
from .values import Case, Experiment, Fault, Place, body_of, of_failures

_ASYNC = re.compile(r"'Async(?:Engine|Connection)' object |Inspection on an Async(?:Engine|Connection) is")
_NOT_ASYNC = re.compile(r"asyncio extension requires an async driver to be used\. The loaded '(\w+)' is not async")
_UNKNOWN = re.compile(r"Can't load plugin: sqlalchemy\.dialects:([\w.]+)")
_RIGHT = {  # what people write for what SQLAlchemy calls it
    "postgres": "postgresql",
    "pgsql": "postgresql",
    "psql": "postgresql",
    "sqlite3": "sqlite",
    "mysql2": "mysql",
    "psycopg3": "psycopg",
    "mysqlclient": "mysqldb",
}


def unknown_url_scheme(case: Case, error: Error) -> Fault | None:
    scheme = next((m[1].replace(".", "+") for text in error_texts(error) if (m := _UNKNOWN.search(text))), None)
    site = error.site
    if scheme is None or site is None or error.own_words:
        return None
    there = installed(case.incident.python)
    right = _right_scheme(scheme, there)
    because = (
        f"the engine made at {site} is given a URL that begins with {scheme}:// (the rest is masked), and no dialect has that name",
        *([f"installed dialects: {', '.join(there.dialects)}"] if there.dialects else []),
        *_carriers(case, scheme, site),
    )
    against = {"driver-not-installed": "no driver was looked for: the dialect itself was not found"}
    text = f"Can't load plugin: sqlalchemy.dialects:{scheme.replace('+', '.')}"
    about = _about(case, error, site, scheme, right, text)
    return Fault("unknown-url-scheme", because, against=against, error=error, **about)


def driver_not_installed(case: Case, error: Error) -> Fault | None:
    site, dialect = error.site, _imports_driver(error)
    missing = next((name for _, name, _ in error.links if name in ("ModuleNotFoundError", "ImportError")), None)
    if site is None or dialect is None or missing is None:
        return None
    backend, driver = dialect
    scheme = _asked_scheme(case, backend, driver)
    there = installed(case.incident.python)
    instead = there.drivers(backend) or there.drivers(backend, asynchronous=True)
    explicitly = "as database_driver has it" if case.incident.database_driver == driver else "explicitly"
    names = explicitly if "+" in scheme else f"as the usual one of {backend}"
    because = (
        f"the engine made at {site} asks for the driver {driver} ({scheme}://…, {names}), and it cannot be imported: {error}",
        f"drivers for {backend} that are installed: {', '.join(instead) or 'none'}",
        *_carriers(case, scheme, site),
    )
    against = {
        "unknown-url-scheme": f"the dialect {backend} was found, and failed only when it imported its driver",
        "module-not-on-path": f"no module of the application asks for {error.name or driver}; the dialect does",
    }
    text = next(text for text in error_texts(error) if text)
    about = _about(case, error, site, scheme, f"{backend}+{instead[0]}" if instead else None, text)
    return Fault("driver-not-installed", because, against=against, error=error, **about)


def async_driver_in_sync_code(case: Case, error: Error) -> Fault | None:
    text, use = first_line(error.text), error.site
    wrapped = bool(_ASYNC.search(text)) and not error.own_words
    if not wrapped and "MissingGreenlet" not in (error.type.rpartition(".")[2], *(name for _, name, _ in error.links)):
        return None
    # One that is no asynchronous engine's core, but for what takes such an engine itself; of several the one of the file that uses it.
    engines = [engine for engine in case.trace.engines if engine.asynchronous and engine.within_asyncio == wrapped]
    near = (engine for engine in engines if use and engine.site and engine.site.file == use.file)
    engine = next(near, next(iter(engines), None))
    if engine is None or engine.site is None or use is None:
        return None  # an asynchronous engine that is used outside of its greenlet is another fault
    backend = engine.driver.partition("+")[0]
    made = "an asynchronous engine, by create_async_engine()" if wrapped else "a synchronous engine, by create_engine()"
    because = (
        f"{engine.site} makes {made}, of a URL with the asynchronous driver {engine.driver}",
        f"its first synchronous use, at {use}, fails: {error}",
        *_carriers(case, engine.driver, engine.site),
    )
    against = {"driver-not-installed": f"the driver of {engine.driver} was imported, and its engine was made"}
    usual = (installed(case.incident.python).drivers(backend) or [""])[0]
    right = backend if usual in (DRIVERS.get(backend, (("", "", False),))[0][0], "") else f"{backend}+{usual}"
    text = text if wrapped else "greenlet_spawn has not been called"
    about = _about(case, error, engine.site, engine.driver, right, text, use)
    if wrapped:
        about = {**about, "schemes": None, "experiment": _synchronous(case, engine.site, about["experiment"], text)}
    return Fault("async-driver-in-sync-code", because, against=against, error=error, **about)


def sync_driver_in_async_code(case: Case, error: Error) -> Fault | None:
    loaded = next((m[1] for text in error_texts(error) if (m := _NOT_ASYNC.search(text))), None)
    backend = next((kind for kind, drivers in DRIVERS.items() if loaded in [name for name, _, _ in drivers]), None)
    site = error.site
    if backend is None or site is None or error.own_words:
        return None
    scheme = _asked_scheme(case, backend, loaded)
    of_file = any(value.startswith(f"{scheme}://") for value in case.incident.app.env.values())
    written = of_file or any(_written(case, scheme, site._replace(line=0)))
    if scheme == scratch_scheme(case.incident) and not written:
        return None  # the kit's own URL has this driver, for want of a database_driver in the incident
    instead = installed(case.incident.python).drivers(backend, asynchronous=True)
    because = (
        f"the engine made at {site} is asynchronous, and {loaded}, the driver of its URL, is not: {error}",
        f"asynchronous drivers for {backend} that are installed: {', '.join(instead) or 'none'}",
        *_carriers(case, scheme, site),
    )
    against = {"driver-not-installed": f"the driver {loaded} was imported"}
    # A URL that another file writes may be another engine's.
    written = (place for place in _written(case, scheme, site) if place.file == site.file)
    right = f"{backend}+{instead[0]}" if instead else None
    more = {"sites": (Place.of("engine", site), *written), "schemes": (scheme, right) if right else None}
    more["experiment"] = _with_driver(case, site, right, error) if right else None
    return Fault("sync-driver-in-async-code", because, against=against, error=error, **more)


def _with_driver(case: Case, site: Frame, scheme: str, error: Error) -> Experiment | None:
    """The run in which the URL that an asynchronous engine is made of has another driver, wherever it comes from."""
    text = case.sources.get(site.file, "")
    for call in nodes_at(parsed(text), site.line, ast.Call):
        if ast.unparse(call.func).endswith("create_async_engine") and call.args:
            url = f"__import__('sqlalchemy').engine.make_url({ast.unparse(call.args[0])}).set(drivername={scheme!r})"
            says = f"the URL at {site} with {scheme}://, all else equal"
            judge = gone("asyncio extension requires an async driver")
            return Experiment(says, case.incident, judge, {site.file: with_replaced(text, call.args[0], url)})
    return None


def _about(case: Case, error: Error, engine: Frame | Site, scheme: str, right: str | None, text: str, *uses: Frame):
    """The lines that a fault of a URL is about, and the run with the scheme that belongs in it, where that is known."""
    places = (Place.of("engine", engine), *(Place.of("first use", use) for use in uses))
    run = _another_scheme(case, engine, scheme, right, gone(text)) if right else None
    run = run or _in_memory(case, scheme, gone(text))
    sites = (*places, *_written(case, scheme, engine))
    run = run and replace(run, past=body_of(error))
    return {"sites": sites, "experiment": run, "schemes": (scheme, right) if right else None}


MECHANISMS = of_failures(unknown_url_scheme, driver_not_installed, async_driver_in_sync_code, sync_driver_in_async_code)


def _right_scheme(scheme: str, there: Installed) -> str | None:
    """The scheme that was meant, as far as what is installed tells: by its usual misspellings, or the nearest name."""
    backend, _, driver = scheme.partition("+")
    backend = _RIGHT.get(backend, backend)
    known = {*there.dialects, *DRIVERS}
    if backend not in known:
        backend = next(iter(difflib.get_close_matches(backend, sorted(known), 1, 0.7)), "")
        if not backend:
            return None
    if not driver:
        return backend if backend != scheme else None
    drivers = [name for name, _, _ in DRIVERS.get(backend, ())]
    driver = _RIGHT.get(driver, driver)
    if driver not in drivers:
        driver = next(iter([*difflib.get_close_matches(driver, drivers, 1, 0.6), *there.drivers(backend)]), "")
    right = f"{backend}+{driver}" if driver else backend
    return right if right != scheme else None


def _imports_driver(error: Error) -> tuple[str, str] | None:
    """Backend and driver, where an error left the function in which a dialect imports its driver."""
    for frame in reversed(error.frames):
        if frame.application:
            return None
        if frame.function in ("import_dbapi", "dbapi"):
            folder, _, stem = frame.file.removesuffix(".py").rpartition("/")
            backend, asked = folder.rpartition("/")[2], (error.name or "").partition(".")[0]
            named = (name for name, module, _ in DRIVERS.get(backend, ()) if module.partition(".")[0] == asked)
            return backend, next(named, stem)
    return None


def _asked_scheme(case: Case, backend: str, driver: str) -> str:
    """The scheme that asked for a driver: with its name, unless a URL without one is what the incident gives."""
    schemes = {value.partition("://")[0] for value in case.incident.app.env.values() if "://" in value}
    schemes.add(scratch_scheme(case.incident))
    for text in case.trace.sources.values():
        schemes |= set(re.findall(r"['\"](\w+(?:\+\w+)?)://", text))
    explicit = f"{backend}+{driver}"
    return backend if explicit not in schemes and backend in schemes else explicit


def _carriers(case: Case, scheme: str, site: Frame) -> list[str]:
    """Where the URL comes from: variables of the incident that have this scheme, or else those that the site's file reads."""
    names = [name for name, value in case.incident.app.env.items() if value.startswith(f"{scheme}://")]
    names += [case.incident.database_env] if scratch_scheme(case.incident) == scheme else []
    read = [f"{reading.name} at {reading}" for reading in case.readings if reading.name in names]
    read = read or [f"{reading.name} at {reading}" for reading in case.readings if reading.file == site.file]
    return [f"the URL comes from {', '.join(dict.fromkeys(read))}"] if read else []


def _written(case: Case, scheme: str, engine: Frame | Site) -> Iterator[Place]:
    """The other lines that write a URL of this scheme down, those of settings such as ``alembic.ini`` among them."""
    for file, text in case.sources.items():
        for number, line in enumerate(text.splitlines(), 1):
            comment = line.lstrip().startswith(("#", ";"))
            if not comment and (file, number) != (engine.file, engine.line) and scheme_in(scheme).search(line):
                yield Place("url", file, number, f"{scheme}://…")


def _in_memory(case: Case, scheme: str, judge: Judge) -> Experiment | None:
    """The run with SQLite in memory in place of a URL, where nothing that is installed tells which belongs there."""
    url = re.compile(rf"{scheme_in(scheme).pattern}[^'\"\s]*")
    edits = {file: url.sub("sqlite://", text) for file, text in case.sources.items() if url.search(text)}
    env = {name: "sqlite://" for name, value in case.incident.app.env.items() if value.startswith(f"{scheme}://")}
    changed = with_environment(case.incident, env)
    return Experiment(f"sqlite:// in place of {scheme}://…", changed, judge, edits) if edits or env else None


def _synchronous(case: Case, engine: Frame, usual: Experiment | None, wrong: str) -> Experiment | None:
    """The run with a synchronous engine in place of an asynchronous one, of the usual driver's URL."""
    text = (usual.edits.get(engine.file) or case.sources.get(engine.file, "")) if usual else ""
    edited = re.sub(r"(?<![\w.])(?:\w+\.)*create_async_engine(?=\()", "__import__('sqlalchemy').create_engine", text)
    if edited == text:
        return None
    says = f"create_engine() in place of create_async_engine() in {engine.file}, and {usual.says}"
    return replace(usual, says=says, edits={**usual.edits, engine.file: edited}, judge=gone(wrong))


def _another_scheme(case: Case, site: Frame, old: str, new: str, judge: Judge) -> Experiment | None:
    """The run with another scheme in the URL, wherever that stands: a variable, a source, or what a file of settings says."""
    incident = case.incident
    changed = with_scheme(incident, old, new)
    says = f"the URL with {new}:// in place of {old}://, all else equal"
    edits = literal_edits(case.sources, old, new)
    if changed is not None or edits:
        says += f", in {', '.join(edits)}" if changed is None else ""
        return Experiment(says, changed or incident, judge, edits)
    required = {reading.name for reading in case.readings if reading.file == site.file and reading.required}
    names = required - {incident.database_env}
    # From a file of settings, which a variable overrides.
    if len(names) == 1 and new.partition("+")[0] == incident.database:
        (name,) = names
        driver = new.partition("+")[2] or None
        scratch = with_environment(incident.model_copy(update={"database_driver": driver}), {name: "{database_url}"})
        says = f"{name} with the scratch database's URL, which begins with {new}://"
        return Experiment(says, scratch, judge)
    return None
