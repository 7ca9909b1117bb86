"""The guard: a pytest file for the application's own repository that fails if the incident comes back.

The file needs nothing of the kit (its template is ``template/guard.py.j2``). None is given out that was not run
before, in copies of the application: it has to fail on the broken build and to pass with each fix that is verified.
"""

import pprint
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..base.errors import RunBroke
from ..base.interrupt import interruptible, pool_of
from ..base.redact import public_part, redact, safe
from ..base.scan import kinds_in, refuse_secrets
from ..diagnose.decision import decide_mechanism
from ..diagnose.looked import Looked, look_until_shown, signed
from ..diagnose.meaning import MEANINGS, Meaning
from ..incident.model import Incident
from ..incident.steps import Preparation
from ..startup.migrations import flask_application
from ..startup.process import run
from ..startup.workspace import workspace
from ..trace.expected import shows_incident
from ..trace.trace import Trace
from ..trace.values import Conflict, Site, application_frames
from .verification import verify

_TEMPLATE = Path(__file__).with_name("template") / "guard.py.j2"
_UNNAMED = Meaning("Something that the kit has no name for.", "Fix what is named there.")
_CANNOT = {
    "race-in-lazy-definition": "two threads have to meet in one instant, so a test passes by luck on the broken build. "
    "Guard the lock by review, or define the table at a module's level, which no thread can meet",
}

_REMEDY = (
    "A guard goes into a repository. Of an error give a part in expect.error; in a step write $NAME in place of the value, "
    "and give NAME in app.env under a name that says so (as in API_TOKEN): the guard then takes it from the environment "
    "that it runs in."
)


@dataclass(frozen=True)
class Tried:
    """The guard, run once: on the broken build (``fix`` is None), or with a verified fix."""

    fix: str | None
    passes: bool
    said: str

    @property
    def because(self) -> str:
        """What it named first, in one line."""
        return next((line.strip() for line in self.said.splitlines()[1:] if line.strip()), self.said)


@dataclass(frozen=True)
class Guard:
    """A guard and what running it showed.

    :ivar source: the pytest file, or None where there is none to be had
    :ivar because: why there is none, or what it was tried on
    """

    name: str
    mechanism: str
    reproduced: bool
    broke: str | None
    source: str | None
    because: str
    tried: tuple[Tried, ...] = ()

    @property
    def code(self) -> int:
        """The command line's exit code: 1 where it reproduces and cannot be guarded."""
        return 4 if self.broke else 3 if not self.reproduced else 0 if self.source else 1


def guard_report(incident: Incident, guard: Guard) -> dict[str, Any]:
    """``{schema, incident, mechanism, reproduced, guarded, because, source, tried: [{fix: name or null, passes, said}]}``."""
    return {
        "schema": 1,
        "incident": incident.title,
        "mechanism": guard.mechanism,
        "reproduced": guard.reproduced,
        "guarded": guard.source is not None,
        "because": guard.because,
        "source": guard.source,
        "tried": [asdict(trial) for trial in guard.tried],
    }


@interruptible
def make_guard(
    incident: Incident,
    *,
    fixes: Sequence[str] | None = None,
    executor: Executor | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Guard:
    """Write the guard of an incident and try it.

    :param fixes: names of fixes that it has to pass with; by default those that are verified, found by trying all
    :param executor: where the startups run; by default threads, one a core
    :raises RunBroke: a startup, or the guard itself, could not begin
    :raises SecretFound: the guard would hold a secret
    """
    with pool_of(executor) as pool:
        progress("starting the application")
        looked = pool.submit(look_until_shown, incident).result()
        decision = decide_mechanism(incident, looked, progress)
        looked = signed(incident, looked, decision.fault)
        finding, conflict, fault = decision.finding, decision.conflict, decision.fault
        reproduced = shows_incident(incident, looked.trace)
        name = _name(incident)

        def none(because: str, tried: tuple[Tried, ...] = ()) -> Guard:
            return Guard(
                name, finding.mechanism, reproduced, str(looked.trace.broke or "") or None, None, because, tried
            )

        if looked.trace.broke or not reproduced:
            return none(str(looked.trace.broke or "") or "it does not reproduce, so no test can fail for it")
        if (obstacle := _obstacle(incident, finding.mechanism)) is not None:
            return none(obstacle)
        verified = verify(incident, executor=pool, progress=progress).verified if fixes is None else tuple(fixes)
        # How the application is run is no part of its repository: a guard there cannot tell such a fix.
        verified = tuple(fix for fix in verified if not incident.fixes[fix].settings)
        if conflict is not None:
            pair = (conflict.first.site, conflict.second.site)
        else:
            pair = (fault.first, fault.second) if fault else (None, None)
        values = _values(incident, looked, finding.mechanism, pair, conflict)
        draft = _written(incident, values, tried="on nothing yet.")
        progress("trying the guard on the broken build" + "".join(f", with {fix}" for fix in verified))
        trials = [pool.submit(try_guard, incident, draft, name, fix) for fix in (None, *verified)]
        tried = tuple(trial.result() for trial in trials)
    if (useless := _useless(incident, tried)) is not None:
        return none(useless, tried)
    shown = f"it fails on the broken build, and passes with {' and with '.join(verified)}."
    if not verified:
        shown = "it fails on the broken build; no fix is verified, so it has not been seen to pass."
    return Guard(name, finding.mechanism, True, None, _written(incident, values, tried=shown), shown, tried)


def _obstacle(incident: Incident, mechanism: str) -> str | None:
    """Why no test in the application's repository can show the incident; None where one may."""
    if mechanism in _CANNOT:
        return f"{mechanism} cannot be guarded by a test: {_CANNOT[mechanism]}"
    made = next((step for step in incident.prepare if step.kind in ("rows", "sql")), None)
    if made is not None:
        return f"the incident begins from a database that the kit fills ({made}): a test in the repository cannot"
    return None


def _useless(incident: Incident, tried: tuple[Tried, ...]) -> str | None:
    """Why the guard that was tried is not given out; None where it fails and passes as it should."""
    if incident.database == "postgresql" and (other := _not_on_sqlite(tried)):
        return f"this incident needs PostgreSQL and a guard brings a scratch SQLite database, on which {other}"
    if tried[0].passes:
        return "a test of the startup does not see this incident: the guard passes on the broken build"
    failing = next((trial for trial in tried[1:] if not trial.passes), None)
    return None if failing is None else f"the guard fails with {failing.fix} too: {failing.because}"


def _not_on_sqlite(tried: tuple[Tried, ...]) -> str | None:
    """Why a guard on SQLite says nothing of an incident on PostgreSQL; None where it fails and passes as it should."""
    broken, *fixed = tried
    failing = next((trial for trial in fixed if not trial.passes), None)
    if broken.passes:
        return "the broken build passes"
    if failing is not None:
        return f"the build with {failing.fix} fails too: {failing.because}"
    if not fixed and not broken.said.startswith("The incident is back"):
        return f"the broken build fails for another reason: {broken.because}"
    return None


def _name(incident: Incident) -> str:
    """What the test is called: by the incident file's folder, or by the file."""
    stem = incident.folder.name if incident.file.name == "incident.yaml" else incident.file.stem
    return "incident_" + (re.sub(r"\W+", "_", stem, flags=re.ASCII).strip("_").lower() or "unnamed")


def _values(
    incident: Incident,
    looked: Looked,
    mechanism: str,
    pair: tuple[Site | None, Site | None],
    conflict: Conflict | None,
) -> dict[str, Any]:
    """What the template fills in."""
    trace, (first, second) = looked.trace, pair
    error = incident.expect.error or (conflict.error if conflict else None)
    error = error or next((step.error.splitlines()[0] for step in trace.steps if step.error), None)
    if conflict and not incident.expect.error:
        error = f"Table '{conflict.table}' is already defined"
    recorded = [
        f"{which} {site} {site.name or ''}".strip() for which, site in (("first ", first), ("second", second)) if site
    ]
    secrets = [
        name
        for name, value in incident.app.env.items()
        if redact(f"{name}={value}") != f"{name}={value}" or kinds_in(value)
    ]
    meaning, remedy = MEANINGS.get(mechanism, _UNNAMED)
    table = conflict.table if conflict else incident.expect.table
    driver = incident.database_driver if incident.database == "sqlite" else None  # PostgreSQL's are none of SQLite's
    return {
        "error": public_part(error) if error else None,
        "table": table,
        "recorded": recorded,
        "meaning": f"{mechanism}: {meaning}",
        "remedy": remedy,
        "marker": _marker(incident, trace, conflict),
        "workdir": incident.app.workdir,
        "path": incident.app.path,
        "environment": {name: value for name, value in incident.app.env.items() if name not in secrets},
        "secrets": secrets,
        "database_variable": incident.database_env,
        "prepare": [_as_command(step, incident) for step in incident.prepare],
        "startup": [(step.kind, step.text) for step in incident.startup],
        "scratch": f"sqlite{f'+{driver}' if driver else ''}:///",
        "seconds": incident.limits.seconds,
        "migrations": _migrations(incident, looked),
        "flask_application": flask_application(incident),
    }


def _as_command(step: Preparation, incident: Incident) -> tuple[str, str]:
    """A preparation as a step that a test can run."""
    if step.kind != "upgrade":
        return step.kind, step.text
    config = next((check.migrations for check in incident.all_checks if check.migrations), "alembic.ini")
    return "command", f"alembic -c {config} upgrade {step.text}"


def _marker(incident: Incident, trace: Trace, conflict: Conflict | None) -> str:
    """A file by which the application's root is known: where the startup enters it, if no step made that file."""
    frames = application_frames(conflict.second.chain) if conflict else ()
    with workspace(incident) as space:
        entered = [
            *(frame.file for frame in frames),
            *(import_.file for import_ in trace.imports if import_.application and import_.file),
        ]
        there = [file for file in entered if (space.root / file).is_file()]
        return there[0] if there else sorted(path.name for path in space.root.iterdir())[0]


def _migrations(incident: Incident, looked: Looked) -> str | None:
    """The configuration to ask Alembic with, where the incident file asks for it and the answer was part of the incident."""
    asked = next((check.migrations for check in incident.checks if check.migrations), None)
    seen = looked.migrations
    wrong = seen is not None and (seen.problem or seen.current != seen.heads or seen.differences)
    return asked if wrong else None


def _written(incident: Incident, values: dict, *, tried: str) -> str:
    """The guard's text.

    :raises SecretFound: it would hold a secret
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters["literal"] = lambda value: pprint.pformat(value, width=100, sort_dicts=False)
    name = _name(incident)
    words = {key: _in_docstring(values[key]) for key in ("meaning", "remedy")}
    title = _in_docstring(redact(incident.title))
    text, file = _TEMPLATE.read_text("utf-8"), f"test_{name}.py"
    source = environment.from_string(text).render(
        {**values, **words}, title=title, name=name, file=file, tried=_in_docstring(tried)
    )
    refuse_secrets({file: source}, done="written", remedy=_REMEDY)
    return source


def _in_docstring(text: str) -> str:
    """Text of others in one line that cannot end the docstring that it stands in."""
    return re.sub(r"\s+", " ", safe(text)).replace("\\", "/").replace('"', "'").strip()


def try_guard(incident: Incident, source: str, name: str, fix: str | None) -> Tried:
    """Run the guard as a script in a copy of the application, under the kit's own guards and limits."""
    with workspace(incident.with_fix(fix), incident.changes_of(fix) if fix else []) as space:
        file = space.root / f"test_{name}.py"
        file.write_text(source, encoding="utf-8")
        steps = len(incident.prepare) + len(incident.startup) + 2
        limits = incident.limits.model_copy(update={"seconds": incident.limits.seconds * steps})
        ran = run([space.python, "-B", str(file)], space, limits, "guard")
    if ran.why:
        raise RunBroke(f"the guard did not come to its end: {ran.why}")
    lines = ran.stderr.strip().splitlines()
    if not ran.ok and not (lines and lines[0].startswith(("The incident", "Traceback"))):
        raise RunBroke(f"the guard did not run: {ran.stderr.strip()[-400:]}")
    if lines and lines[0].startswith("Traceback"):
        if incident.database == "postgresql" and "The guard could not prepare" in ran.stderr:
            return Tried(
                fix, False, redact(safe(lines[-1].partition(": ")[2]))
            )  # its migrations may be PostgreSQL's own
        raise RunBroke(f"the guard did not run: {lines[-1]}")
    complaint = (
        ran.stderr.strip().removesuffix("The docstring of this file says what to do.").rstrip()
    )  # none is written yet
    return Tried(fix, ran.ok, redact(safe(complaint)))
