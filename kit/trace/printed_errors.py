"""What the text of an error tells, also where only printed text holds it: a server gives up with a traceback in its output."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

from .frames import Error, Frame, from_the_outermost

_BEGINS = re.compile(r"^(.*?)Traceback \(most recent call last\):\s*$")
_FRAME = re.compile(r'^\s*File "([^"]+)", line (\d+)(?:, in (.+?))?\s*$')
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?:: (.*))?$")
_OF_PYTEST = re.compile(r"^(?:_{3,} .+ _{3,}|ImportError while loading conftest .*)$", re.M)  # before each failure
_FRAME_OF_PYTEST = re.compile(r"^(\S+\.py):(\d+): (?:in (\S+))?", re.M)
_RAISED_OF_PYTEST = re.compile(
    r"^(E +)((?:\w+\.)+[A-Z]\w*|[A-Z]\w*(?:Error|Exception|Exit|Group|Found))(?:: (.*(?:\nE .*)*))?$", re.M
)
_NAMED = re.compile(
    r"^[ A-Z]*?((?:[a-z_]\w*\.)+[A-Z]\w+: \S.*(?:\n {2,}\S.*)*)", re.M
)  # by a logger, over several lines
_OF_A_GROUP = re.compile(r"^ +\| ")  # before each line of an exception group, deeper for its members
_GOES_ON = ("The above exception was the direct cause of", "During handling of the above exception")
# What the interpreter adds to an error where it prints it, and the exception itself has not: newer ones for more errors.
SUGGESTED = re.compile(r"\.(?: (?:Did you mean: '[^']+'|(?:Did|Or did) you forget to import '[^']+')\??)+$", re.M)
_GIVES_UP = ("HaltServer", "ExceptionGroup")  # a server as its worker did, of its members: it says nothing of why


def printed_error(output: str, is_application: Callable[[str], bool]) -> Error | None:
    """The exception of pytest's first failure, else of the last traceback in a text, with what it came from; None where there is none.

    :param is_application: is a file, as the text names it, one of the application's?
    """
    errors = [_error(chain) for chain in islice(_pytest_chains(output, is_application), 1)]
    errors = errors or printed_errors(output, is_application)
    telling = [error for error in errors if not error.type.endswith(_GIVES_UP)]
    return (telling or errors or [None])[-1]


def printed_errors(output: str, is_application: Callable[[str], bool]) -> list[Error]:
    """The exception of each traceback in a text, with what it came from."""
    return [_error(chain) for chain in _chains(output, is_application)]


def _error(chain: list[Error]) -> Error:
    """The last exception of those that came of one another."""
    links = tuple((0, error.type.rpartition(".")[2], error.text) for error in reversed(chain))
    causes: list[Error] = []
    for number, error in enumerate(reversed(chain)):
        missing = re.match(r"No module named '([\w.]+)'", error.text)
        frames = from_the_outermost(causes[-1].frames if causes else (), error.frames)
        causes.append(replace(error, frames=frames, links=links[number:], name=missing[1] if missing else None))
    return replace(causes[0], causes=tuple(causes[1:]))


def _chains(output: str, is_application: Callable[[str], bool]) -> Iterator[list[Error]]:
    """Each group of exceptions that came of one another, the first raised first."""
    chain: list[Error] = []
    frames: list[Frame] = []
    inside = goes_on = False
    for line in map(partial(_OF_A_GROUP.sub, ""), output.splitlines()):
        if _BEGINS.match(line):
            if chain and not goes_on:
                yield chain
                chain = []
            inside, goes_on, frames = True, False, []
        elif inside and (frame := _FRAME.match(line)):
            file, number, function = frame.groups()
            frames.append(Frame(file, int(number), function or "?", None, is_application(file)))
        elif inside and not line.startswith(" ") and (raised := _RAISED.match(line)):
            chain.append(Error(raised[1], SUGGESTED.sub("", raised[2] or ""), tuple(frames)))
            inside = False
        elif line.startswith(_GOES_ON):
            goes_on = True
            chain[-1:] = [replace(error, handled=line.startswith(_GOES_ON[1])) for error in chain[-1:]]
    if chain:
        yield chain


def _pytest_chains(output: str, is_application: Callable[[str], bool]) -> Iterator[list[Error]]:
    """As :func:`_chains`, of each failure that pytest tells in its own form."""
    for failure in _OF_PYTEST.split(output)[1:]:
        chain = []
        for part in re.split(rf"^(?={'|'.join(_GOES_ON)})", failure, flags=re.M):
            chain[-1:] = [replace(error, handled=part.startswith(_GOES_ON[1])) for error in chain[-1:]]
            raised = list(_RAISED_OF_PYTEST.finditer(part))[-1:]
            places = _FRAME_OF_PYTEST.findall(part)
            frames = [Frame(file, int(line), name or "?", None, is_application(file)) for file, line, name in places]
            texts = ((match[2], (match[3] or "").replace(f"\n{match[1]}", "\n")) for match in raised)
            chain += [Error(type_, text, tuple(frames)) for type_, text in texts]
        if chain:
            yield chain


def last_error(output: str) -> str:
    """What a program that ended without a traceback says of why: pytest's first failure, click's or Alembic's first error, else its last line."""
    lines = [line for line in output.splitlines() if re.search(r"\w{2}", line)]
    failure = "".join(_OF_PYTEST.split(output)[1:2])
    marked = re.findall(r"^E +([A-Za-z_][\w.]*(?:Error|Exception|Exit)\b.*)$", failure, re.M)[-1:]
    marked = marked or re.findall(r"^E +(\S.*)$", failure, re.M)[:1] or failure.split("\n\n")[0].split("\n")[1:2]
    first = [line for line in lines if line.lstrip().startswith(("Error: ", "FAILED: ", "Failed to find "))][:1]
    named = [" ".join(match.split()) for match in _NAMED.findall(output)][-1:]
    return next(iter([*marked, *first, *named, *lines[-1:]]), "it printed nothing").strip(" │|")


def names_missing(error: Error) -> set[str]:
    """The names that an error says are not there: of a variable, of an import, of an attribute, of a class, of a table."""
    names = r"(?:\bname|has no attribute) '(\w+)'|locate a name \('(\w+)'\)|could not find table '(?:\w+\.)*(\w+)'"
    return {name for group in re.findall(names, error.text) for name in group if name}
