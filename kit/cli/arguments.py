"""What each command takes on the command line."""

import argparse
import sys
from pathlib import Path

from .. import __version__
from . import commands


def _called() -> str:
    """The name by which it was called: ``incident-kit`` where it is installed, else ``python -m kit``."""
    return "incident-kit" if Path(sys.argv[0]).name == "incident-kit" else "python -m kit"


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_called(),
        description="Runs the startup of a Python service that fails, and says why it fails and which fix cures it.",
        epilog="COMMAND --help lists the arguments of a command.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=16),
    )
    parser.add_argument("--version", action="version", version=f"incident-kit {__version__}")
    parser.set_defaults(run=None)
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands")

    _beginnings(subparsers)
    _questions(subparsers)
    _questions_of_the_past(subparsers)
    _postmortems(subparsers)
    return parser


_OUTPUTS = {
    "propose": ("FOLDER", "write each patch that cures into FOLDER"),
    "guard": ("FILE", "write the test to FILE"),
    "check": ("FOLDER", "write the pages, junit.xml and summary.md into FOLDER (default: results/check)"),
    "postmortem": ("NAME", "write NAME.html, NAME.ipynb and NAME.json"),
}


def _parser(subparsers, name: str) -> argparse.ArgumentParser:
    """A command of this name; its help is the first line of its function's docstring."""
    run = getattr(commands, name)
    help = f"{run.__doc__[:1].lower()}{run.__doc__[1:].rstrip('.')}"
    parser = subparsers.add_parser(name, help=help, description=help)
    parser.set_defaults(run=run)
    return parser


def _command(subparsers, name: str) -> argparse.ArgumentParser:
    """A command that takes an incident and gives its result as text or as JSON."""
    parser = _parser(subparsers, name)
    if name == "check":
        parser.add_argument("incidents", nargs="+", metavar="INCIDENT", help="an incident.yaml, or a folder of them")
    else:
        parser.add_argument("incident", help="the incident.yaml, or its folder")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    where, writes = _OUTPUTS.get(name, ("FILE", "write the result as JSON to FILE"))
    parser.add_argument("-o", dest="output", metavar=where, help=writes)
    return parser


def _questions(subparsers) -> None:
    """The commands that run an incident's startup."""
    parser = _command(subparsers, "reproduce")
    _takes_traces(parser)
    parser = _command(subparsers, "why")
    parser.add_argument("name", metavar="NAME", help="a module, a table, a class, or the name of a registry's entry")
    _takes_traces(parser)
    _questions_of_causes(subparsers)


def _questions_of_causes(subparsers) -> None:
    """The commands that say why a startup fails, and what cures it."""
    parser = _command(subparsers, "diagnose")
    _takes_traces(parser)
    _keeps_runs(parser)
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="also list every table that was not seen, and what rules out each other mechanism",
    )
    parser.add_argument(
        "--smallest",
        choices=("quick", "full"),
        default="quick",
        help="how long to search for the smallest reproduction: quick stops after about the time of two startups, full goes on to the end",
    )
    parser.add_argument(
        "--format",
        choices=("github", "sarif", "gitlab"),
        help="print the lines that cause the incident in the format of a CI system",
    )
    parser = _command(subparsers, "verify")
    _takes_traces(parser, judge_saved=False)
    _keeps_runs(parser)
    parser.add_argument("--fix", action="append", metavar="NAME", help="only this fix (may be given several times)")
    parser = _command(subparsers, "propose")
    _takes_traces(parser, judge_saved=False)
    _keeps_runs(parser)
    parser.add_argument(
        "--show-maskers",
        action="store_true",
        help="also run changes that only hide the error, and show what each one hides",
    )


def _questions_of_the_past(subparsers) -> None:
    """The commands that ask which build had the incident."""
    parser = _command(subparsers, "triage")
    parser.add_argument(
        "--log", metavar="FILE", help="the log, '-' for standard input (default: the log that the incident file names)"
    )
    parser.add_argument("--cache", metavar="FOLDER", help="where the builds made from patches are kept")
    parser = _command(subparsers, "history")
    parser.add_argument("--from", dest="first", metavar="REVISION", help="search the commits after this one")
    parser.add_argument("--to", dest="last", metavar="REVISION", help="search up to this commit")
    parser.add_argument("--cache", metavar="FOLDER", help="where the results of builds are kept")
    _keeps_runs(parser)


def _postmortems(subparsers) -> None:
    """The commands that keep a postmortem true."""
    parser = _command(subparsers, "postmortem")
    _keeps_runs(parser)
    _takes_traces(parser, judge_saved=False)
    parser = _command(subparsers, "check")
    parser.add_argument(
        "--format", choices=("github",), help="also print an annotation for each postmortem that is no longer true"
    )
    help = "run the startups on a Dask cluster: dask://HOST:PORT, its scheduler's address (default: on this machine)"
    parser.add_argument("--executor", metavar="ADDRESS", help=help)
    parser.add_argument(
        "--record",
        action="store_true",
        help="save this run's result beside each incident file; later checks are compared with it",
    )
    parser = _command(subparsers, "guard")
    _keeps_runs(parser)
    parser.add_argument(
        "--fix",
        action="append",
        metavar="NAME",
        help="the test has to pass with this fix (may be given several times; default: each verified fix)",
    )


def _beginnings(subparsers) -> None:
    """The commands that come first: an incident file, the notebooks."""
    parser = _parser(subparsers, "new")
    parser.add_argument("folder", help="a new folder for the incident file, outside the application's folder")
    parser.add_argument("--app", metavar="PATH", help="the application's folder (default: the current folder)")
    parser.add_argument(
        "--startup",
        action="append",
        default=[],
        metavar="STEP",
        help="a step of the startup, as in 'import app.main' (may be given several times)",
    )
    parser.add_argument("--log", metavar="FILE", help="the incident's log, '-' for standard input")
    parser.add_argument("--python", metavar="PATH", help="the Python interpreter that has the application's packages")
    how = parser.add_mutually_exclusive_group()
    help = "run startups even where the kernel's guards are not in force"
    how.add_argument("--run", dest="tried", action="store_true", default=None, help=help)
    how.add_argument(
        "--read-only", dest="tried", action="store_false", help="only read the sources and the log; run nothing"
    )
    _takes_traces(parser, judge_saved=False)
    _keeps_runs(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser = _parser(subparsers, "notebooks")
    parser.add_argument("folder", help="a new folder, or a folder that has the notebooks already")


def _keeps_runs(parser: argparse.ArgumentParser) -> None:
    help = "run every build again, and keep no result (KIT_NO_CACHE=1 in the environment does the same)"
    parser.add_argument("--no-cache", action="store_true", help=help)


def _takes_traces(parser: argparse.ArgumentParser, *, judge_saved: bool = True) -> None:
    parser.add_argument("--trace", metavar="FILE", help="write the startup's trace to FILE (gzipped if it ends in .gz)")
    if judge_saved:
        parser.add_argument("--from-trace", metavar="FILE", help="judge a saved trace; run nothing")
