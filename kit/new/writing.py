"""Writes a new incident file, filled in as far as the application and its log tell, each part with its reason."""

import io
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from ..base.errors import IncidentError
from ..base.known_secrets import remember
from ..base.redact import public_part, redact
from ..base.scan import refuse_secrets
from ..incident.load import load
from ..triage.logs import Log, read_log
from .discovery import Discovery, application_of, discover, given_step

_LONGEST_LOG = 4 << 20  # bytes that are copied beside the incident file
_COLUMN = 46  # where a comment begins, if the line leaves room


def new(
    folder: Path,
    *,
    app: str | None = None,
    startup: Sequence[str] = (),
    log: str | None = None,
    python: str | None = None,
) -> tuple[Path, Discovery]:
    """Write ``incident.yaml`` into a folder, and the log beside it; the file, and what was found out.

    :param app: the application's folder; where it is not given, the log or the current folder tells
    :param startup: steps as text, ``import app.main``
    :param log: a file, or "-" for standard input
    :param python: the application's interpreter, where it was named
    :raises IncidentError: there is one already, the application is none or not one, or nothing can run it
    :raises SecretFound: a step or the log would show a secret; nothing is written
    """
    given = [given_step(text) for text in startup]
    content = _content(log) if log else None
    read = read_log(io.BytesIO(content)) if content is not None else None
    root = _folder(app) if app else application_of(read, Path.cwd())
    target = _plain_path(folder.expanduser())
    _free(target, root, log)
    found = discover(root, log=read, startup=given, python=python)
    file = target / "incident.yaml"
    texts = {file.name: _text(found, target, content is not None)}
    texts |= {"log.txt": _excerpt(content, read)} if content is not None else {}
    _refuse(found, texts)
    target.mkdir(parents=True, exist_ok=True)
    draft = target / f".incident.yaml.{os.getpid()}"
    try:
        if content is not None:
            (target / "log.txt").write_text(texts["log.txt"], encoding="utf-8")
        draft.write_text(texts[file.name], encoding="utf-8")
        load(draft)  # what is written must be what can be read
        os.link(draft, file)  # never over one that somebody made meanwhile
    except OSError as error:
        raise IncidentError(f"{file}: cannot be written: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
    return file, found


def _refuse(found: Discovery, texts: dict[str, str]) -> None:
    """Whoever writes an incident file hands it on: what the sources, or the log, hold of secrets stays there."""
    for step in (*found.prepare, *found.startup):
        remember("startup", step.text)
    own = os.path.join(os.path.expanduser("~"), "")  # the paths in it are of this machine, as they have to be
    refuse_secrets(
        {name: text.replace(own, "~/") for name, text in texts.items()},
        done="written",
        remedy="Take it out of the log; of a step, give the step by --startup with $NAME in its place, and NAME in app.env afterwards.",
    )


def _folder(app: str) -> Path:
    path = Path(app).expanduser()
    if path.is_file():
        raise IncidentError(
            f"--app {app}: this is a file; name the folder of the application, as in --app {path.parent}"
        )
    if not path.is_dir():
        raise IncidentError(f"--app {app}: there is no such folder (looked up from {Path.cwd()})")
    return _plain_path(path)


def _plain_path(path: Path) -> Path:
    """An absolute path without ``..``; links are kept where they lead to the same."""
    plain = Path(os.path.abspath(path))
    return plain if plain.resolve() == path.resolve() else path.resolve()


def _shown(path: Path) -> str:
    """A path as somebody would type it here: relative, but from the root where that is nearer."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith(os.path.join("..", "..", "")) else str(path)


def _free(target: Path, root: Path, log: str | None) -> None:
    """Can an incident be written there?"""
    if (target / "incident.yaml").exists():
        raise IncidentError(f"{target / 'incident.yaml'}: there is one already, and it is kept. Give another folder.")
    if target.exists() and not target.is_dir():
        raise IncidentError(f"{target}: this is no folder; a new one is made for each incident")
    inside = target.resolve()
    if inside == root.resolve() or inside.is_relative_to(root.resolve()):
        raise IncidentError(
            f"{target}: lies inside the application {root}, into which nothing is written. Give a folder beside it, as in {root.parent / 'incidents' / target.name}"
        )
    own = Path(log).expanduser().absolute() if log and log != "-" else None
    others = [one for one in sorted(target.iterdir()) if one != own] if target.is_dir() else []
    if others:
        raise IncidentError(
            f"{target}: this folder is there already and holds {others[0].name}{' and more' if len(others) > 1 else ''}. "
            "Give one that is new or empty."
        )


def _content(log: str) -> bytes:
    try:
        if log == "-":
            if sys.stdin.isatty():
                print("kit: paste the log, then Ctrl+D on a line of its own", file=sys.stderr)
            return sys.stdin.buffer.read()
        return Path(log).expanduser().read_bytes()
    except OSError as error:
        raise IncidentError(f"--log {log}: cannot be read: {error.strerror}") from None


def _excerpt(content: bytes, log: Log) -> str:
    """The log without secrets; of a long one what lies about its tracebacks and the first line that says it."""
    utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = content.decode("utf-16" if utf16 else "utf-8", "replace").replace("\r\n", "\n")
    if len(content) > _LONGEST_LOG:
        lines, kept = text.splitlines(keepends=True), set()
        for line in [*(log.logged or ())[:1], *(one.line for one in log.tracebacks[-20:])]:
            kept |= set(range(max(0, line - 50), min(len(lines), line + 1000)))
        text = "".join(lines[number] for number in sorted(kept))[-_LONGEST_LOG:]
    return redact(text)


# ------------------------------------------------------------------------------ the file


def _text(found: Discovery, target: Path, with_log: bool) -> str:
    """The incident file: keys in the order of the README, each with how it is known."""
    lines = [f"title: {_value(redact(found.title))}"]
    lines += ["app:"]
    root = os.path.relpath(found.root.resolve(), target.resolve())
    lines += [_commented(f"  root: {_value(root)}", "the work tree as it is; it is copied, never written to")]
    lines += _of_repository(found, target)
    if found.workdir != ".":
        lines.append(_commented(f"  workdir: {_value(found.workdir)}", "where commands run"))
    if found.path != ["."]:
        reasons = {value: why for what, value, why in found.found if what == "on the path"}
        said = "; ".join(f"{one}: {reasons[one]}" for one in found.path if one in reasons)
        lines.append(_commented(f"  path: {_value(found.path)}", said or "the service's own folder"))
    if found.python is not None:
        version = found.python.version_of("sqlalchemy")
        named = os.path.relpath(found.python.python, target.resolve())
        named = named if not named.startswith("../../../../..") else str(found.python.python)
        lines.append(
            _commented(f"  python: {_value(named)}", f"{found.python.why}; SQLAlchemy {version or 'is in it'}")
        )
    else:
        lines.append(
            "  # python: ../app/.venv/bin/python    # none of the application's own was found; the kit's has all that it imports"
        )
    if found.missing_modules:
        lines.append(f"  # it lacks, by name: {', '.join(found.missing_modules[:8])}")
    if found.env:
        lines.append(
            "  env:                                       # the environment starts empty: what is read without a default"
        )
        for name, (text, why) in found.env.items():
            lines.append(_commented(f"    {name}: {_value(text)}", why))
    lines += _of_database(found)
    if found.prepare:
        lines.append("prepare:                                     # before the startup, not judged")
        lines += [_commented(f"  - {step.kind}: {_value(step.text)}", step.why) for step in found.prepare]
    lines.append("startup:                                     # what the server does until it is up, in order")
    for step in found.startup:
        lines.append(_commented(f"  - {step.kind}: {_value(step.text)}", step.why))
    lines += [f"  # {_plain(note)}" for note in found.notes]
    for one in found.others[:3]:
        lines.append(
            "  # " + _plain(f"another way, {one.why}: " + "; ".join(f"{kind}: {text}" for kind, text in one.steps))
        )
    if found.error:
        lines += [
            "expect:                                      # how the incident looks when it reproduces",
            f"  error: {_value(public_part(found.error))}",
        ]
        lines += [f"  table: {_value(found.table)}"] if found.table else []
    else:
        lines += [
            "# expect:                                    # how the incident looks; left out, whatever goes wrong counts",
            "#   error: \"Table '…' is already defined\"",
        ]
    lines += (
        ["log: log.txt                                 # as it was given, without secrets"]
        if with_log
        else ["# log: log.txt"]
    )
    for sentence in found.wanting:
        lines += [f"# Not found: {_plain(sentence)}"]
    lines += [
        "",
        "# What people believed: each is tested when it has a kind (the README lists them).",
        "hypotheses: []",
    ]
    lines += [
        "",
        "# A fix is one or several patches (`git diff --relative > fix.patch` in the application's root), kept beside this file:",
        "#   remove-legacy: {patches: [fixes/remove-legacy.patch], claim: nobody uses the old class}",
        "fixes: {}",
        "checks:                                      # what must be true after a fix",
    ]
    for check, why in found.checks:
        key, value = next(iter(check.items()))
        lines.append(_commented(f"  - {key}: {_value(value)}", why))
    lines += [
        "",
        "# What only people know; what is left out is named on the page:",
        "#   summary, impact, detection, timeline: [{at: 2026-01-31 14:04, what: …}], actions: [{what: …, owner: …, due: …}],",
        "#   went_well, went_wrong, lucky, surprised",
        "postmortem: {}",
    ]
    return "\n".join(lines) + "\n"


def _of_repository(found: Discovery, target: Path) -> list[str]:
    """How to have the history, in a comment."""
    root = found.root.resolve()
    top = next((one for one in (root, *root.parents) if (one / ".git").exists()), None)
    if top is None:
        return []
    if top == root:
        return [
            "  # its history is read as well; for one commit in place of the work tree write, for root:",
            f"  # repository: {os.path.relpath(root, target.resolve())}",
            "  # revision: HEAD",
        ]
    return [
        "  # for its history, or for one commit, write in place of root:",
        f"  # repository: {os.path.relpath(top, target.resolve())}",
        "  # revision: HEAD",
        f"  # subdir: {root.relative_to(top).as_posix()}",
    ]


def _of_database(found: Discovery) -> list[str]:
    database, lines = found.database, []
    if database is None:
        return lines
    if database.kind == "postgresql":
        lines.append(_commented("database: postgresql", database.because))
    else:
        lines.append(
            _commented(
                "database: sqlite", f"{database.because}; or: postgresql" if database.because else "or: postgresql"
            )
        )
    if found.database_driver:
        lines.append(_commented(f"database_driver: {found.database_driver[0]}", found.database_driver[1]))
    if found.database_env:
        at = next((why for what, value, why in found.found if value == found.database_env), "")
        lines.append(_commented(f"database_env: {found.database_env}", at))
    return lines


def _plain(text: str) -> str:
    """Text of the application as a comment may hold it: in one line, printable, without secrets."""
    return redact(re.sub(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]+|\s+", " ", text))


def _commented(line: str, comment: str) -> str:
    """A line with a comment, on its right where there is room and else above it."""
    comment = _plain(comment)
    if not comment:
        return line
    if len(line) < _COLUMN - 1 and len(comment) < 76:
        return f"{line.ljust(_COLUMN - 1)}# {comment}"
    if len(line) + len(comment) < 118:
        return f"{line}    # {comment}"
    indent = line[: len(line) - len(line.lstrip())]
    return f"{indent}# {comment}\n{line}"


def _value(value) -> str:
    """A value as YAML in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def told_of(file: Path, found: Discovery) -> list[str]:
    """What the command line says: what was found and how it is known, what was not, and what to do next."""
    lines = [f"{_shown(file)}: written from {found.root}"]
    lines += [f"  {what}: {value}  ({why})" for what, value, why in found.found]
    if found.python is None:
        lines.append(
            "  interpreter: the kit's own  (none of the application's own was found; it has all that the sources import)"
        )
    lines += [f"  startup: {step.kind}: {step.text}  ({step.why})" for step in found.startup]
    lines += [f"  {name}: {value}  ({why})" for name, (value, why) in found.env.items()]
    lines += [f"  another start: {'; '.join(text for _, text in one.steps)}  ({one.why})" for one in found.others[:3]]
    lines += [f"  note: {note}" for note in found.notes]
    if found.missing_modules:
        lines.append(f"  not in that interpreter: {', '.join(found.missing_modules[:8])}")
    lines += [f"  not found: {sentence}" for sentence in found.wanting]
    lines = [lines[0], *("  " + _plain(line.strip()) for line in lines[1:])]
    shown = shlex.quote(_shown(file.parent))
    python = _started_by()
    lines += [
        "next: look it over, then",
        f"  {python} -m kit reproduce {shown}     does it happen here, and where does each registration come from?",
        f"  {python} -m kit postmortem {shown}    its page",
    ]
    return [redact(line) for line in lines]


def _started_by() -> str:
    """This interpreter as a shell in the current folder starts it: by a relative path where it lies below that."""
    python, here = Path(sys.executable), Path.cwd()
    return shlex.quote(str(python.relative_to(here) if python.is_relative_to(here) else python))
