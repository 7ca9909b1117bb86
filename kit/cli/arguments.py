"""What each command takes on the command line."""

import argparse
import sys
from pathlib import Path
from typing import Any

from .. import __version__
from . import commands


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="incident-kit" if Path(sys.argv[0]).name == "incident-kit" else "python -m kit",
        description="Runs the startup of a Python service that fails, and says why it fails and which fix cures it.",
        epilog="COMMAND --help lists the arguments of a command.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=16),
    )
    parser.add_argument("--version", action="version", version=f"incident-kit {__version__}")
    parser.set_defaults(run=None)
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, takes in _COMMANDS.items():
        _add_command(subparsers, name, takes.split())
    return parser


def _add_command(subparsers, name: str, takes: list[str]) -> None:
    """A command of this name; its help is the first line of its function's docstring."""
    run = getattr(commands, name)
    help = f"{run.__doc__[:1].lower()}{run.__doc__[1:].rstrip('.')}"
    parser = subparsers.add_parser(name, help=help, description=help)
    parser.set_defaults(run=run)
    for argument in takes:
        if argument == "-o":
            where, writes = _OUTPUTS.get(name, ("FILE", "write the result as JSON to FILE"))
            parser.add_argument("-o", dest="output", metavar=where, help=writes)
        group = parser.add_mutually_exclusive_group() if "|" in argument else parser
        for part in argument.split("|") if argument != "-o" else ():
            flag, _, help = _ARGUMENTS[part].partition(": ")
            group.add_argument(flag, help=help, **_TAKES.get(part, {}))


# What a command takes, by the names of the rows below; what excludes each other has a stroke between.
_COMMANDS = {
    "new": "folder app startup log python run|read-only trace no-cache json-alone",
    "notebooks": "target",
    "reproduce": "incident json -o trace from-trace",
    "why": "incident json -o name trace from-trace",
    "diagnose": "incident json -o trace from-trace no-cache smallest format",
    "verify": "incident json -o trace no-cache fix",
    "propose": "incident json -o trace no-cache show-maskers",
    "triage": "incident json -o other-log patched",
    "history": "incident json -o from to kept no-cache",
    "postmortem": "incident json -o no-cache trace",
    "check": "incidents json -o annotations executor record",
    "guard": "incident json -o no-cache passes",
}
_OUTPUTS = {
    "propose": ("FOLDER", "write each patch that cures into FOLDER"),
    "guard": ("FILE", "write the test to FILE"),
    "check": ("FOLDER", "write the pages, junit.xml and summary.md into FOLDER (default: results/check)"),
    "postmortem": ("NAME", "write NAME.html, NAME.ipynb and NAME.json"),
}
# Of each row its flag or name, and its help.
_ARGUMENTS = {
    "folder": "folder: a new folder for the incident file, outside the application's folder",
    "target": "folder: a new folder, or a folder that has the notebooks already",
    "incident": "incident: the incident.yaml, or its folder",
    "incidents": "incidents: an incident.yaml, or a folder of them",
    "name": "name: a module, a table, a class, or the name of a registry's entry",
    "json": "--json: print the result as JSON",
    "json-alone": "--json: print JSON",
    "trace": "--trace: write the startup's trace to FILE (gzipped if it ends in .gz)",
    "from-trace": "--from-trace: judge a saved trace; run nothing",
    "no-cache": "--no-cache: run every build again, and keep no result (KIT_NO_CACHE=1 in the environment does the same)",
    "app": "--app: the application's folder (default: the current folder)",
    "startup": "--startup: a step of the startup, as in 'import app.main' (may be given several times)",
    "log": "--log: the incident's log, '-' for standard input",
    "other-log": "--log: the log, '-' for standard input (default: the log that the incident file names)",
    "python": "--python: the Python interpreter that has the application's packages",
    "run": "--run: run startups even where the kernel's guards are not in force",
    "read-only": "--read-only: only read the sources and the log; run nothing",
    "smallest": "--smallest: how long to search for the smallest reproduction: quick stops after about the time of two startups, full goes on to the end",
    "format": "--format: print the lines that cause the incident in the format of a CI system",
    "fix": "--fix: only this fix (may be given several times)",
    "passes": "--fix: the test has to pass with this fix (may be given several times; default: each verified fix)",
    "show-maskers": "--show-maskers: also run changes that only hide the error, and show what each one hides",
    "patched": "--cache: where the builds made from patches are kept",
    "kept": "--cache: where the results of builds are kept",
    "from": "--from: search the commits after this one",
    "to": "--to: search up to this commit",
    "annotations": "--format: also print an annotation for each postmortem that is no longer true",
    "executor": "--executor: run the startups on a Dask cluster: dask://HOST:PORT, its scheduler's address (default: on this machine)",
    "record": "--record: save this run's result beside each incident file; later checks are compared with it",
}
# What argparse is told of it beside.
_TAKES: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("json", "json-alone", "no-cache", "show-maskers", "record"), {"action": "store_true"}),
    **dict.fromkeys(("trace", "from-trace", "log", "other-log"), {"metavar": "FILE"}),
    **dict.fromkeys(("app", "python"), {"metavar": "PATH"}),
    **dict.fromkeys(("patched", "kept"), {"metavar": "FOLDER"}),
    **dict.fromkeys(("fix", "passes"), {"action": "append", "metavar": "NAME"}),
    "incidents": {"nargs": "+", "metavar": "INCIDENT"},
    "name": {"metavar": "NAME"},
    "startup": {"action": "append", "default": [], "metavar": "STEP"},
    "run": {"dest": "tried", "action": "store_true", "default": None},
    "read-only": {"dest": "tried", "action": "store_false"},
    "smallest": {"choices": ("quick", "full"), "default": "quick"},
    "format": {"choices": ("github", "sarif", "gitlab")},
    "annotations": {"choices": ("github",)},
    "from": {"dest": "first", "metavar": "REVISION"},
    "to": {"dest": "last", "metavar": "REVISION"},
    "executor": {"metavar": "ADDRESS"},
}
