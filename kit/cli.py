"""The command line: ``python -m kit COMMAND INCIDENT [--json] [-o FILE]``.

Exit codes: 0 done, and for postmortem, verify and check: it reproduces without the fix, and a fix is verified ·
1 it reproduces, and no fix is verified · 2 the call or the incident file is wrong · 3 it does not
reproduce · 4 the run broke, or that of a fix where none is verified; what was seen until then is kept and shown.
"""

import argparse
import json
import os
import signal
import sys
import traceback
from pathlib import Path

from .base.errors import IncidentError, KitError
from .base.interrupt import once
from .base.redact import redact, redacted, safe
from .incident.load import load
from .incident.model import Incident
from .trace.advice import advice, told_refused
from .trace.expected import why_not
from .trace.values import Conflict, Trace, application_frames


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # half a letter is no reason to say nothing; JSON reads it back
    for number in (signal.SIGTERM, signal.SIGHUP):  # as CI, `timeout` and a closed terminal end a job: like Ctrl+C
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _terminated)
    try:
        with once():
            if getattr(options, "output", None) and options.run is not _check:  # that one makes its folder first
                pages = options.run is _postmortem
                _can_write(str(Path(options.output).with_suffix(".html")) if pages else options.output)
            return options.run(options)
    except KitError as error:
        print(_plain(f"kit: {error}"), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # all is done; what still comes would only be noise
        print("\n" * sys.stderr.isatty() + "kit: interrupted; every process of the run has been ended", file=sys.stderr)
        return 4
    except BrokenPipeError:  # the reader of our output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 4
    except Exception as error:  # a fault of the kit's own; never mistaken for a verdict
        if "KIT_TRACEBACK" in os.environ:
            raise
        where = traceback.extract_tb(error.__traceback__)[-1]
        print(
            f"kit: a fault of the kit itself, at {Path(where.filename).name}:{where.lineno}: {type(error).__name__}: {redact(str(error))}. "
            "Nothing was decided. Set KIT_TRACEBACK=1 to see the whole traceback, and report it with the incident file.",
            file=sys.stderr,
        )
        return 4


def _terminated(number, frame) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kit", description="Makes a postmortem executable.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, run, help):
        one = commands.add_parser(name, help=help, description=help)
        if name == "check":
            one.add_argument(
                "incidents", nargs="+", metavar="INCIDENT", help="an incident.yaml, or a folder of incidents"
            )
        else:
            one.add_argument("incident", help="the incident.yaml, or its folder")
        one.add_argument("--json", action="store_true", help="print the result as JSON")
        one.add_argument("-o", dest="output", metavar="FILE", help="write the result to FILE")
        one.set_defaults(run=run)
        return one

    one = command("reproduce", _reproduce, "run the startup once, traced, and say what was registered where")
    _takes_traces(one)
    one = command("diagnose", _diagnose, "name the mechanism, prove it, show what stands behind it")
    _takes_traces(one)
    one.add_argument(
        "--smallest",
        choices=("quick", "full"),
        default="quick",
        help="how far to search for the smallest reproduction: at most about two startups' time, or to its end",
    )
    one = command("verify", _verify, "try each fix against each check, with the control")
    _takes_traces(one, judge_saved=False)
    one.add_argument("--fix", action="append", metavar="NAME", help="only this fix (may be given several times)")
    one = command("triage", _triage, "say from a log alone which builds can have made it, and what follows from that")
    one.add_argument("--log", metavar="FILE", help="this log, '-' for standard input (default: the incident's own)")
    one.add_argument("--cache", metavar="FOLDER", help="where the builds made from patches are kept")
    one = command("history", _history, "find the commit that brought the incident in, and the one that took it out")
    one.add_argument("--from", dest="first", metavar="REVISION", help="begin after this commit")
    one.add_argument("--to", dest="last", metavar="REVISION", help="the newest commit that is searched")
    one.add_argument("--cache", metavar="FOLDER", help="where results of builds are kept")
    command("postmortem", _postmortem, "run the postmortem notebook; writes .ipynb, .html and .json side by side")
    one = command("check", _check, "say of recorded postmortems, or of a folder of them, whether they are still true")
    one.add_argument(
        "--record", action="store_true", help="write what is proved now beside each, to hold later runs against"
    )
    one = command(
        "guard", _guard, "write a pytest file for the application's own repository, which fails if it comes back"
    )
    one.add_argument(
        "--fix",
        action="append",
        metavar="NAME",
        help="it has to pass with this fix; default: with each verified one (may be given several times)",
    )
    help = "write a new incident file, filled in as far as an application's sources and a log tell"
    one = commands.add_parser("new", help=help, description=help)
    one.add_argument("folder", help="where to, beside the application: a new folder")
    one.add_argument(
        "--app", metavar="PATH", help="the application's folder (default: where the log's files are, or here)"
    )
    one.add_argument(
        "--startup",
        action="append",
        default=[],
        metavar="STEP",
        help="a step, as 'import app.main'; may be given several times",
    )
    one.add_argument("--log", metavar="FILE", help="the log as it was reported, '-' for standard input")
    one.add_argument("--python", metavar="PATH", help="the interpreter that has the application's packages")
    one.set_defaults(run=_new)
    return parser


def _takes_traces(parser: argparse.ArgumentParser, *, judge_saved: bool = True) -> None:
    parser.add_argument("--trace", metavar="FILE", help="write the startup's trace to FILE (gzipped if it ends in .gz)")
    if judge_saved:
        parser.add_argument("--from-trace", metavar="FILE", help="judge a trace that was written, and run nothing")


def _new(options) -> int:
    from .new.writing import new, told_of

    file, found = new(
        Path(options.folder), app=options.app, startup=options.startup, log=options.log, python=options.python
    )
    print("\n".join(told_of(file, found)))
    return 0


def _reproduce(options) -> int:
    from .diagnose.answer import reproduce
    from .trace.expected import shows_incident
    from .views.report import reproduce_report

    incident = load(options.incident)
    trace = Trace.load(options.from_trace) if options.from_trace else reproduce(incident, progress=_say)
    if options.trace:
        trace.save(options.trace)
    reproduced = shows_incident(incident, trace)
    _give(options, reproduce_report(incident, trace, reproduced), _told(incident, trace, reproduced))
    return _code(trace, reproduced)


def _diagnose(options) -> int:
    from .diagnose.diagnosis import diagnose, judge_again
    from .diagnose.meaning import advice_on
    from .diagnose.saved import load_diagnosis, save_diagnosis
    from .views.report import diagnose_report

    incident = load(options.incident)
    if options.from_trace:
        diagnosis = judge_again(incident, load_diagnosis(options.from_trace))
    else:
        diagnosis = diagnose(incident, progress=_say, full=options.smallest == "full")
    if options.trace:
        save_diagnosis(diagnosis, options.trace)
    finding, smallest = diagnosis.finding, diagnosis.smallest
    lines = [*_told(incident, diagnosis.trace, diagnosis.reproduced), f"mechanism: {finding.mechanism}"]
    lines += [f"  because {sentence}" for sentence in finding.because]
    lines += [f"  {one.role} {one} {one.name or ''}".rstrip() for one in diagnosis.sites]
    tried = diagnosis.experiment
    lines += [f"  tried: {tried.says}: {tried.outcome}: {tried.seen}"] if tried else []
    lines += [f"  what to do: {advised}" for advised in [advice_on(finding.mechanism)] if advised]
    lines += [f"migrations agree with: {diagnosis.definitions.agrees}"] if diagnosis.definitions else []
    lines += [
        f"behind it: {one.error} at {one.site}" + (" (follows from an earlier one)" if one.follows else "")
        for one in diagnosis.masked
    ]
    lines += [f"{one.verdict}: {one.claim}\n    {one.evidence}" for one in diagnosis.hypotheses]
    lines += [f"smallest reproduction: {smallest.command or smallest.note}"] if smallest else []
    for one in diagnosis.unseen:
        lines.append(
            f"not seen by {one.by}: table {one.named.table} at {one.named.file}:{one.named.line}; {one.remedy}"
        )
    lines += ["against the other mechanisms:"] if finding.against else []
    lines += [f"  not {slug}: {sentence}" for slug, sentence in finding.against.items()]
    _give(options, diagnose_report(incident, diagnosis), lines)
    return _code(diagnosis.trace, diagnosis.reproduced)


def _verify(options) -> int:
    from .verify.verification import verify
    from .views.report import verify_report

    incident = load(options.incident)
    _refuse_unknown(incident, options.fix)
    verification = verify(incident, only=options.fix, progress=_say)
    if options.trace:
        verification.control.trace.save(options.trace)
    lines = [f"control: {'reproduces' if verification.reproduced else 'does not reproduce'}"]
    lines += [] if verification.reproduced else [f"    {s}" for s in why_not(incident, verification.control.trace)]
    lines += [f"    {said}" for said in [told_refused(verification.control.trace.refused)] if said]
    for one in verification.fixes:
        lines.append(f"{one.name}: {one.verdict}: {one.because}")
        words = {True: "holds", False: "fails", None: "undecided"}
        lines += [f"    {words[check.ok]}  {check.check}: {check.seen}" for check in one.checks]
    lines.append(f"verified: {', '.join(verification.verified) or 'no fix'}")
    _give(options, verify_report(incident, verification), lines)
    fixed = 0 if verification.verified else 4 if verification.broke else 1
    return _code(verification.control.trace, verification.reproduced) or fixed


def _refuse_unknown(incident: Incident, fixes: list[str] | None) -> None:
    unknown = set(fixes or ()) - set(incident.fixes)
    if unknown:
        raise IncidentError(
            f"--fix {unknown.pop()}: {incident.file} has the fixes {', '.join(incident.fixes) or '(none)'}"
        )


def _triage(options) -> int:
    from .triage.origin import triage_incident
    from .views.report import triage_report

    incident = load(options.incident)
    report = triage_report(incident, triage_incident(incident, options.log, cache=options.cache))
    lines = [report["error"]]
    for frame in report["frames"]:
        word = {True: "stands", False: "differs", None: "undecided"}[frame["matches"]]
        lines.append(f"  {word}  {frame['file']}:{frame['line']}  {frame['text'] or ''}")
    lines += [f"{one['says']}\n    because {one['because']}" for one in report["deductions"]]
    lines += [f"note: {note}" for note in report["notes"]]
    _give(options, report, lines)
    return 0


def _history(options) -> int:
    from .history.search import history_of
    from .views.report import history_report

    incident = load(options.incident)
    found = history_of(incident, first=options.first, last=options.last, cache=options.cache, progress=_say)
    report = history_report(incident, found)
    lines = [f"{incident.title}: {found.commits} commits, {found.runs} builds run, {found.kept} known from before"]
    for what in ("introduced", "fixed"):
        change = report["changes"][what]
        named = f"{change['sha'][:9]} {change['date']} {change['subject']}" if change else "undecided or nowhere"
        lines.append(f"{what}: {named}\n    {report['because'][what]}")
    lines += [f"claims the fix: {one['sha'][:9]} {one['subject']}: {one['verdict']}" for one in report["claims"]]
    lines += [f"  {one['sha'][:9]}  {one['verdict']}  {one['subject']}: {one['because']}" for one in report["commits"]]
    lines += [f"note: {note}" for note in report["notes"]]
    _give(options, report, lines)
    if found.introduced or found.fixed:
        return 0
    return 4 if found.reproduced or found.untestable_only else 3


def _postmortem(options) -> int:
    from .postmortem.publication import publish

    incident = load(options.incident)
    published = publish(incident, Path(options.output).expanduser() if options.output else None, progress=_say)
    report = published.report
    lines = [f"page: {published.html}", f"verdict: {published.verdict}"]
    lines += [said for said in [told_refused(report["refused"])] if said]
    lines += [f"missing, only people know it: {', '.join(report['missing'])}"] if report["missing"] else []
    print(json.dumps(report, indent=2) if options.json else _plain("\n".join(lines)))
    return published.code


def _check(options) -> int:
    from .postmortem.recheck import VERDICTS, check_all, check_report, find_incidents, worst
    from .postmortem.recheck_files import headline, write_files

    target = Path(options.output).absolute() if options.output else None
    as_file = target is not None and target.suffix == ".json"  # the pages then go where they go by default
    folder = Path("results/check").absolute() if target is None or as_file else target
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IncidentError(f"-o {folder}: this folder cannot be made: {error.strerror}") from None
    checked = check_all(find_incidents(options.incidents), folder, record=options.record, progress=_say)
    write_files(checked, folder)
    lines = []
    for one in checked:
        lines += [f"{one.name}: {VERDICTS[one.code]}: {one.says}", *(f"    {said}" for said in one.drift)]
    lines += [f"index: {folder / 'index.html'}", f"{headline(checked)}"]
    options.output = options.output if as_file else None
    _give(options, check_report(checked, folder), lines)
    return worst(checked)


def _guard(options) -> int:
    from .verify.guard import guard_report, make_guard

    incident = load(options.incident)
    _refuse_unknown(incident, options.fix)
    guard = make_guard(incident, fixes=options.fix, progress=_say)
    if options.output and guard.source is not None:
        _write(options.output, guard.source)
    if options.json:
        print(_as_json(redacted(guard_report(incident, guard))))
    elif guard.source is None:
        print(_plain(f"no guard is written: {guard.because}"))
    elif options.output:
        print(_plain(f"guard: {options.output}\n{guard.because}"))
    else:
        print(guard.source, end="")
    return guard.code


def _code(trace: Trace, reproduced: bool) -> int:
    return 4 if trace.broke else 0 if reproduced else 3


def _told(incident: Incident, trace: Trace, reproduced: bool) -> list[str]:
    """What ``reproduce`` says in words."""
    lines = [f"{incident.title}: {'reproduced' if reproduced else 'not reproduced'}"]
    for step in trace.steps:
        lines.append(f"  step {step.number}  {_word(step.ok)}  {step}")
        if step.error:
            broke = "the run broke: " if step.broke else ""
            lines += [f"      {said}" for said in (f"{broke}{step.error}", *advice(incident, step.error))]
            way = application_frames(step.exception.frames) if step.exception else ()
            if way and not any(one.second.site.file == way[-1].file for one in trace.conflicts):
                lines.append(f"      raised at {' → '.join(map(str, way))}")
    lines += [f"  {said}" for said in [told_refused(trace.refused)] if said]
    for one in trace.conflicts:
        lines.append(f"  table {one.table}, on the metadata made at {one.metadata.label}")
        for which, each in (("first ", one.first), ("second", one.second)):
            if each is not None:
                way = " → ".join(str(frame) for frame in application_frames(each.chain)[:-1])
                named = f" of module {each.site.module}" if _under_two_names(one) else ""
                lines.append(f"    {which} {each.site} {each.site.name or ''}{named} by {way or 'the step itself'}")
    lines += [f"  swallowed at {one.site}: {one.error}" for one in trace.swallowed]
    lines += [] if reproduced else [f"  {sentence}" for sentence in why_not(incident, trace, told=True)]
    if trace.broke and not any(step.broke for step in trace.steps):
        lines.append(f"  the run broke: {trace.broke}")
    lines += [f"  not recorded: {text}" for text in trace.lost]
    return lines


def _under_two_names(conflict: Conflict) -> bool:
    """Is it one file, executed as two modules?"""
    first, second = conflict.first, conflict.second
    return bool(first) and first.site.file == second.site.file and first.site.module != second.site.module


def _word(ok: bool | None) -> str:
    return {True: "holds", False: "fails", None: "not asked"}[ok]


def _plain(text: str) -> str:
    """Text as a terminal may show it: without secrets, and without codes that a terminal obeys."""
    return "\n".join(map(safe, redact(text).split("\n")))


def _say(text: str) -> None:
    print(_plain(f"kit: {text}"), file=sys.stderr, flush=True)


def _give(options, report: dict, lines: list[str]) -> None:
    report, words = redacted(report), _plain("\n".join(lines))
    text = _as_json(report) if options.json or options.output else words
    if options.output:
        _write(options.output, text + "\n")
        if not options.json:
            print(words)
    if options.json or not options.output:
        print(text)


def _as_json(report: dict) -> str:
    """A report that is already redacted, as text.

    :raises SecretFound: it would hold a secret all the same
    """
    from .base.scan import refuse_secrets

    text = json.dumps(report, indent=2, ensure_ascii=False)
    refuse_secrets({"result.json": text})
    return text


def _can_write(target: str) -> None:
    """Say before the work is done that its result could not be written; a missing folder is made when it is.

    :raises IncidentError: there is a folder of that name, or none can be made or written to
    """
    path = Path(target).expanduser().absolute()
    folder = next(one for one in path.parents if one.exists() or one.is_symlink())
    why = None
    if path.is_dir():
        why = "this is a folder; name a file in it"
    elif not folder.is_dir():
        why = f"{folder} is no folder"
    elif not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        why = f"{path if path.exists() else folder} is not to be written to"
    if why:
        raise IncidentError(f"-o {target}: cannot be written: {why}")


def _write(target: str, text: str) -> None:
    path = Path(target).expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise IncidentError(f"-o {target}: cannot be written: {error.strerror}") from None
