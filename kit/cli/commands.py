"""The commands, a function each: the parsed options in, the exit code out.

What a command needs is imported where it runs: `--help` costs nothing.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import IncidentError
from .output import as_json, give, give_to_ci, plain, progress, write

if TYPE_CHECKING:
    from ..incident.model import Incident
    from ..trace.trace import Trace


def notebooks(options) -> int:
    """Copy the notebooks and the bundled incident into a folder; files that exist are kept."""
    from ..postmortem.notebooks import copy_notebooks

    written, kept = copy_notebooks(Path(options.folder).expanduser())
    print(f"notebooks: {options.folder} ({len(written)} written, {len(kept)} kept as they are)")
    return 0


def new(options) -> int:
    """Write an incident file from an application's sources and a log."""
    from ..new import new
    from ..views.new_incident import new_lines, new_report

    parameters = {"app": options.app, "startup": options.startup, "log": options.log, "python": options.python}
    with progress() as say:
        written = new(Path(options.folder), **parameters, run=options.tried, progress=say)
    if options.trace and written.best is not None and written.best.trace is not None:
        written.best.trace.save(options.trace)
    options.output = None
    give(options, new_report(written), new_lines(written))
    return written.code


def reproduce(options) -> int:
    """Run the startup once, say whether the incident occurs, and which lines it comes from."""
    from ..diagnose.diagnosis import reproduce
    from ..trace.expected import shows_incident

    incident = options.incident
    trace = _traced(options, incident, reproduce)
    from ..views.report import reproduce_report
    from ..views.terminal import startup_lines

    reproduced = shows_incident(incident, trace)
    give(options, reproduce_report(incident, trace, reproduced), startup_lines(incident, trace, reproduced))
    return _code(incident, trace, reproduced)


def _traced(options, incident: "Incident", reproduce) -> "Trace":
    """The trace that was kept, or that a startup gives; it is kept where it was asked for."""
    from ..trace.trace import Trace

    with progress() as say:
        trace = Trace.load(options.from_trace) if options.from_trace else reproduce(incident, progress=say)
    if options.trace:
        trace.save(options.trace)
    return trace


def why(options) -> int:
    """List who imported, registered or rebound a module, a table or a name, in order."""
    from ..startup.run import reproduce
    from ..trace.why import why
    from ..views.report import why_report
    from ..views.startup import why as shown

    incident = options.incident
    trace = _traced(options, incident, reproduce)
    events = why(trace, options.name)
    give(options, why_report(options.name, events), [shown(trace, options.name).text])
    return 0 if events else 3


def diagnose(options) -> int:
    """Say why the startup fails, with the evidence, and which errors are hidden behind the first one."""
    from ..diagnose.diagnosis import diagnose, judge_again, load_diagnosis, save_diagnosis

    incident = options.incident
    if options.from_trace:
        diagnosis = judge_again(incident, load_diagnosis(options.from_trace))
    else:
        with progress() as say:
            diagnosis = diagnose(incident, progress=say, full=options.smallest == "full")
    if options.trace:
        save_diagnosis(diagnosis, options.trace)
    from ..views.report import diagnose_report
    from ..views.terminal import diagnosis_lines

    report = diagnose_report(incident, diagnosis)
    if options.format:
        give_to_ci(options, incident, report)
    else:
        give(options, report, diagnosis_lines(incident, diagnosis))
    return _code(incident, diagnosis.trace, diagnosis.reproduced)


def verify(options) -> int:
    """Run the build without a fix and with each fix, and try every check on each."""
    from ..verify.verification import verify
    from ..views.report import verify_report
    from ..views.terminal import verification_lines

    incident = options.incident
    _refuse_unknown(incident, options.fix)
    with progress() as say:
        verification = verify(incident, only=options.fix, progress=say)
    if options.trace:
        verification.control.trace.save(options.trace)
    give(options, verify_report(incident, verification), verification_lines(incident, verification))
    fixed = 0 if verification.verified else 4 if verification.broke else 1
    return _code(incident, verification.control.trace, verification.reproduced) or fixed


def propose(options) -> int:
    """Write fixes, try each one, and show those that cure."""
    from ..investigate import propose
    from ..views.proposals import cure, proposals, write_proposals
    from ..views.report import proposals_report

    incident = options.incident

    def at_once(proposal) -> None:
        says = f"the first proposal that cures, while others are still tried:\n\n{cure(proposal).text}\n"
        if not options.json:
            print(plain(says), flush=True)

    with progress() as say:
        tried = propose(incident, show_maskers=options.show_maskers, progress=say, verified=at_once)
    if options.trace:
        tried.trace.save(options.trace)
    lines = [f"mechanism: {tried.mechanism}", "", proposals(tried).text]
    if options.output:
        lines += write_proposals(tried, Path(options.output).expanduser(), incident)
    print(as_json(proposals_report(tried)) if options.json else plain("\n".join(lines)))
    return _code(incident, tried.trace, tried.reproduced) or (0 if tried.verified else 1)


def _refuse_unknown(incident: "Incident", fixes: list[str] | None) -> None:
    unknown = set(fixes or ()) - set(incident.fixes)
    if unknown:
        raise IncidentError(
            f"--fix {unknown.pop()}: {incident.file} has the fixes {', '.join(incident.fixes) or '(none)'}"
        )


def triage(options) -> int:
    """Say which builds could have written a log; nothing is run."""
    from ..triage.origin import triage_incident
    from ..views import builds, deductions, frames, made_by
    from ..views.report import triage_report

    read = triage_incident(options.incident, options.log, cache=options.cache)
    lines = [f"{view(read).text}\n" for view in (made_by, frames, builds, deductions)]
    give(options, triage_report(options.incident, read), lines)
    return 0


def history(options) -> int:
    """Find the commit that introduced the incident, and the commit that fixed it."""
    from ..history.search import history_of
    from ..views import came_and_went, claimed
    from ..views import searched as judged
    from ..views.report import history_report

    incident = options.incident
    with progress() as say:
        where = {"first": options.first, "last": options.last, "cache": options.cache, "anew": options.no_cache}
        searched = history_of(incident, **where, progress=say)
    lines = [f"{view(searched).text}\n" for view in (came_and_went, judged, claimed)]
    give(options, history_report(incident, searched), lines)
    none_is_told = 4 if searched.reproduced or searched.untestable_only else 3
    return 0 if searched.introduced or searched.fixed else none_is_told


def postmortem(options) -> int:
    """Run the postmortem notebook, and write the .ipynb, .html and .json files side by side."""
    from ..postmortem.publication import publish

    incident = options.incident
    output = Path(options.output).expanduser() if options.output else None
    with progress() as say:
        published = publish(incident, output, trace=options.trace, progress=say)
    from ..views.terminal import postmortem_lines

    report = published.report
    lines = postmortem_lines(published.html, published.verdict, report)
    print(as_json(report) if options.json else plain("\n".join(lines)))
    return published.code


def check(options) -> int:
    """Run recorded postmortems again, and say whether each is still true."""
    from ..postmortem.recheck import VERDICTS, check_all, check_report, find_incidents, worst
    from ..postmortem.recheck_files import annotations, headline, write_files
    from ..startup.portable import named_executor

    target = Path(options.output).absolute() if options.output else None
    as_file = target is not None and target.suffix == ".json"  # the pages then go where they go by default
    folder = Path("results/check").absolute() if target is None or as_file else target
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IncidentError(f"-o {folder}: this folder cannot be made: {error.strerror}") from None
    with progress() as say:
        incidents = find_incidents(options.incidents)
        with named_executor(options.executor):  # a wrong address is said once, and at once
            pass
        checked = check_all(incidents, folder, record=options.record, startups=options.executor, progress=say)
    write_files(checked, folder)
    drift = {it.name: "".join(f"\n    {difference}" for difference in it.drift) for it in checked}
    lines = [f"{it.name}: {VERDICTS[it.code]}: {it.says}{drift[it.name]}" for it in checked]
    lines += [f"index: {folder / 'index.html'}", f"{headline(checked)}"]
    options.output = options.output if as_file else None
    give(options, check_report(checked, folder), lines)
    if options.format:
        print(*annotations(checked, incidents), sep="\n", file=sys.stderr if options.json else sys.stdout)
    return worst(checked)


def guard(options) -> int:
    """Write a pytest file for the application's repository that fails if the incident comes back."""
    from ..verify.guard import guard_report, make_guard

    incident = options.incident
    _refuse_unknown(incident, options.fix)
    with progress() as say:
        guard = make_guard(incident, fixes=options.fix, progress=say)
    if options.output and guard.source is not None:
        write(options.output, guard.source)
    if options.json:
        print(as_json(guard_report(incident, guard)))
    elif guard.source is None:
        print(plain(f"no guard is written: {guard.because}"))
    elif options.output:
        print(plain(f"guard: {options.output}\n{guard.because}"))
    else:
        print(guard.source, end="")
    return guard.code


def _code(incident: "Incident", trace: "Trace", reproduced: bool) -> int:
    from ..trace.expected import broke_before

    return 4 if broke_before(incident, trace) else 0 if reproduced else 3
