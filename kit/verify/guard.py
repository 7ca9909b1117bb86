"""The guard: a pytest file for the application's own repository that fails if the incident comes back.

The file needs nothing of the kit (``guard_file.py`` writes it). None is given out that was not run
before, in copies of the application: it has to fail on the broken build and to pass with each fix that is verified.
"""

import json
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from ..base.errors import RunBroke
from ..base.interrupt import interruptible, pool_of
from ..base.janitor import remove
from ..base.progress import Hears, silent
from ..diagnose.decision import decide_mechanism
from ..diagnose.observation import look_until_shown, signed
from ..incident.copying import beside_git
from ..incident.model import Incident
from ..startup.process import run
from ..startup.workspace import workspace
from ..trace.expected import broke_before, shows_incident
from .guard_file import content_of, name_of, text_of
from .verification import verify

_MOST_NAMED = 8  # files beside the commit
_CANNOT = {
    "race-in-lazy-definition": "two threads have to meet in one instant, so a test passes by luck on the broken build. "
    "Guard the lock by review, or define the table at a module's level, which no thread can meet"
}


@dataclass(frozen=True)
class Tried:
    """The guard, run once: on the broken build (``fix`` is None), or with a verified fix.

    :ivar back: it saw the incident itself, and not only a startup that is not as it should be
    """

    fix: str | None
    passes: bool
    back: bool
    output: str

    @property
    def because(self) -> str:
        """What it named first, in one line."""
        return next((line.strip() for line in self.output.splitlines()[1:] if line.strip()), self.output)


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
        "tried": [{"fix": trial.fix, "passes": trial.passes, "said": trial.output} for trial in guard.tried],
    }


@interruptible
def make_guard(incident: Incident, *, fixes: Sequence[str] | None = None, progress: Hears = silent) -> Guard:
    """Write the guard of an incident and try it.

    :param fixes: names of fixes that it has to pass with; by default those that are verified, found by trying all
    :raises RunBroke: a startup, or the guard itself, could not begin
    :raises SecretFound: the guard would hold a secret
    """
    with pool_of(None) as pool:
        progress("starting the application")
        looked = pool.submit(look_until_shown, incident).result()
        decision = decide_mechanism(incident, looked, progress)
        looked = signed(incident, looked, decision.fault)
        finding, conflict, fault = decision.finding, decision.conflict, decision.fault
        reproduced = shows_incident(incident, looked.trace)
        name = name_of(incident)

        broke = str(broke) if (broke := broke_before(incident, looked.trace)) else None

        def none(because: str, tried: tuple[Tried, ...] = ()) -> Guard:
            return Guard(name, finding.mechanism, reproduced, broke, None, because, tried)

        if broke or not reproduced:
            return none(broke or "it does not reproduce, so no test can fail for it")
        if (obstacle := _obstacle(incident, finding.mechanism)) is not None:
            return none(obstacle)
        verified = verify(incident, executor=pool, progress=progress).verified if fixes is None else tuple(fixes)
        # How the application is run is no part of its repository: a guard there cannot tell such a fix.
        verified = tuple(fix for fix in verified if not incident.fixes[fix].settings)
        pair = (fault.first, fault.second) if fault else (None, None)
        if conflict is not None:
            pair = (conflict.first.site, conflict.second.site)
        content = content_of(incident, looked, finding.mechanism, pair, conflict)
        draft = text_of(incident, content, tried="on nothing yet.")
        progress("trying the guard on the broken build" + "".join(f", with {fix}" for fix in verified))
        trials = [pool.submit(try_guard, incident, draft, name, fix) for fix in (None, *verified)]
        beside = beside_git(incident.resolve(incident.app.root)) if incident.app.root else ()
        cloned = pool.submit(try_guard, incident, draft, name, None, without=beside) if beside else None
        tried = tuple(trial.result() for trial in trials)
        useless = _useless(incident, tried)
        if useless is None and cloned is not None:
            useless = _useless_in_a_clone(tried[0], cloned, beside)
    if useless is not None:
        return none(useless, tried)
    shown = f"it fails on the broken build, and passes with {' and with '.join(verified)}."
    if not verified:
        shown = "it fails on the broken build; no fix is verified, so it has not been seen to pass."
    return Guard(name, finding.mechanism, True, None, text_of(incident, content, tried=shown), shown, tried)


def _obstacle(incident: Incident, mechanism: str) -> str | None:
    """Why no test in the application's repository can show the incident; None where one may."""
    if mechanism in _CANNOT:
        return f"{mechanism} cannot be guarded by a test: {_CANNOT[mechanism]}"
    filling = next((step for step in incident.prepare if step.kind in ("rows", "sql")), None)
    if filling is not None:
        return f"the incident begins from a database that the kit fills ({filling}): a test in the repository cannot"
    http = incident.expect.check.http if incident.expect.check is not None else None
    if http is not None and http.served_by is not None:
        return (
            f"which endpoint answers {http.path} is seen by the kit's probe alone: say in expect.check what the right answer "
            "contains, in place of served_by, and a test can ask for that"
        )
    return None


def _useless(incident: Incident, tried: tuple[Tried, ...]) -> str | None:
    """Why the guard that was tried is not given out; None where it fails and passes as it should."""
    broken, *fixed = tried
    failing = next((trial for trial in fixed if not trial.passes), None)
    elsewhere = incident.database == "postgresql"
    if broken.passes:
        why = "a test of the startup does not see this incident: the guard passes on the broken build"
    elif failing is not None:
        why = f"the guard fails with {failing.fix} too: {failing.because}"
    elif elsewhere and not fixed and not broken.back:
        why = f"the broken build fails for another reason: {broken.because}"
    else:
        return None
    return f"this incident needs PostgreSQL and a guard brings a scratch SQLite database; {why}" if elsewhere else why


def _useless_in_a_clone(here: Tried, cloned: Future, beside: Sequence[str]) -> str | None:
    """Why the guard is not given out where it sees the incident in the work tree only; None where it does in a clone too."""
    try:
        there = cloned.result()
        if not there.passes and there.back == here.back:
            return None
        instead = "passes" if there.passes else "fails for another reason"
    except RunBroke:
        instead = "cannot run"
    named = ", ".join(beside[:_MOST_NAMED]) + " …" * (len(beside) > _MOST_NAMED)
    return (
        f"in a fresh clone the guard {instead} on the broken build: the incident needs what git does not hold ({named}). "
        "Write what decides under app.env of the incident file, or commit it"
    )


def try_guard(incident: Incident, source: str, name: str, fix: str | None, *, without: Sequence[str] = ()) -> Tried:
    """Run the guard as a script in a copy of the application, under the kit's own guards and limits.

    :param without: files and folders, relative to the application's root, that the copy does not have
    """
    with workspace(incident.with_fix(fix), incident.changes_of(fix) if fix else []) as space:
        for path in without:
            remove(space.root / path)
        file = space.root / f"test_{name}.py"
        file.write_text(source, encoding="utf-8")
        steps = len(incident.prepare) + len(incident.startup) + 2
        limits = incident.limits.model_copy(update={"seconds": incident.limits.seconds * steps})
        ran = run([space.python, "-B", str(file), "--json"], space, limits, "guard")
    if ran.why:
        raise RunBroke(f"the guard did not finish: {ran.why}")
    try:
        result = json.loads(ran.stdout)
    except ValueError:  # it raised something of its own
        says = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RunBroke(f"the guard did not run: {says}") from None
    if not result["prepared"] and incident.database != "postgresql":  # its migrations may be PostgreSQL's own
        raise RunBroke(f"the guard did not run: {ran.stderr.strip()}")
    # No docstring is written yet.
    complaint = ran.stderr.strip().removesuffix("The docstring of this file says what to do.").rstrip()
    return Tried(fix, result["right"], result["back"], complaint)
