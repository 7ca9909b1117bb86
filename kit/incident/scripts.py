"""What a shell script starts, line by line: with its folder, its variables put in place, and whether a condition decides on it.

A script is run as the script that it is, where it can be. Where it names a port or folders of an image, its lines are.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import normpath

from .project import Project

_OPENS = re.compile(r"^(?:if|for|while|until|case|select)\b|\{$|^\($")
_CLOSES = re.compile(r"^(?:fi|done|esac)\b|^\}|^\)$")
_ASSIGNED = re.compile(r"^(?:export\s+)?([A-Za-z_]\w*)=(.*)$")
_DEFAULT = re.compile(r"\$\{(\w+):?[-=]([^{}]*)\}")
_NAMED = re.compile(r"\$\{?(\w+)\}?")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_KEPT = "PORT"  # the run gives it


@dataclass(frozen=True)
class Line:
    """A command of a script.

    :ivar workdir: where it runs, relative to the application's root
    :ivar decided: whether a condition, or the name of a function, decides on it
    :ivar behind: whether the script goes on while it runs
    """

    text: str
    workdir: str
    decided: bool
    behind: bool


def is_script(text: str) -> bool:
    """Is a file a shell's script, whatever it is called?"""
    return bool(re.match(r"#!\s*/\S*(?:/env\s+(?:-S\s+)?)?\w*sh\b", text)) and "python" not in text.partition("\n")[0]


def lines_of(project: Project, file: str, workdir: str = ".", arguments: str = "") -> Iterator[Line]:
    """The commands of a script, in order; ``arguments`` are its own, as a command line."""
    text = re.sub(r"\\\n\s*", " ", project.text(file))
    text = re.sub(r"\"?\$\{?[@*]\}?\"?", lambda named: arguments, text) if arguments else text
    depth, values = 0, {}
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        if _CLOSES.search(line):
            depth = max(depth - 1, 0)
        moved = re.match(r"cd\s+[\"']?([\w./-]+)", line)
        assigned = _ASSIGNED.match(line)
        if moved:
            workdir = folder_of_image(project, moved[1], workdir)
        elif assigned and not re.search(r"\s\S", assigned[2].partition("#")[0].strip().strip("\"'")):
            values[assigned[1]] = _put(assigned[2].strip().strip("\"'"), values)
        elif assigned and _QUOTED.fullmatch(assigned[2].strip()):  # a command that is put together first
            if depth == 0 or assigned[1] not in values:
                values[assigned[1]] = _put(assigned[2].strip().strip("\"'"), values)
        else:
            for part in re.split(r"\s*(?:&&|;;|;)\s*", line):
                text = _whole(part, values)
                if text:
                    yield Line(text, workdir, depth > 0, bool(re.search(r"(?<!&)&\s*$", part)))
        if _OPENS.search(line) and not re.search(r"\b(?:fi|done|esac)\s*;?$|\}$", line):
            depth += 1


def folder_of_image(project: Project, named: str, workdir: str) -> str:
    """The folder of the application that ``cd`` means, by as much of its end as there is."""
    parts = PurePosixPath(named).parts
    if not named.startswith("/"):
        below = normpath(PurePosixPath(workdir, named))
        return below if not below.startswith("..") and (project.root / below).is_dir() else workdir
    for begin in range(1, len(parts)):
        if (project.root / PurePosixPath(*parts[begin:])).is_dir():
            return str(PurePosixPath(*parts[begin:]))
    return "."


def _put(text: str, values: dict[str, str]) -> str:
    """A text with the script's own variables, and defaults, in place of their names."""
    text = _DEFAULT.sub(lambda named: named[0] if named[1] == _KEPT else values.get(named[1], named[2]), text)
    return _NAMED.sub(lambda named: values.get(named[1], named[0]) if named[1] != _KEPT else named[0], text)


def _whole(line: str, values: dict[str, str]) -> str:
    """A command without redirections, and without the options whose values only the environment knows."""
    line = re.sub(r"^eval\s+([\"']?)(.*)\1$", r"\2", line)
    line = re.sub(r"\s*(?:\d?>+\s*\S+|\d?>&\d|(?<!&)&\s*$)", "", line)
    try:
        words = shlex.split(_put(line, values))
    except ValueError:
        return ""
    kept: list[str] = []
    for word in words:
        unknown = "$" in word and _KEPT not in word
        if not unknown:
            kept.append(word)
        elif not word.startswith("-") and kept and kept[-1].startswith("-") and "=" not in kept[-1]:
            kept.pop()
    return " ".join(word if "$" in word else shlex.quote(word) for word in kept)
