"""The evidence in a log on the run that wrote it: the error, the program, the database, what was missing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..base.redact import public_part
from ..incident.project import Project
from .frames import Placed, is_library, place
from .log_text import plain
from .logs import Log, LogFrame, Raised, Traceback
from .programs import LIBRARY, Program, paths_of, programs_of

_PIECE = 2 << 20  # characters of a log's beginning and of its end in which lines are looked at one by one
_LONGEST = 160  # characters of an expected text

# What differs from run to run, or belongs to one machine: an expected text ends there.
_UNSTABLE = re.compile(
    r"<\w+ (?:pending|finished|cancelled)\b(?:[^<>]|<(?:[^<>]|<[^<>]*>)*>)*>|0x[0-9a-fA-F]+|\{[^}]*\}?|\[SQL|\[parameters|\(Background on|\((?:most likely|consider) |\(?(?<![\w.:])(?:/[\w.+-]+){2,}/?\)?|[A-Za-z]:\\\S+"
    r"|(?<=[,(\[] )[A-Z]\w*\(.*|\b\d{4}-\d\d-\d\d|\b[0-9a-f]{8}-[0-9a-f]{4}|\bline \d+|\bport \d+|\bpid\b|<[\w.]+ object|<Task|\b[a-z][a-z0-9+.-]*://\S*"
)
_DEFINED = re.compile(r"Table '([^'\n]+)' is already defined")
_ONE_LINE = (
    re.compile(r"^(?:ERROR\b.*?)?FAILED: (?P<text>\S.*)"),
    re.compile(r"(?P<text>Failed to (?:find attribute|parse) '.+)"),
    re.compile(r"^(?:\S*/)?(?:python[\d.]*|(?:ba)?sh): (?:(?:line )?\d+: )?(?P<text>No module named \S+|\S+: (?:command )?not found)$"),
    re.compile(r"^(?P<type>(?:[a-z_]\w*\.)+(?:[A-Z]\w*Error|(?:(?<=psycopg\.errors\.)|(?<=psycopg2\.errors\.)|(?<=sqlalchemy\.exc\.)|(?<=sqlalchemy\.orm\.exc\.)|(?<=asyncpg\.exceptions\.))[A-Z]\w*(?<!Warning))): (?P<text>\S.*)"),  # an exception's own line says more than a logger's
    re.compile(r"ERROR\s+\[(?:root|flask_migrate|alembic\.\S+)\]\s+(?:Error: )?(?P<text>\S.*)"),
    re.compile(r"(?:^|[\s|:])(?P<type>(?:[a-zA-Z_]\w*\.)*[A-Z]\w*(?:Error|Exception|NotFound|Missing\w*))(?::\s+(?P<text>\S.*)|\s*$)"),
    re.compile(r"(?:^|:\d+: )(?P<type>(?:\w+\.)*\w*Warning): (?P<text>\S.*)"),
    re.compile(r"(?P<text>\bcannot import name '\w+' from '[\w.]+'|\bNo module named '[\w.]+'|Detected removed \w+ '.+)"),
    re.compile(r"^(?:Error|ERROR|CRITICAL|error)\s*[:|]\s*(?P<text>\S.*\s.*\S)"),
    re.compile(r"^[^\n]*?\b(?:ERROR|CRITICAL|FATAL)\b\W*(?:[\w.]+\]\s+)?(?:[\w.]+\s*:\s+)?(?P<text>\S.*\s.*\S)"),
)  # fmt: skip
_NO_CAUSE = re.compile(
    r"Application startup failed|(?:Worker|App) failed to|Exception in worker process|Traceback \(most|Worker \(pid|Shutting down|exited with code"
)
_NOBODYS = re.compile(r"DeprecationWarning$|^(?:User|Future|Runtime|Syntax|Import|Resource)Warning$")
_ENDED = re.compile(r"\bWorker \(pid:\d+\) (?P<text>exited with code (?P<code>[1-9]\d*))")  # 3, 4: it did not load
_UP = r"Application startup complete|Uvicorn running on|\* Running on http|celery@\S+ ready|Watching for file changes"
_DATABASES = (
    (r"psycopg2\b|\bPostgresqlImpl\b|(?:dialects|ddl)[/\\]postgresql", "postgresql", None),
    (r"\basyncpg\b", "postgresql", "asyncpg"),
    (r"\bpsycopg\.(?:errors|connection|cursor|Operational)|[/\\]psycopg[/\\]", "postgresql", "psycopg"),
    (r"\bpg8000\b", "postgresql", "pg8000"),
    (r"\baiosqlite\b", "sqlite", "aiosqlite"),
    # A table is made anew for SQLite only: the others alter theirs.
    (r"\bsqlite3\.\w+Error|\(sqlite3\.|\bSQLiteImpl\b|(?:dialects|ddl)[/\\]sqlite|pysqlite|\bbatch\.py\", line \d+, in _create\b", "sqlite", None),
    (r"(?:dialects|ddl)[/\\]mysql|\bpymysql\b|\bMySQLdb\b|\bMySQLImpl\b|\baiomysql\b|mysql\.connector", "mysql", None),
)  # fmt: skip
_SQL = re.compile(r"\[SQL: \s*((?:ALTER|CREATE|DROP)\b[^\]]*)")
# A request that no exception tells of: what the application has was not found, refused, or failed.
_REFUSED_REQUEST = re.compile(
    r"\"(?P<method>GET|POST|PUT|PATCH|DELETE) (?P<path>/[^\s?]*)\S* HTTP/[\d.]+\" (?:404|405|422|5\d\d)\b"
)
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
    r"Error handling request (?:(?P<method>[A-Z]+) )?(?P<path>/\S*)",
)
# A variable that the log itself calls missing: what shows the incident is that it is not there.
_MISSING = (
    r"KeyError: ['\"]([A-Z][A-Z0-9_]{2,})['\"]",
    r"UndefinedValueError: (\w+) not found",
    r"[Ee]nvironment variable ['\"]?([A-Z][A-Z0-9_]+)['\"]? (?:is )?(?:not set|missing|undefined|required)",
    r"Config ['\"](\w+)['\"] is missing",
    r"ImproperlyConfigured: Set the (\w+) environment variable",
    r"\b(?:missing|required?|unset|not (?:set|found|defined))\b[^\n]*\benvironment variable ['\"`]?([A-Z][A-Z0-9_]{2,})\b",
    r"^(?:E\s+)?([\w.]*\w)\s*\n(?:E\s+)?\s+(?:Field required|field required|none is not an allowed value)",
    r"\b(?<!nor )([A-Z][A-Z0-9_]{3,}) (?:is|was|must be|env(?:ironment)? var(?:iable)?)\b[^\n]{0,30}\b(?:not set|missing|required|unset|not defined|not configured|set|specified|provided)\b",
    r"[Mm]issing (?:required )?(?:env(?:ironment)? var(?:iable)?s?|setting)s?:? ['\"]?([A-Z][A-Z0-9_]+)",
)  # fmt: skip


@dataclass(frozen=True)
class Evidence:
    """The evidence in a log; a part is empty where the log says nothing.

    :ivar error: the type and text of the causing error
    :ivar expected: the part of its text that is the same in every run
    :ivar frames: the causing traceback's frames in the application, outermost first
    :ivar alike: texts of the same error with other details, if several processes had it
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
    statement: str = ""  # of SQL that changes the schema, where the error is of one
    services: frozenset[str] = frozenset()  # of compose, that wrote it
    task: str | None = None  # that a worker got and did not know
    prefixes: tuple[str, ...] = ()
    version: str | None = None
    missing_variables: frozenset[str] = frozenset()
    missing_modules: frozenset[str] = frozenset()
    foreign: str | None = None  # a file of the log that this application does not have, where it has none of them


def evidence_of(log: Log, text: str, project: Project) -> Evidence:
    """Read a log against an application.

    :param text: the log's text; of a long log only the beginning and the end are read
    """
    services, text = _services(text), plain(text)
    text = text if len(text) <= 2 * _PIECE else text[:_PIECE] + "\n" + text[-_PIECE:]
    logged = ((traceback, traceback.frames) for traceback in log.tracebacks)
    placements = [(traceback, place(shown, paths_of(project, shown))) for traceback, shown in logged]
    through = [pair for pair in placements if pair[1].placed]
    # The first that passes through the application: later ones usually follow from it.
    typed = [pair for pair in through if _raised_in(pair[0]).type]
    chosen, alone = next(iter(typed or through or placements), None), _one_line(text, project)
    last = re.search(rf"^FAILED: {re.escape(alone[1])}$", text, re.M) if alone else None
    if chosen and last and text.count("\n", 0, last.start()) >= chosen[0].line:
        chosen, through = None, []  # it went on after that, to Alembic's last word
    kind, message, at, frames = "", "", "", ()
    if chosen is not None:
        raised = _raised_in(chosen[0])
        kind, message, at = raised.type or "", raised.text or "", f"line {chosen[0].line} of the log"
        frames = chosen[1].placed
    if alone is not None and (not (kind and through) or kind.endswith("CalledProcessError")):  # a child said why
        kind, message, at = alone
        frames = _warned(text, at, project) or frames
    if message.startswith("Detected removed "):  # `alembic check` fails of it, --autogenerate does not
        message = "New upgrade operations detected"
    message = message.partition("Original exception was: ")[2] or message
    alike = [str(_raised_in(traceback).text) for traceback, _ in through if kind and _raised_in(traceback).type == kind]
    expected = (common(alike) if len(set(alike)) > 1 else None) or stable(message)
    if expected and len(expected.split()) < 2 and kind:  # a name alone says too little
        expected = f"{kind}: {expected}"
    invalid = re.match(r"\d+ validation error", message)
    if invalid and (field := re.search(rf"{re.escape(message)}\n(\S+\n +[^\[\n]*\w)", text)):
        expected = f"{message}\n{field[1]}"  # which field it is, is in the next lines
    expected, table = expected or kind or None, _DEFINED.search(message)
    statement = _SQL.search(text)
    of_application = [frame for pair in placements for frame in pair[1].frames]
    foreign = _foreign(project, of_application, [frame for pair in placements for frame in pair[1].placed])
    database, driver, database_at = _database(text)
    prefixes, version = _interpreter(log, text)
    return Evidence(
        error=": ".join(part for part in (kind, message) if part), type=kind, text=message, expected=expected,
        table=table[1] if table else None, at=at, frames=frames, alike=tuple(dict.fromkeys(alike)),
        programs=tuple(programs_of(log, chosen, text, project)), database=database, driver=driver, database_at=database_at,
        workers=_workers(text), request=_request(text, frames, project, bool(expected)), upgrading=next(reversed(re.findall(_UPGRADING, text)), None),
        statement=statement[1] if statement and kind else "", services=services,
        healthy=bool(re.search(_UP, text)), prefixes=prefixes, version=version, foreign=foreign,
        missing_variables=frozenset(variable for pattern in _MISSING for variable in re.findall(pattern, text, re.M)),
        task=next(iter(re.findall(r"unregistered task of type u?'([\w.]+)'", text)), None),
        missing_modules=frozenset(re.findall(r"No module named '?([\w.]+)'?", " ".join((kind, message)))),
    )  # fmt: skip


def _services(text: str) -> frozenset[str]:
    """The names that compose writes before a service's lines; of one with its project's name before it, what may be the service's."""
    names = set(re.findall(r"^(?:\x1b\[[\d;]*m)*([\w.-]+?)(?:[-_]\d+)? +\|", text, re.M))
    parts = [re.split("[-_]", name) for name in names]
    return frozenset({*names, *("-".join(part[at:]) for part in parts for at in range(len(part)))})


def _raised_in(traceback: Traceback) -> Raised:
    """The exception that matters: the last one that is not just a wrapper's note that a start failed, of a group its first member."""
    members = [raised for raised in traceback.raised if raised.link == "member" and raised.type]
    raised_alone = [raised for raised in traceback.raised if raised.link != "member"]
    for raised in reversed(raised_alone or traceback.raised):
        silent = raised.link == "cause" and not raised.text  # its cause says what happened
        ends = (raised.type or "").rpartition(".")[2] in ("", "HaltServer", "SystemExit", "CancelledError")
        if not silent and not ends:
            telling = [member for member in members if not member.type.endswith("ExceptionGroup")]
            return telling[0] if telling and raised.type.endswith("ExceptionGroup") else raised
    return traceback.error


def stable(text: str) -> str | None:
    """The part of an error's text that is the same in every run, in whole words; None if nothing is."""
    text = text.partition("Original exception was: ")[2] or text
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
    """The longest run of whole words that the stable parts of all texts share; None if it says nothing."""
    parts = [part for part in map(stable, dict.fromkeys(texts)) if part]
    words = parts[0].split() if parts else []
    runs = (" ".join(words[a:b]) for a in range(len(words)) for b in range(a + 2, len(words) + 1))
    shared = (run for run in runs if all(re.search(rf"(?<!\S){re.escape(run)}(?!\S)", part) for part in parts[1:]))
    return max(shared, key=len, default=None)


def _one_line(text: str, project: Project) -> tuple[str, str, str] | None:
    """An error without a traceback: type, text and place; the first line of the most telling kind."""
    ended = _ENDED.search(text)
    for pattern in _ONE_LINE:
        for number, line in enumerate(text.splitlines(), 1):
            match = pattern.search(line)
            of_source = re.match(r"\s+(raise|return|File|def|class)\b", line)
            if match and not of_source and not _NO_CAUSE.search(match["text"] or ""):
                kind = match.groupdict().get("type") or ""
                if _NOBODYS.search(kind) and not _of_project(line, project) or ended and kind.endswith("Warning"):
                    continue  # it is nobody's here, or it went on after that, and ended of what it does not say
                if kind or match["text"]:
                    return kind, (match["text"] or "").strip(), f"line {number} of the log"
    if ended and ended["code"] not in ("3", "4"):
        return "", ended["text"], f"line {text.count(chr(10), 0, ended.start()) + 1} of the log"
    return None


def _of_project(line: str, project: Project) -> bool:
    """Does a line begin with a file of the application? A run of the kit shortens a library's."""
    path = f"/{line.split(':')[0].strip()}"
    own = (path.endswith(f"/{file}") or f"/{file}".endswith(path) for file in project.python)
    return not is_library(path) and any(own)


def _warned(text: str, at: str, project: Project) -> tuple[Placed, ...]:
    """The file and line that a warning begins with, as a frame."""
    line = text.splitlines()[int(at.split()[1]) - 1]
    match = re.match(r"\s*(\S+\.py):(\d+): ", line)
    if not match or is_library(match[1]):
        return ()
    frames = [LogFrame(match[1], int(match[2]), None, None)]
    return place(frames, paths_of(project, frames)).placed


# -- the rest


def _foreign(project: Project, frames: Sequence[Placed], placed: Sequence[Placed]) -> str | None:
    """A file that the log passes through and that is not there, where it has none of them, or none of its lines of those that are called so."""
    there = {frame.logged: frame for frame in placed if project.has(frame.file)}
    lost = [frame.logged for frame in frames if frame.logged not in there]
    lines = [(frame.text.strip(), project.text(frame.file)) for frame in there.values() if frame.text]
    known = any(line in text for line, text in lines) if lines else bool(placed)
    return lost[0] if lost and not known else None


def _database(text: str) -> tuple[str | None, str | None, str]:
    """The database that the log names most often, its driver if that is asynchronous, and the line of its first mention."""
    counts: dict[tuple[str, str | None], tuple[int, int]] = {}
    for pattern, kind, driver in _DATABASES:
        matches = list(re.finditer(pattern, text))
        if matches:
            counts[kind, driver] = len(matches), matches[0].start()
    if not counts:
        return None, None, ""
    kind = max(counts, key=lambda count: counts[count][0])[0]
    drivers = [driver for (other, driver) in counts if other == kind and driver]
    at = min(place for (other, _), (_, place) in counts.items() if other == kind)
    return kind, drivers[0] if drivers else None, f"line {text.count(chr(10), 0, at) + 1} of the log"


def _request(text: str, frames: Sequence[Placed], project: Project, raised: bool) -> tuple[str, str] | None:
    """The first request that the log says failed; where only a handler's frames say so, by the handler's own route."""
    if not re.search(_FAILED_REQUEST, text):
        refused = () if raised else _REFUSED_REQUEST.finditer(text)
        paths = {path for file in project.sources for path in re.findall(r"[\"'](/[\w/-]*)[\"']", project.text(file))}
        own = (match for match in refused if any(match["path"].endswith(path) for path in paths - {"/"}))
        return next(((match["method"], match["path"]) for match in own), None)
    for pattern in _REQUESTS:
        if match := re.search(pattern, text, re.M):
            return (match.groupdict().get("method") or "GET").upper(), match["path"].partition("?")[0]
    for frame in frames:
        for text in project.decorators(frame.file, frame.function):
            route = re.match(r"\w+(?:\.\w+)*\.(?P<verb>get|post|put|patch|delete|route)\('(?P<path>/[^'{<]*)'", text)
            if route:
                return "GET" if route["verb"] == "route" else route["verb"].upper(), route["path"]
    return None


def _workers(text: str) -> int | None:
    booted = re.findall(r"Booting worker with pid: (\d+)", text)
    first = re.split(r"Worker exiting|exited with code|Exception in worker|was sent SIG|due to signal", text)[0]
    begun = set(re.findall(r"Booting worker with pid: (\d+)", first)) or set(booted[:1])
    begun = begun or set(re.findall(r"Started server process \[(\d+)\]", first))
    return len(begun) if len(begun) > 1 else 1 if booted else None


def _interpreter(log: Log, text: str) -> tuple[tuple[str, ...], str | None]:
    """The folders of the log's packages, and its Python version."""
    files = [frame.file for traceback in log.tracebacks for frame in traceback.frames]
    matches = [match for match in map(LIBRARY.match, files) if match]
    version = matches[0]["version"] if matches else None
    python_version = re.search(r"\bPython (3\.\d+)", text)
    version = version or (python_version[1] if python_version else None)
    return tuple(dict.fromkeys(match["prefix"] for match in matches)), version


_OF_THE_SURROUNDINGS = {  # what an application ends with where a file, a service, a terminal or an argument is missing
    "ArgumentError", "BrokenPipeError", "ClickException", "ConnectError", "ConnectTimeout", "ConnectionError", "ConnectionRefusedError",
    "ConnectionResetError", "EOFError", "FileNotFoundError", "InterfaceError", "IsADirectoryError", "NoSuchOption", "NotADirectoryError", "OSError",
    "PackageNotFoundError", "PermissionError", "ReadOnlyError", "SystemExit", "TimeoutError", "UsageError", "gaierror",
}  # fmt: skip
_SETTINGS_FILE = re.compile(r"\w[\w-]*\.(?:ini|toml|ya?ml|json|cfg|conf)\b")
_OF_AN_EXTENSION = re.compile(
    r'type "(?:geometry|geography|raster|vector|hstore|citext|ltree)" does not exist|extension "[^"]+" is not available'
)
_INSTALL = re.compile(r"\b(?:pip3?|poetry|uv) (?:install|add|sync)\b|\bnot installed\b")


def of_the_surroundings(seen: Evidence, causes: Sequence[str], project: Project) -> bool:
    """Does an error, or its cause, come from where and how the application was started, as far as its type and what it names tell?"""
    if seen.type.endswith("ImportError") and _INSTALL.search(seen.text) or _OF_AN_EXTENSION.search(seen.text):
        return True
    if any(not project.named(name) for name in _SETTINGS_FILE.findall(seen.text)):
        return True  # it names a settings file that is not among the sources
    if seen.type == "IndexError" and seen.frames and re.search(r"(?<![\w.])(sys\.)?argv\[", str(seen.frames[-1].text)):
        return True  # an argument that nobody gave it
    return bool({kind.rpartition(".")[2] for kind in (seen.type, *causes)} & _OF_THE_SURROUNDINGS)
