"""The command line: ``python -m kit COMMAND INCIDENT [--json] [-o FILE]``.

Exit codes: 0 done, and for postmortem, verify and check: it reproduces without the fix, and a fix is verified ·
1 it reproduces, and no fix is verified · 2 the call or the incident file is wrong · 3 it does not
reproduce · 4 the run broke, or that of a fix where none is verified; what was seen until then is kept and shown.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .base.errors import IncidentError, KitError

# What a command needs is imported where it runs: `--help` costs nothing.
if TYPE_CHECKING:
    from .incident.model import Incident
    from .trace.values import Trace


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.run is None:
        parser.print_help()
        return 0
    from .base.interrupt import once

    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # half a letter is no reason to say nothing; JSON reads it back
    for number in (signal.SIGTERM, signal.SIGHUP):  # as CI, `timeout` and a closed terminal end a job: like Ctrl+C
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _terminated)
    try:
        with once():
            if getattr(options, "output", None) and options.run not in (_check, _propose):  # those make a folder
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
        import traceback

        from .base.redact import redact

        where = traceback.extract_tb(error.__traceback__)[-1]
        print(
            f"kit: a fault of the kit itself, at {Path(where.filename).name}:{where.lineno}: {type(error).__name__}: {redact(str(error))}. "
            "Nothing was decided. Set KIT_TRACEBACK=1 to see the whole traceback, and report it with the incident file.",
            file=sys.stderr,
        )
        return 4


def _terminated(number, frame) -> None:
    raise KeyboardInterrupt


def _called() -> str:
    """The name by which it was called: ``incident-kit`` where it is installed, else ``python -m kit``."""
    return "incident-kit" if Path(sys.argv[0]).name == "incident-kit" else "python -m kit"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_called(),
        description="Runs the startup of a Python service that fails, says why, and which fix cures it.",
        epilog="A command with --help says what it takes.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=16),
    )
    parser.add_argument("--version", action="version", version=f"incident-kit {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")

    _questions(commands)
    _postmortems(commands)
    _beginnings(commands)
    return parser


def _command(commands, name: str, run, help: str) -> argparse.ArgumentParser:
    """A command that takes an incident, and gives its result in words or as JSON."""
    parser = commands.add_parser(name, help=help, description=help)
    if name == "check":
        parser.add_argument(
            "incidents", nargs="+", metavar="INCIDENT", help="an incident.yaml, or a folder of incidents"
        )
    else:
        parser.add_argument("incident", help="the incident.yaml, or its folder")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("-o", dest="output", metavar="FILE", help="write the result to FILE")
    parser.set_defaults(run=run)
    return parser


def _questions(commands) -> None:
    """The commands that ask one question of an incident."""
    one = _command(commands, "reproduce", _reproduce, "run the startup once, traced, and say what it registers where")
    _takes_traces(one)
    one = _command(
        commands, "why", _why, "say who imported, registered or rebound a module, a table or a name, in order"
    )
    one.add_argument("name", metavar="NAME", help="a module, a table, or a class")
    _takes_traces(one)
    one = _command(
        commands,
        "diagnose",
        _diagnose,
        "say why it fails, with the evidence, and what is hidden behind the first error",
    )
    _takes_traces(one)
    one.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="every table that was not seen, and what rules out each other mechanism",
    )
    one.add_argument(
        "--smallest",
        choices=("quick", "full"),
        default="quick",
        help="how far to search for the smallest reproduction: at most about two startups' time, or to its end",
    )
    one.add_argument(
        "--format", choices=("github", "sarif", "gitlab"), help="print the lines at fault as CI reads them"
    )
    one = _command(commands, "verify", _verify, "try each fix against each check, and the build without a fix")
    _takes_traces(one, judge_saved=False)
    one.add_argument("--fix", action="append", metavar="NAME", help="only this fix (may be given several times)")
    one = _command(
        commands,
        "propose",
        _propose,
        "write fixes, try each, and show the ones that hold; -o names a folder for the patches",
    )
    one.add_argument(
        "--show-maskers", action="store_true", help="also run what only hides the error, to show what it hides"
    )
    one = _command(
        commands, "triage", _triage, "say from a log alone which builds can have made it, without running anything"
    )
    one.add_argument("--log", metavar="FILE", help="this log, '-' for standard input (default: the incident's own)")
    one.add_argument("--cache", metavar="FOLDER", help="where the builds made from patches are kept")
    one = _command(
        commands, "history", _history, "find the commit that introduced the incident, and the one that fixed it"
    )
    one.add_argument("--from", dest="first", metavar="REVISION", help="begin after this commit")
    one.add_argument("--to", dest="last", metavar="REVISION", help="the newest commit that is searched")
    one.add_argument("--cache", metavar="FOLDER", help="where results of builds are kept")


def _postmortems(commands) -> None:
    """The commands that keep a postmortem true."""
    _command(
        commands, "postmortem", _postmortem, "run the postmortem notebook; write .ipynb, .html and .json side by side"
    )
    one = _command(commands, "check", _check, "say whether postmortems, or all in a folder, are still true")
    one.add_argument(
        "--record",
        action="store_true",
        help="write what is proved now beside each incident, to compare later runs with",
    )
    one = _command(
        commands,
        "guard",
        _guard,
        "write a pytest file for the application's repository that fails if the incident comes back",
    )
    one.add_argument(
        "--fix",
        action="append",
        metavar="NAME",
        help="the guard has to pass with this fix (may be given several times; default: each verified fix)",
    )


def _beginnings(commands) -> None:
    """The commands that one begins with: an incident file, the notebooks."""
    help = "write an incident file from an application's sources and a log"
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
    how = one.add_mutually_exclusive_group()
    help = "try startups, also where the kernel's guards are not in force"
    how.add_argument("--run", dest="tried", action="store_true", default=None, help=help)
    how.add_argument("--read-only", dest="tried", action="store_false", help="read, and run nothing")
    one.add_argument("--json", action="store_true", help="print JSON")
    one.set_defaults(run=_new)
    help = "put the notebooks and the bundled incident into a folder; what is there already is kept"
    one = commands.add_parser("notebooks", help=help, description=help)
    one.add_argument("folder", help="where to: a new folder, or one that has them")
    one.set_defaults(run=_notebooks)


def _takes_traces(parser: argparse.ArgumentParser, *, judge_saved: bool = True) -> None:
    parser.add_argument("--trace", metavar="FILE", help="write the startup's trace to FILE (gzipped if it ends in .gz)")
    if judge_saved:
        parser.add_argument("--from-trace", metavar="FILE", help="judge a trace that was written, and run nothing")


def _notebooks(options) -> int:
    from .postmortem.notebooks import copy_notebooks

    written, kept = copy_notebooks(Path(options.folder).expanduser())
    print(f"notebooks: {options.folder} ({len(written)} written, {len(kept)} kept as they are)")
    return 0


def _new(options) -> int:
    from .new import new
    from .views.written import new_lines, new_report

    given = {"app": options.app, "startup": options.startup, "log": options.log, "python": options.python}
    with _progress() as say:
        written = new(Path(options.folder), **given, run=options.tried, progress=say)
    options.output = None
    _give(options, new_report(written), new_lines(written))
    return written.code


def _reproduce(options) -> int:
    from .diagnose.answer import reproduce
    from .incident.load import load
    from .trace.expected import shows_incident
    from .trace.values import Trace
    from .views.report import reproduce_report
    from .views.terminal import startup_lines

    incident = load(options.incident)
    with _progress() as say:
        trace = Trace.load(options.from_trace) if options.from_trace else reproduce(incident, progress=say)
    if options.trace:
        trace.save(options.trace)
    reproduced = shows_incident(incident, trace)
    _give(options, reproduce_report(incident, trace, reproduced), startup_lines(incident, trace, reproduced))
    return _code(trace, reproduced)


def _why(options) -> int:
    from .incident.load import load
    from .startup.run import reproduce
    from .trace.values import Trace
    from .trace.why import near, why
    from .views.report import why_report
    from .views.terminal import why_lines

    incident = load(options.incident)
    with _progress() as say:
        trace = Trace.load(options.from_trace) if options.from_trace else reproduce(incident, progress=say)
    if options.trace:
        trace.save(options.trace)
    events = why(trace, options.name)
    _give(options, why_report(options.name, events), why_lines(options.name, events, near(trace, options.name)))
    return 0 if events else 3


def _diagnose(options) -> int:
    from .diagnose.diagnosis import diagnose, judge_again
    from .diagnose.saved import load_diagnosis, save_diagnosis
    from .incident.load import load
    from .views.report import diagnose_report
    from .views.terminal import diagnosis_lines

    incident = load(options.incident)
    if options.from_trace:
        diagnosis = judge_again(incident, load_diagnosis(options.from_trace))
    else:
        with _progress() as say:
            diagnosis = diagnose(incident, progress=say, full=options.smallest == "full")
    if options.trace:
        save_diagnosis(diagnosis, options.trace)
    report = diagnose_report(incident, diagnosis)
    if options.format:
        _give_to_ci(options, incident, report)
    else:
        _give(options, report, diagnosis_lines(incident, diagnosis, verbose=options.verbose))
    return _code(diagnosis.trace, diagnosis.reproduced)


def _verify(options) -> int:
    from .incident.load import load
    from .verify.verification import verify
    from .views.report import verify_report
    from .views.terminal import verification_lines

    incident = load(options.incident)
    _refuse_unknown(incident, options.fix)
    with _progress() as say:
        verification = verify(incident, only=options.fix, progress=say)
    if options.trace:
        verification.control.trace.save(options.trace)
    _give(options, verify_report(incident, verification), verification_lines(incident, verification))
    fixed = 0 if verification.verified else 4 if verification.broke else 1
    return _code(verification.control.trace, verification.reproduced) or fixed


def _propose(options) -> int:
    from .base.redact import redacted
    from .incident.load import load
    from .verify.propose import propose
    from .views.proposals import first_lines, proposals_lines, proposals_report, write_proposals

    incident = load(options.incident)

    def at_once(proposal) -> None:
        if not options.json:
            print(_plain("\n".join(first_lines(proposal))), flush=True)

    with _progress() as say:
        proposals = propose(incident, show_maskers=options.show_maskers, progress=say, verified=at_once)
    lines = proposals_lines(proposals)
    if options.output:
        lines += write_proposals(proposals, Path(options.output).expanduser(), incident)
    report = redacted(proposals_report(proposals))
    print(_as_json(report) if options.json else _plain("\n".join(lines)))
    return 3 if not proposals.reproduced else 0 if proposals.verified else 1


def _refuse_unknown(incident: "Incident", fixes: list[str] | None) -> None:
    unknown = set(fixes or ()) - set(incident.fixes)
    if unknown:
        raise IncidentError(
            f"--fix {unknown.pop()}: {incident.file} has the fixes {', '.join(incident.fixes) or '(none)'}"
        )


def _triage(options) -> int:
    from .incident.load import load
    from .triage.origin import triage_incident
    from .views.report import triage_report
    from .views.terminal import triage_lines

    incident = load(options.incident)
    report = triage_report(incident, triage_incident(incident, options.log, cache=options.cache))
    _give(options, report, triage_lines(report))
    return 0


def _history(options) -> int:
    from .history.search import history_of
    from .incident.load import load
    from .views.report import history_report
    from .views.terminal import history_lines

    incident = load(options.incident)
    with _progress() as say:
        found = history_of(incident, first=options.first, last=options.last, cache=options.cache, progress=say)
    report = history_report(incident, found)
    _give(options, report, history_lines(report))
    if found.introduced or found.fixed:
        return 0
    return 4 if found.reproduced or found.untestable_only else 3


def _postmortem(options) -> int:
    from .incident.load import load
    from .postmortem.publication import publish
    from .views.terminal import postmortem_lines

    incident = load(options.incident)
    with _progress() as say:
        published = publish(incident, Path(options.output).expanduser() if options.output else None, progress=say)
    report = published.report
    lines = postmortem_lines(published.html, published.verdict, report)
    print(_as_json(report) if options.json else _plain("\n".join(lines)))
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
    with _progress() as say:
        checked = check_all(find_incidents(options.incidents), folder, record=options.record, progress=say)
    write_files(checked, folder)
    lines = []
    for one in checked:
        lines += [f"{one.name}: {VERDICTS[one.code]}: {one.says}", *(f"    {said}" for said in one.drift)]
    lines += [f"index: {folder / 'index.html'}", f"{headline(checked)}"]
    options.output = options.output if as_file else None
    _give(options, check_report(checked, folder), lines)
    return worst(checked)


def _guard(options) -> int:
    from .base.redact import redacted
    from .incident.load import load
    from .verify.guard import guard_report, make_guard

    incident = load(options.incident)
    _refuse_unknown(incident, options.fix)
    with _progress() as say:
        guard = make_guard(incident, fixes=options.fix, progress=say)
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


def _code(trace: "Trace", reproduced: bool) -> int:
    return 4 if trace.broke else 0 if reproduced else 3


def _plain(text: str) -> str:
    """Text as a terminal may show it: without secrets, and without codes that a terminal obeys."""
    from .base.redact import redact, safe

    return "\n".join(map(safe, redact(text).split("\n")))


def _say(text: str) -> None:
    print(_plain(f"kit: {text}"), file=sys.stderr, flush=True)


def _progress():
    """What tells of progress: a bar on a terminal, else a line each."""
    from .base.progress import on_terminal

    return on_terminal(_say)


def _give(options, report: dict, lines: list[str]) -> None:
    from .base.redact import redacted

    report, words = redacted(report), _plain("\n".join(lines))
    text = _as_json(report) if options.json or options.output else words
    if options.output:
        _write(options.output, text + "\n")
        if not options.json:
            print(words)
    if options.json or not options.output:
        print(text)


def _give_to_ci(options, incident: "Incident", report: dict) -> None:
    """A diagnosis as a CI system reads it; on GitHub also into the job's summary."""
    from .base.redact import redacted
    from .base.scan import refuse_secrets
    from .views.ci import ci_text, summary

    report = redacted(report)
    text, said = ci_text(options.format, incident, report), summary(incident, report)
    refuse_secrets({f"result.{options.format}": text, "summary.md": said})
    if options.output:
        _write(options.output, text + "\n")
    elif text:
        print(text)
    if options.format == "github" and (file := os.environ.get("GITHUB_STEP_SUMMARY")):
        with open(file, "a", encoding="utf-8") as job:
            job.write(said)


def _as_json(report: dict) -> str:
    """A report that is already redacted, as text.

    :raises SecretFound: it would hold a secret all the same
    """
    import json

    from .base.scan import refuse_secrets

    text = json.dumps(report, indent=2, ensure_ascii=False)
    refuse_secrets({"result.json": text})
    return text


def _can_write(target: str) -> None:
    """Say before the work is done that its result could not be written; a missing folder is made when it is.

    :raises IncidentError: there is a folder of that name, or none can be made or written to
    """
    path = Path(target).expanduser().absolute()
    folder = next(parent for parent in path.parents if parent.exists() or parent.is_symlink())
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
