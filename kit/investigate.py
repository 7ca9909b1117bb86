"""Everything that a postmortem runs, side by side: each fix against each check, the diagnosis, the search over commits.

Proposals are tried here with what ``new`` knows of setups: what an application lacks behind its incident is learnt.
"""

import posixpath
import shlex
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from .base.interrupt import interruptible, pool_of
from .base.progress import Hears, silent
from .diagnose.diagnosis import Diagnosis, diagnose
from .history.search import History, search_if_any
from .incident.environment import called_missing, variables_of
from .incident.interpreters import Interpreter
from .incident.model import Incident
from .incident.project import Project
from .incident.steps import Preparation, Step
from .new.candidates import Start
from .new.next_setups import lessons_behind
from .new.trial import Search, Setup, Trial, seen_in
from .startup.portable import named_executor
from .startup.workspace import workspace
from .trace.expected import of_set_up
from .trace.trace import Trace
from .triage.evidence import evidence_of, of_the_surroundings
from .triage.log_text import text_of
from .triage.logs import read_log
from .verify.verification import Verification, verify

if TYPE_CHECKING:
    from .verify.propose import Lesson, Proposal, Proposals

_STEPS = {"startup": Step, "prepare": Preparation}


class Investigation(NamedTuple):
    """What was run of an incident.

    :ivar history: None for an application without one, and where nothing is expected and nothing goes wrong
    :ivar proposals: fixes that the kit wrote and tried; None where one of the incident file's is verified, or none is needed
    """

    verification: Verification
    diagnosis: Diagnosis
    history: History | None
    proposals: "Proposals | None"


@interruptible
def investigate(incident: Incident, *, executor: Executor | None = None, progress: Hears = silent) -> Investigation:
    """Verify, diagnose and search in one pool, so that no core waits for the end of one of them; then propose, where no fix cures.

    :param executor: where the startups run; by default what the environment's KIT_EXECUTOR names, else threads, one a core
    :raises KitError: what one of the three raises; the others are ended then
    """
    if executor is None:
        with named_executor() as named:
            return _investigate(incident, named, progress)
    return _investigate(incident, executor, progress)


def _investigate(incident: Incident, executor: Executor | None, progress: Hears) -> Investigation:
    messages: SimpleQueue = SimpleQueue()
    # What goes wrong in old builds is no incident where nothing is expected and nothing goes wrong now.
    parts = (verify, diagnose) if incident.expect.empty else (verify, diagnose, search_if_any)
    # These threads only wait for the pool. They are left last, when the pool has ended what they wait for.
    with ThreadPoolExecutor(max_workers=len(parts)) as threads, pool_of(executor) as pool:
        running = [threads.submit(part, incident, executor=pool, progress=messages.put) for part in parts]
        for future in running:
            future.add_done_callback(messages.put)
        waiting = len(running)
        while waiting:
            message = messages.get()
            if isinstance(message, str):
                progress(message)
            else:
                message.result()
                waiting -= 1
        verification, diagnosis, *searched = (future.result() for future in running)
    history = searched[0] if searched else None
    if not searched and verification.reproduced:
        history = search_if_any(incident, executor=executor, progress=progress)
    proposals = propose_where_none_cures(incident, verification, executor=executor, progress=progress)
    return Investigation(verification, diagnosis, history, proposals)


def propose_where_none_cures(
    incident: Incident,
    verification: Verification | None = None,
    *,
    executor: Executor | None = None,
    progress: Hears = silent,
) -> "Proposals | None":
    """Propose fixes where no fix of the incident file is verified; None where one is, or where nothing is to be fixed.

    :param verification: of the incident file's fixes; None if they were not tried: then a file with fixes gets no proposals
    """
    if verification is None:
        wanted = not incident.fixes
    else:
        wanted = verification.reproduced and not verification.verified and not verification.broke
    return propose(incident, executor=executor, progress=progress) if wanted else None


def propose(
    incident: Incident,
    *,
    show_maskers: bool = False,
    executor: Executor | None = None,
    progress: Hears = silent,
    verified: "Callable[[Proposal], None]" = lambda proposal: None,
) -> "Proposals":
    """Write fixes and try each, as :func:`kit.verify.propose.propose`, and learn what the setup lacks behind the incident."""
    from .verify.propose import propose as propose_with  # brings all that writes patches along

    with ExitStack() as ending:
        teach = _Teacher(incident, ending)
        shown = {"executor": executor, "progress": progress, "verified": verified, "show_maskers": show_maskers}
        return propose_with(incident, teach=teach, **shown)


class _Teacher:
    """What ``new`` would try next, were a run a trial of it: the same startup, with what its surroundings lack."""

    def __init__(self, incident: Incident, ending: ExitStack):
        self.incident, self.ending = incident, ending
        self.work: Search | None = None

    def __call__(self, incident: Incident, trace: Trace) -> "list[Lesson]":
        """What a setup lacks by a run of it, the likeliest first; a lesson without an incident cannot be supplied."""
        from .verify.propose import Lesson

        if self.work is None:
            self.work = self._read()
        work, setup = self.work, _setup(incident)
        seen = seen_in(work, trace)
        taught = lessons_behind(work, Trial(setup, trace, 0, seen.error, seen, 0.0))
        lessons = [lesson for lack in taught if (lesson := _lesson(work, incident, setup, lack)) is not None]
        modules = {name.partition(".")[0] for name in seen.missing_modules - work.evidence.missing_modules}
        for name in sorted(name for name in modules - work.installed if not work.project.is_own(name)):
            lessons.append(Lesson(f"{work.python} lacks the package of {name}", {}, None))
        failed = [step.exception for step in trace.steps if step.ok is False and step.exception is not None]
        errors = failed or [caught.error for caught in trace.swallowed]
        kinds = [kind for error in errors for _, kind, _ in error.links]
        if not lessons and (any(map(of_set_up, errors)) or of_the_surroundings(seen, kinds, work.project)):
            lessons.append(Lesson("a file, a service, a right or an argument that is not there", {}, None))
        return lessons

    def _read(self) -> Search:
        """The application and the log, as ``new`` reads them."""
        incident = self.incident
        space = self.ending.enter_context(workspace(incident))
        project = Project(space.root)
        text = incident.expect.error or ""
        log = incident.resolve(incident.log) if incident.log else None
        text, read = text_of(str(log)) if log is not None and log.is_file() else (text, read_log(text))
        installed = Interpreter(Path(incident.python), "").names
        variables, evidence = variables_of(project), evidence_of(read, text, project)
        evidence = replace(evidence, missing_variables=called_missing(evidence, variables))
        work = Search(project, evidence, incident.python, space.folder, lambda text: None, installed)
        work.variables = variables
        return work


def _setup(incident: Incident) -> Setup:
    """The setup that an incident file stands for."""
    app, steps = incident.app, tuple((step.kind, step.text) for step in incident.startup)
    start = Start(steps, "the incident file", 0, app.workdir, tuple(app.path))
    prepare = tuple((step.kind, step.text) for step in incident.prepare)
    database = incident.database, incident.database_driver, incident.database_env
    return Setup(start, tuple(app.path), dict(app.env), *database, prepare)


def _lesson(work: Search, incident: Incident, before: Setup, after: Setup) -> "Lesson | None":
    """A setup that was taught as a lesson; None where it starts the application otherwise."""
    from .verify.propose import Lesson

    if (before.start, before.path) != (after.start, after.path):
        return None
    if ("upgrade", "head") in after.prepare:  # a step, since the incident may show in it
        folder, ini = posixpath.split(posixpath.relpath(work.project.alembic[0], before.start.workdir))
        upgrade = f"python -m alembic -c {shlex.quote(ini)} upgrade head"
        steps = (("command", f"cd {shlex.quote(folder)} && {upgrade}" if folder else upgrade), *before.start.steps)
        after = replace(after, prepare=before.prepare, start=replace(before.start, steps=steps))
    old, new = before.content(work.python), after.content(work.python)
    settings: dict[str, Any] = {key: new.get(key) for key in {*old, *new} - {"app"} if old.get(key) != new.get(key)}
    read = {key: [_STEPS[key].model_validate(step) for step in settings[key]] for key in {*_STEPS} & {*settings}}
    changed = incident.model_copy(
        update={**settings, **read, "app": incident.app.model_copy(update={"env": after.env})}
    )
    env = {name: text for name, text in after.env.items() if before.env.get(name) != text}
    return Lesson(list(after.known.values())[-1], settings | ({"app": {"env": env}} if env else {}), changed)
