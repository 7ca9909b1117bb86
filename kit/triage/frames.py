"""Places a log's frames in a repository, and finds the builds that have their lines.

A log names files as they lay on the machine that wrote it. What the application's paths begin with there,
and what they begin with in the repository, is what most frames agree on; the rest of each path is the same.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from pathlib import Path

from ..incident.repository import Commit, Repository
from ..incident.source import decoded
from ..incident.sources import files_below
from .logs import LogFrame

_LIBRARY = re.compile(
    r"(^|/)(lib(64)?/(python|pypy)\d[\d.]*|Lib)/|(^|/)(python|pypy)\d+\.zip/|^(?i:(\w:|~/AppData)/(.*/)?(python[\d.]+(-32)?|(pythoncore|cpython)-[\w.-]+|(ana|mini)conda\d*|m(amba|ini)forge\d*|envs/[^/]+)/lib)/"
)
_INSTALLED = ("site-packages", "dist-packages")
_LARGEST = 8 << 20  # bytes of a source file
_MOST_ROOTS = 8  # places in the repository that are tried


@dataclass(frozen=True)
class Differs:
    """A frame's line that a build does not have; ``there`` is the text in its place, None if the file or line is missing."""

    file: str
    line: int
    text: str | None
    there: str | None
    stands_at: tuple[int, ...] = ()  # lines of that file which hold the text

    def __str__(self) -> str:
        if self.there is None:
            there = "there is no such line" if self.stands_at else "there is no such file or line"
        else:
            there = f"there it reads {self.there!r}"
        moved = f"; the log's text is in line {', '.join(map(str, self.stands_at))}" if self.stands_at else ""
        return f"{self.file} line {self.line} is {self.text!r} in the log, and {there}{moved}"


@dataclass(frozen=True)
class Placed:
    """A frame of the application.

    :ivar file: relative to the application's root; if it could not be placed, as the log has it
    :ivar rest: the path without the log machine's prefix; None if it could not be placed
    """

    file: str
    line: int
    function: str | None
    text: str | None
    logged: str
    rest: str | None
    others: tuple[str, ...] = ()  # for a frame outside the common root: paths that end alike

    def paths(self, starts: Iterable[str]) -> Sequence[str]:
        """Where its file may lie in a build, with the application's root at one of these places."""
        return self.others if self.rest is None else [f"{at}/{self.rest}" if at else self.rest for at in starts]


@dataclass(frozen=True)
class Placement:
    """All frames of the application, and the places in the repository where its root was found.

    :ivar starts: folders in the repository that may hold ``rest``, the likeliest first ("" for the top)
    """

    frames: tuple[Placed, ...]
    starts: tuple[str, ...]
    libraries: int

    @cached_property
    def placed(self) -> tuple[Placed, ...]:
        return tuple(frame for frame in self.frames if frame.rest is not None or frame.others)


def parts_of(path: str) -> tuple[str, ...]:
    """The parts of a path of any system, without drive and root."""
    path = re.sub(r"^[A-Za-z]:", "", path.replace("\\", "/"))
    return tuple(part for part in path.split("/") if part not in ("", "."))


def is_library(path: str) -> bool:
    """Does a path alone show that the file is not the application's own?"""
    plain = path.replace("\\", "/")
    return path.startswith("<") or bool(_LIBRARY.search(plain)) or any(f"/{folder}/" in plain for folder in _INSTALLED)


def is_console_script(frame: LogFrame) -> bool:
    """Is the frame of an installed command's script, such as ``/usr/local/bin/flask``? That only calls the library's ``main``."""
    parts = parts_of(frame.file)
    if parts[-1:] == ("__main__.py",) and len(parts) > 1 and parts[-2].endswith(".exe"):
        parts = parts[:-1]
    text = frame.text or "sys.exit("
    named = len(parts) > 1 and parts[-2].lower() in ("bin", "scripts") and not parts[-1].endswith((".py", ".sh"))
    calls = re.match(r"(raise )?(sys\.exit|SystemExit)\(|from [\w.]+ import \w+$", text)
    return named and frame.function in (None, "<module>") and calls is not None


def names_in(frames: Iterable[LogFrame]) -> set[str]:
    """The file names of frames that can be searched for."""
    return {parts_of(frame.file)[-1] for frame in frames if not frame.file.startswith("<") and parts_of(frame.file)}


def place(frames: Sequence[LogFrame], paths: Iterable[str], *, subdir: str = ".") -> Placement:
    """Map frames to paths by their ends.

    :param paths: every path that the repository has or had, of the files that frames name
    :param subdir: the application's folder in the repository; paths are shown from there
    """
    by_name: dict[str, list[tuple[str, ...]]] = {}
    for path in sorted(set(paths)):
        parts = tuple(path.split("/"))
        by_name.setdefault(parts[-1], []).append(parts)
    home = () if subdir == "." else tuple(subdir.split("/"))
    of_application, libraries = [], 0
    votes: Counter[tuple[str, ...]] = Counter()
    for frame in frames:
        parts = parts_of(frame.file)
        known = by_name.get(parts[-1] if parts else "", [])
        if is_library(frame.file):
            at = max((number for number, part in enumerate(parts, 1) if part in _INSTALLED), default=len(parts))
            tail = parts[at:]
            installed = [path for path in known if len(tail) > 1 and path[-len(tail) :] == tail]
            if not installed:
                libraries += 1
                continue
            of_application.append((frame, parts, tail, installed))
            continue
        best = max((_common(parts, path) for path in known), default=0)
        if best < 2 and is_console_script(frame):
            libraries += 1
            continue
        near = [path for path in known if _common(parts, path) == best]
        of_application.append((frame, parts, None, near))
        for root in {parts[: len(parts) - best] for _ in near[:1]}:
            # A path that ends alike in one name only says little, unless it is a path of the application's top.
            votes[root] += 2 * best + any(path[:-best] in ((), home) for path in near)
    root = min(votes, key=lambda vote: (-votes[vote], len(vote), vote), default=())
    starts: Counter[tuple[str, ...]] = Counter()
    for _, parts, tail, _ in of_application:
        rest = parts[len(root) :] if tail is None and parts[: len(root)] == root else tail
        for path in by_name.get(parts[-1], []) if rest else ():
            if path[-len(rest) :] == rest:
                starts[path[: -len(rest)]] += 1
    ordered = sorted(starts, key=lambda start: (-starts[start], start != home, len(start), start))[:_MOST_ROOTS]
    shown_from = ordered[0] if ordered else ()
    placed = []
    for frame, parts, tail, near in of_application:
        rest, others = tail, ()
        if tail is None:
            under = bool(votes) and parts[: len(root)] == root and len(parts) > len(root)
            rest = parts[len(root) :] if under else None
            if not under and near and _common(parts, near[0]) > 1:
                others = tuple("/".join(path) for path in near)
        path = shown_from + rest if rest else tuple(others[0].split("/")) if others else None
        file = "/".join(path[len(home) * (path[: len(home)] == home) :]) if path else frame.file
        below = "/".join(rest) if rest else None
        placed.append(Placed(file, frame.line, frame.function, frame.text, frame.file, below, others))
    return Placement(tuple(dict.fromkeys(placed)), tuple("/".join(start) for start in ordered), libraries)


def _common(first: Sequence[str], other: Sequence[str]) -> int:
    ends = zip(reversed(first), reversed(other), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ends))


def _even(line: str) -> str:
    """A line with tabs and runs of spaces made single spaces, as log programs may change them."""
    return " ".join(line.split())


@dataclass
class Lines:
    """The contents of files by a key; each line is compared once."""

    contents: dict[str, bytes] = field(default_factory=dict)
    _lines: dict[str, list[str]] = field(default_factory=dict)

    def of(self, key: str) -> list[str]:
        if key not in self._lines:
            text = decoded(self.contents[key])
            self._lines[key] = [_even(line) for line in text.split("\n")]
        return self._lines[key]

    def matches(self, key: str | None, frame: Placed) -> bool | None:
        """Does a file hold a frame's line? None where the log has no text of it and the line is there."""
        if key is None or key not in self.contents:
            return False
        lines = self.of(key)
        if frame.line > len(lines):
            return False
        return None if frame.text is None else lines[frame.line - 1] == _even(frame.text)

    def differs(self, key: str | None, frame: Placed) -> Differs:
        lines = self.of(key) if key is not None and key in self.contents else []
        there = lines[frame.line - 1] if frame.line <= len(lines) else None
        at = tuple(n for n, line in enumerate(lines, 1) if frame.text and line == _even(frame.text))[:5]
        return Differs(frame.file, frame.line, frame.text, there, at)


@dataclass(frozen=True)
class Match:
    """The match of frames with one build: for each frame True, False, or None if the log does not tell."""

    stands: tuple[bool | None, ...]
    keys: tuple[str | None, ...]

    @property
    def all(self) -> bool | None:
        """True if every frame stands; None where no frame tells."""
        return False if False in self.stands else True if True in self.stands else None


def match(frames: Sequence[Placed], starts: Sequence[str], find: Callable[[str], str | None], lines: Lines) -> Match:
    """Compare frames with one build, at the place of the application's root where most of them stand.

    :param find: the key of a path's content in that build, None where there is no such file
    """
    best: Match | None = None
    for start in starts or ("",):
        stands, keys = [], []
        for frame in frames:
            there = [key for key in map(find, frame.paths([start])) if key is not None]
            good = next((key for key in there if lines.matches(key, frame)), there[0] if there else None)
            keys.append(good)
            stands.append(lines.matches(good, frame))
        compared = Match(tuple(stands), tuple(keys))
        order = (compared.stands.count(False), -sum(key is not None for key in keys))
        if best is None or order < (best.stands.count(False), -sum(key is not None for key in best.keys)):
            best = compared
    return best or Match((), ())


def match_folder(frames: Sequence[Placed], starts: Sequence[str], root: Path, lines: Lines) -> Match:
    """Compare frames with the files of a folder as they stand now."""

    def find(path: str) -> str | None:
        key = f"work tree:{path}"
        if key not in lines.contents:
            file = root / path
            try:
                if not file.is_file() or file.stat().st_size > _LARGEST:
                    return None
                lines.contents[key] = file.read_bytes()
            except OSError:
                return None
        return key

    return match(frames, starts, find, lines)


def match_commits(
    frames: Sequence[Placed], starts: Sequence[str], repository: Repository, commits: Sequence[Commit], lines: Lines
) -> list[Match]:
    """Compare frames with each commit, by the ids of the files in it; each different file is read once."""
    paths = list(dict.fromkeys(path for frame in frames for path in frame.paths(starts)))
    objects = repository.objects([f"{commit.sha}:{path}" for commit in commits for path in paths])
    ids = [object_[0] if object_ and object_[1] == "blob" and object_[2] <= _LARGEST else None for object_ in objects]
    lines.contents.update(repository.contents(id_ for id_ in ids if id_ is not None))
    known: dict[tuple, Match] = {}
    matches = []
    for number in range(len(commits)):
        row = tuple(ids[number * len(paths) : (number + 1) * len(paths)])
        if row not in known:
            known[row] = match(frames, starts, dict(zip(paths, row, strict=True)).get, lines)
        matches.append(known[row])
    return matches


def paths_below(root: Path, names: set[str]) -> set[str]:
    """Paths of files with one of these names; other environments are passed over."""
    return {path for path in files_below(root) if path.rpartition("/")[2] in names}
