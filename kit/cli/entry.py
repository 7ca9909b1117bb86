"""The command line: ``python -m kit COMMAND INCIDENT [--json] [-o FILE]``.

Exit codes: 0 done, and for postmortem, verify and check: it reproduces without the fix, and a fix is verified ·
1 it reproduces, and no fix is verified · 2 the call or the incident file is wrong · 3 it does not
reproduce · 4 the run broke, or that of a fix where none is verified; what was seen until then is kept and shown.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..base.errors import KitError
from . import commands
from .arguments import make_parser
from .output import can_write, plain


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.run is None:
        parser.print_help()
        return 0
    from ..base.interrupt import once

    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # half a letter is no reason to say nothing; JSON reads it back
    for number in (signal.SIGTERM, signal.SIGHUP):  # as CI, `timeout` and a closed terminal end a job: like Ctrl+C
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    try:
        with once():
            makes_folder = options.run in (commands.check, commands.propose)
            if getattr(options, "output", None) and not makes_folder:
                pages = options.run is commands.postmortem
                can_write(str(Path(options.output).with_suffix(".html")) if pages else options.output)
            if hasattr(options, "incident"):
                from ..incident.load import load

                options.incident = load(options.incident)
            with _keeping(options):
                return options.run(options)
    except KitError as error:
        print(plain(f"kit: {error}"), file=sys.stderr)
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

        where = traceback.extract_tb(error.__traceback__)[-1]
        says = f"kit: a fault of the kit itself, at {Path(where.filename).name}:{where.lineno}: {type(error).__name__}: {error}. "
        remedy = (
            "Nothing was decided. Set KIT_TRACEBACK=1 to see the whole traceback, and report it with the incident file."
        )
        print(plain(says + remedy), file=sys.stderr)
        return 4


@contextmanager
def _keeping(options) -> Iterator[None]:
    """While a command runs, what builds showed is kept: in the user's cache folder, or as long as a command lasts that runs them anew."""
    if not hasattr(options, "no_cache"):
        yield
        return
    from ..incident.builds import cache_folder
    from ..startup.kept_runs import keeping

    anew = options.no_cache or os.environ.get("KIT_NO_CACHE")
    with keeping(None if anew else cache_folder() / "runs"):
        yield
