"""What a log tells of the run that wrote it: the error, the program, the database, what was missing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..base.redact import public_part
from ..incident.project import Project
from .frames import Placed, is_library, place
from .logs import Log, LogFrame, Raised, Traceback
from .programs import LIBRARY, Program, paths_of, programs_of

_PIECE = 2 << 20  # characters of a log's beginning and of its end in which lines are looked at one by one
_LONGEST = 160  # characters of an expected text

# What differs from run to run, or belongs to one machine: an expected text ends there.
_UNSTABLE = re.compile(
    r"0x[0-9a-fA-F]+|\{[^}]*\}?|\[SQL|\[parameters|\(Background on|\((?:most likely|consider) |\(?(?<![\w.:])(?:/[\w.+-]+){2,}/?\)?|[A-Za-z]:\\\S+"
    r"|(?<=[,(\[] )[A-Z]\w*\(.*|\b\d{4}-\d\d-\d\d|\b[0-9a-f]{8}-[0-9a-f]{4}|\bline \d+|\bport \d+|\bpid\b|<[\w.]+ object|<Task|https?://"
)
_DEFINED = re.compile(r"Table '([^'\n]+)' is already defined")
_ONE_LINE = (
    re.compile(r"^(?:ERROR\b.*?)?FAILED: (?P<text>\S.*)"),
    re.compile(r"(?P<text>Failed to (?:find attribute|parse) '.+)"),
    re.compile(r"ERROR\s+\[(?:root|flask_migrate|alembic\.\S+)\]\s+(?:Error: )?(?P<text>\S.*)"),
    re.compile(r"(?:^|[\s|:])(?P<type>(?:[a-zA-Z_]\w*\.)*[A-Z]\w*(?:Error|Exception|NotFound|Missing\w*))(?::\s+(?P<text>\S.*)|\s*$)"),
    re.compile(r"(?:^|:\d+: )(?P<type>(?:\w+\.)*\w*Warning): (?P<text>\S.*)"),
    re.compile(r"^(?:Error|ERROR|CRITICAL|error)\s*[:|]\s*(?P<text>\S.*\s.*\S)"),
    re.compile(r"^[^\n]*?\b(?:ERROR|CRITICAL|FATAL)\b\W*(?:[\w.]+\]\s+)?(?:[\w.]+\s*:\s+)?(?P<text>\S.*\s.*\S)"),
)  # fmt: skip
_NO_CAUSE = re.compile(
    r"Application startup failed|(?:Worker|App) failed to|Exception in worker process|Traceback \(most|Worker \(pid|Shutting down|exited with code"
)
_UP = r"Application startup complete|Uvicorn running on|\* Running on http|celery@\S+ ready|Watching for file changes"
_DATABASES = (
    (r"psycopg2\b|\bPostgresqlImpl\b", "postgresql", None),
    (r"\basyncpg\b", "postgresql", "asyncpg"),
    (r"\bpsycopg\.(?:errors|connection|cursor|Operational)|[/\\]psycopg[/\\]", "postgresql", "psycopg"),
    (r"\bpg8000\b", "postgresql", "pg8000"),
    (r"\baiosqlite\b", "sqlite", "aiosqlite"),
    (r"\bsqlite3\.\w+Error|\(sqlite3\.|\bSQLiteImpl\b|dialects[/\\]sqlite|pysqlite", "sqlite", None),
    (r"\bpymysql\b|\bMySQLdb\b|\bMySQLImpl\b|\baiomysql\b|mysql\.connector", "mysql", None),
)  # fmt: skip
_UPGRADING = r"Running upgrade \S* -> ([\w.+-]+)"
# A request that ended in an exception, and how servers and frameworks name it.
_FAILED_REQUEST = (
    r"Exception in ASGI application|Exception on /\S* \[[A-Z]+\]|Internal Server Error: /|Error handling request"
    r"|\bfull_dispatch_request\b|\brun_endpoint_function\b|\bHTTP/[\d.]+(?:\x1b\[\d+m)*\" 5\d\d\b"
)
_REQUESTS = (
    r"Exception on (?P<path>/\S*) \[(?P<method>[A-Z]+)\]",
    r"\"(?:\x1b\[[\d;]*m)*(?P<method>GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (?P<path>/\S*) HTTP/[\d.]+(?:\x1b\[[\d;]*m)*\" 5\d\d\b",
    r"Internal Server Error: (?P<path>/\S*)",
    r"Error handling request (?P<path>/\S*)",
)
# A variable that the log itself calls missing: what shows the incident is that it is not there.
_MISSING = (
    r"KeyError: ['\"]([A-Z][A-Z0-9_]{2,})['\"]",
    r"UndefinedValueError: (\w+) not found",
    r"[Ee]nvironment variable ['\"]?([A-Z][A-Z0-9_]+)['\"]? (?:is )?(?:not set|missing|undefined|required)",
    r"Config ['\"](\w+)['\"] is missing",
    r"ImproperlyConfigured: Set the (\w+) environment variable",
    r"^(?:E\s+)?(\w+)\s*\n(?:E\s+)?\s+(?:Field required|field required|none is not an allowed value)",
    r"\b([A-Z][A-Z0-9_]{3,}) (?:is|was|must be|env(?:ironment)? var(?:iable)?)\b[^\n]{0,30}\b(?:not set|missing|required|unset|not defined|not configured|set)\b",
    r"[Mm]issing (?:required )?(?:env(?:ironment)? var(?:iable)?s?|setting)s?:? ['\"]?([A-Z][A-Z0-9_]+)",
)  # fmt: skip


@dataclass(frozen=True)
class Evidence:
    """What a log tells; every part is empty where it does not.

    :ivar error: the type and text of the causing error
    :ivar expected: the part of its text that is the same in every run
    :ivar frames: the causing traceback's frames in the application, outermost first
    :ivar alike: texts of the same error with other particulars, where several processes had it
    """

    error: str = ""
    type: str = ""
    text: str = ""
    expected: str | None = None
    table: str | None = None
    at: str = ""
    frames: tuple[Placed, ...] = ()
    alike: tuple[str, ...] = ()
    programs: tuple[Program, ...] = ()
    database: str | None = None
    driver: str | None = None
    database_at: str = ""
    workers: int | None = None
    healthy: bool = False  # it came up, as the log says
    upgrading: str | None = None  # the revision whose upgrade began last
    request: tuple[str, str] | None = None  # method and path of the request that failed, where the error is one's
    prefixes: tuple[str, ...] = ()
    version: str | None = None
    missing_variables: frozenset[str] = frozenset()
    missing_modules: frozenset[str] = frozenset()
    foreign: str | None = None  # a file of the log that this application does not have, where it has none of them


def evidence_of(log: Log, text: str, project: Project) -> Evidence:
    """Read a log against an application.

    :param text: the log's text; of a long one its beginning and its end
    """
    text = re.sub(r"^[\w.-]+ +\| ", "", text, flags=re.M)  # what compose puts before each line
    text = text if len(text) <= 2 * _PIECE else text[:_PIECE] + "\n" + text[-_PIECE:]
    placements = [
        (traceback, place(traceback.frames, paths_of(project, traceback.frames))) for traceback in log.tracebacks
    ]
    through = [pair for pair in placements if pair[1].placed]
    chosen = _cause([pair for pair in through if _raised_in(pair[0]).type] or through or placements)
    kind, said, at = ("", "", "")
    frames: tuple[Placed, ...] = ()
    if chosen is not None:
        raised = _raised_in(chosen[0])
        kind, said, at = raised.type or "", raised.text or "", f"line {chosen[0].line} of the log"
        frames = chosen[1].placed
    alone = _one_line(text)
    if not (kind and through) and alone is not None:
        kind, said, at = alone
        frames = _warned(text, at, project) or frames
    if "Original exception was: " in said:
        said = said.partition("Original exception was: ")[2]
    alike = [str(_raised_in(one).text) for one, _ in through if kind and _raised_in(one).type == kind]
    expected = (common(alike) if len(set(alike)) > 1 else None) or stable(said)
    if expected and len(expected.split()) < 2 and kind:  # a name alone says too little
        expected = f"{kind}: {expected}"
    field = (
        re.search(rf"{re.escape(said)}\n(\S+\n +[^\[\n]*\w)", text) if re.match(r"\d+ validation error", said) else None
    )
    if field:  # which field it is, is in the next lines
        expected = f"{said}\n{field[1]}"
    expected, table = expected or kind or None, _DEFINED.search(said)
    own = [frame for pair in placements for frame in pair[1].frames]
    foreign = own[0].logged if own and not any(pair[1].placed for pair in placements) else None
    database, driver, database_at = _database(text)
    prefixes, version = _interpreter(log, text)
    return Evidence(
        error=": ".join(part for part in (kind, said) if part), type=kind, text=said, expected=expected,
        table=table[1] if table else None, at=at, frames=frames, alike=tuple(dict.fromkeys(alike)),
        programs=tuple(programs_of(log, chosen, text, project)), database=database, driver=driver, database_at=database_at,
        workers=_workers(text), request=_request(text, frames, project), upgrading=next(reversed(re.findall(_UPGRADING, text)), None),
        healthy=bool(re.search(_UP, text)), prefixes=prefixes, version=version, foreign=foreign,
        missing_variables=frozenset(found for pattern in _MISSING for found in re.findall(pattern, text, re.M)),
        missing_modules=frozenset(re.findall(r"No module named '?([\w.]+)'?", " ".join((kind, said)))),
    )  # fmt: skip


def _cause(pairs: list) -> tuple[Traceback, object] | None:
    """Of several tracebacks the first that passes through the application: what came later mostly follows from it."""
    return pairs[0] if pairs else None


def _raised_in(traceback: Traceback) -> Raised:
    """The exception that tells: the last one, but a wrapper's that only says that a start failed."""
    for one in reversed([one for one in traceback.raised if one.link != "member"] or list(traceback.raised)):
        if one.type and one.type.rpartition(".")[2] not in ("HaltServer", "SystemExit", "CancelledError"):
            return one
    return traceback.error


def stable(text: str) -> str | None:
    """The part of an error's text that stays the same from run to run, in whole words; None where nothing is left."""
    line = next((splitline.strip() for splitline in text.splitlines() if splitline.strip()), "")
    line = re.sub(r"^\([\w.]+\)\s+", "", line)  # the driver's own class, before SQLAlchemy's text
    pieces = [piece.strip() for piece in _UNSTABLE.split(line)]
    chosen = pieces[0] if len(pieces[0].split()) > 2 else max(pieces, key=len)
    sentence = re.match(r".{30,}?[.?!](?=\s+[A-Z])", chosen)
    chosen = sentence[0] if sentence else chosen
    if len(chosen) > _LONGEST:
        chosen = chosen[:_LONGEST].rpartition(" ")[0]
    chosen = re.sub(r"[\s,:;(\[{=<]+$", "", chosen)
    return public_part(chosen.lstrip(" >)]},;:")) or None


def common(texts: Sequence[str]) -> str | None:
    """The longest run of whole words that the stable parts of all texts have; None where it says nothing."""
    parts = [part for part in map(stable, dict.fromkeys(texts)) if part]
    words = parts[0].split() if parts else []
    runs = (" ".join(words[a:b]) for a in range(len(words)) for b in range(a + 2, len(words) + 1))
    shared = (run for run in runs if all(re.search(rf"(?<!\S){re.escape(run)}(?!\S)", part) for part in parts[1:]))
    return max(shared, key=len, default=None)


def _one_line(text: str) -> tuple[str, str, str] | None:
    """An error without a traceback: type, text and place; the sort that tells most first, of each the first line."""
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in text.splitlines()]
    lines = [re.sub(r"^[\w.-]+\s+\|\s", "", line) for line in lines]
    for pattern in _ONE_LINE:
        for number, line in enumerate(lines, 1):
            found = pattern.search(line)
            if (
                found
                and not _NO_CAUSE.search(found["text"] or "")
                and not re.match(r"\s+(raise|return|File|def|class)\b", line)
            ):
                kind = found.groupdict().get("type") or ""
                if kind or found["text"]:
                    return kind, (found["text"] or "").strip(), f"line {number} of the log"
    return None


def _warned(text: str, at: str, project: Project) -> tuple[Placed, ...]:
    """The place that stands before a warning."""
    line = text.splitlines()[int(at.split()[1]) - 1]
    found = re.match(r"\s*(\S+\.py):(\d+): ", line)
    if not found or is_library(found[1]):
        return ()
    return place(
        [LogFrame(found[1], int(found[2]), None, None)], paths_of(project, [LogFrame(found[1], 1, None, None)])
    ).placed


# -- the rest


def _database(text: str) -> tuple[str | None, str | None, str]:
    """Which database and driver the log is full of: the sort that is named most often, its driver where one is asynchronous."""
    counts: dict[tuple[str, str | None], tuple[int, int]] = {}
    for pattern, kind, driver in _DATABASES:
        found = list(re.finditer(pattern, text))
        if found:
            counts[kind, driver] = len(found), found[0].start()
    if not counts:
        return None, None, ""
    kind = max(counts, key=lambda count: counts[count][0])[0]
    drivers = [driver for (other, driver) in counts if other == kind and driver]
    at = min(place for (other, _), (_, place) in counts.items() if other == kind)
    return kind, drivers[0] if drivers else None, f"line {text.count(chr(10), 0, at) + 1} of the log"


def _request(text: str, frames: Sequence[Placed], project: Project) -> tuple[str, str] | None:
    """The first request that the log says failed; where only a handler's frames say so, by the handler's own route."""
    if not re.search(_FAILED_REQUEST, text):
        return None
    for pattern in _REQUESTS:
        if found := re.search(pattern, text, re.M):
            return (found.groupdict().get("method") or "GET").upper(), found["path"].partition("?")[0]
    for frame in frames:
        for decorator in project.decorators(frame.file, frame.function):
            route = re.match(
                r"\w+(?:\.\w+)*\.(?P<verb>get|post|put|patch|delete|route)\('(?P<path>/[^'{<]*)'", decorator
            )
            if route:
                return "GET" if route["verb"] == "route" else route["verb"].upper(), route["path"]
    return None


def _workers(text: str) -> int | None:
    booted = re.findall(r"Booting worker with pid: (\d+)", text)
    first = re.split(r"Worker exiting|exited with code|Exception in worker", text)[0]
    begun = set(re.findall(r"Booting worker with pid: (\d+)", first)) or set(booted[:1])
    begun = begun or set(re.findall(r"Started server process \[(\d+)\]", first))
    return len(begun) if len(begun) > 1 else 1 if booted else None


def _interpreter(log: Log, text: str) -> tuple[tuple[str, ...], str | None]:
    """Where the log's packages lay, and which Python it was."""
    files = [frame.file for traceback in log.tracebacks for frame in traceback.frames]
    found = [one for one in map(LIBRARY.match, files) if one]
    version = found[0]["version"] if found else None
    said = re.search(r"\bPython (3\.\d+)", text)
    return tuple(dict.fromkeys(one["prefix"] for one in found)), version or (said[1] if said else None)
