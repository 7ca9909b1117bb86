"""Are recorded postmortems still true? Each is executed again and compared with its record."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.errors import IncidentError, KitError
from ..base.interrupt import interruptible, pool_of, under_way
from ..base.janitor import at_end
from ..base.progress import Hears, silent
from ..base.redact import safe
from ..incident.load import load
from ..startup.portable import VARIABLE
from .record import Claim, compared, read_record, write_record

VERDICTS = {0: "still true", 1: "no longer true", 2: "the file is wrong", 3: "does not reproduce", 4: "the run broke"}
_KIT = str(Path(__file__).resolve().parents[2])
_PASSED_OVER = {"node_modules", "__pycache__", "site-packages", "results"}


@dataclass(frozen=True)
class Target:
    """An incident to check.

    :ivar name: of its own among those that are checked, a relative path; its pages lie in a folder of this name
    :ivar file: the incident file, or the path that was given and is no incident file
    """

    name: str
    file: Path


@dataclass(frozen=True)
class Checked:
    """One postmortem, executed again.

    :ivar code: the command line's exit code for it alone, see :data:`VERDICTS`
    :ivar says: the reason in a sentence
    :ivar claims: what the postmortem claims, each with what holds now
    :ivar recorded: was there a record to compare with?
    :ivar report: the postmortem's JSON, or None if none was written
    :ivar page: where its page was written
    """

    name: str
    title: str
    code: int
    says: str
    claims: tuple[Claim, ...] = ()
    recorded: bool = False
    report: dict[str, Any] | None = None
    page: Path | None = None
    seconds: float = 0

    @property
    def drift(self) -> tuple[str, ...]:
        """What is not as it was recorded, line by line."""
        return tuple(claim.says for claim in self.claims if claim.ok is False)

    @property
    def verified(self) -> tuple[str, ...]:
        return tuple(self.report["verify"]["verified"]) if self.report else ()


def find_incidents(paths: Iterable[str | Path]) -> list[Target]:
    """Incident files, and those below folders: sorted, each once. Below a folder that is an incident's own none is looked for.

    What is not there, and a folder without any, is given back as it stands: checked, it is wrong.
    """
    names: dict[Path, str] = {}
    for path in map(Path, paths):
        path = path.expanduser().absolute()
        files = sorted(_below(path)) if path.is_dir() else [path]
        for file in files or [path]:
            real = file.resolve()
            if real in names:
                continue
            folder = file.parent if file.name == "incident.yaml" else file.with_suffix("")
            inside = path.is_dir() and folder != path and folder.is_relative_to(path)
            name = plain = folder.relative_to(path).as_posix() if inside else folder.name or "incident"
            count = 1
            while name in names.values():
                count += 1
                name = f"{plain}-{count}"
            names[real] = name
    return [Target(name, file) for file, name in names.items()]


def _below(folder: Path) -> list[Path]:
    files = []
    for parent, names, here in os.walk(folder):
        if "incident.yaml" in here:
            files.append(Path(parent, "incident.yaml"))
            names[:] = []
        names[:] = [name for name in names if not name.startswith(".") and name not in _PASSED_OVER]
    return files


@interruptible
def check_all(
    incidents: Sequence[Target],
    output: Path,
    *,
    record: bool = False,
    executor: Executor | None = None,
    startups: str | None = None,
    progress: Hears = silent,
) -> list[Checked]:
    """Execute the postmortems again, side by side; the results are in the given order. One that breaks does not stop the others.

    :param output: a folder; the pages of each go to ``<output>/<name>/postmortem.{html,ipynb,json}``
    :param record: write what is proved now as the record of each that reproduces
    :param executor: where they run (all that is handed over can be pickled); by default threads, one a core
    :param startups: the address of an executor where the startups of each run, see :func:`kit.startup.portable.named_executor`
    """
    answers: dict[str, Checked] = {}
    with pool_of(executor) as pool:
        how = {"record": record, "startups": startups}
        futures = {pool.submit(check_one, incident, output, **how): incident for incident in incidents}
        for future in as_completed(futures):
            incident = futures[future]
            try:
                checked = future.result()
            except Exception as error:  # the executor's own: a worker that died
                died = f"it was not brought to its end: {type(error).__name__}: {error}"
                checked = Checked(incident.name, incident.name, 4, _shown(died, incident))
            answers[incident.name] = checked
            progress(f"{len(answers)} of {len(incidents)}: {incident.name}: {VERDICTS[checked.code]}: {checked.says}")
    return [answers[incident.name] for incident in incidents]


def check_one(target: Target, output: Path, *, record: bool = False, startups: str | None = None) -> Checked:
    """Execute one postmortem again, in a process of its own, and judge it."""
    began = time.monotonic()
    base = output.absolute() / target.name / "postmortem"
    for suffix in (".html", ".ipynb", ".json"):
        base.with_suffix(suffix).unlink(missing_ok=True)  # what an earlier run proved is not what this one does
    title = target.name
    try:
        if target.file.is_dir():
            raise IncidentError(f"{target.file}: there is no incident.yaml in this folder or below it")
        incident = load(target.file)
        title = _shown(incident.title, target)
        recorded = None if record else read_record(incident)
        code, report, message = _execute(target.file, base, startups)
        if record and report is not None and report["reproduced"] and not report["broke"]:
            write_record(incident, report)
            recorded = read_record(incident)
    except KitError as error:
        return Checked(target.name, title, error.exit_code, _shown(str(error), target))
    claims = _claims(report, recorded)
    says = _shown(_says(report, claims, record, message), target)
    if code == 0 and any(claim.ok is False for claim in claims):
        code = 1
    known = recorded["fixes"] if recorded else {}
    if code == 0 and any(known.get(fix["name"], "undecided") != "undecided" for fix in _open(report)):
        code = 4  # what was recorded of a fix could not be asked again
    claims = tuple(Claim(_shown(claim.name, target), claim.ok, _shown(claim.says, target)) for claim in claims)
    page = base.with_suffix(".html") if base.with_suffix(".html").exists() else None
    seconds = time.monotonic() - began
    return Checked(target.name, title, code, says, claims, recorded is not None, report, page, seconds)


def _execute(file: Path, base: Path, startups: str | None) -> tuple[int, dict[str, Any] | None, str]:
    """Run ``postmortem`` as a user does: its exit code, its report, and its error message if there is no report."""
    base.parent.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(filter(None, (_KIT, os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-m", "kit", "postmortem", str(file), "--json", "-o", str(base.with_suffix(".html"))],
        env={**os.environ, "PYTHONPATH": path, **({VARIABLE: startups} if startups else {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl+C in a terminal reaches us, who then end it in order
    )
    try:
        with at_end(["kill", "-TERM", str(process.pid)]):  # should we be killed, it still ends in order
            under_way(process, subprocess.Popen.terminate)
            out, message = process.communicate()
    except BaseException:
        process.terminate()
        process.communicate()
        raise
    message = f"\n{message}".rpartition("\nkit: ")[2].strip()
    try:
        report = json.loads(out)
    except ValueError:
        report = None
    if report is None and process.returncode not in (2, 4):
        return 4, None, message or f"its process ended with {process.returncode}"
    return process.returncode, report, message


def _claims(report: dict[str, Any] | None, recorded: dict[str, Any] | None) -> list[Claim]:
    if report is None or report["broke"]:
        return []
    if not report["reproduced"]:
        return [Claim("it reproduces", False, "it does not reproduce")]
    verified, open_ = report["verify"]["verified"], [fix["name"] for fix in _open(report)]
    verdict = f"verified: {', '.join(verified) or 'no fix'}" + (f"; undecided: {', '.join(open_)}" if open_ else "")
    return [
        Claim("it reproduces", True, "it reproduces without the fix"),
        Claim("a fix is verified", True if verified else None if open_ else False, verdict),
        *(compared(recorded, report) if recorded else ()),
    ]


def _open(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The fixes whose run broke."""
    return [fix for fix in report["verify"]["fixes"] if fix["verdict"] == "undecided"]


def _says(report: dict[str, Any] | None, claims: Sequence[Claim], record: bool, message: str) -> str:
    if report is None:
        return message or "it said nothing"
    if report["broke"]:
        return report["broke"]
    if not report["reproduced"]:
        return "it no longer shows what the incident file expects"
    undecided = next((f"{fix['name']} is undecided: {fix['because']}; " for fix in _open(report)), "")
    if not report["verify"]["verified"]:
        return f"it reproduces, and no fix is verified; {undecided}".removesuffix("; ")
    facts = claims[2:]
    differs = sum(fact.ok is False for fact in facts)
    verified = f"it reproduces, verified: {', '.join(report['verify']['verified'])}; {undecided}"
    if not facts:
        return verified + "nothing was recorded to compare it with"
    if record:
        return verified + "recorded now"
    return verified + (f"{differs} of {len(facts)} recorded facts differ" if differs else "all as recorded")


def _shown(text: str, incident: Target) -> str:
    """The text without secrets, terminal codes and the paths of this machine."""
    for folder, shown in ((incident.file.parent, incident.file.parent.name), (Path.cwd(), "."), (Path(_KIT), "kit")):
        if len(folder.parts) > 1:
            text = text.replace(f"{folder}{os.sep}", f"{shown}/")
    return safe(text)


def worst(checked: Iterable[Checked]) -> int:
    """The exit code of several postmortems: the highest of theirs, so that a broken run outweighs a verdict."""
    return max((check.code for check in checked), default=2)


def check_report(checked: Sequence[Checked], folder: Path) -> dict[str, Any]:
    """``{schema, code, incidents: [{name, incident, code, verdict, says, recorded, drift, claims, mechanism, verified, page}]}``.

    ``page`` is relative to ``folder``; ``incident`` is the title.
    """
    return {
        "schema": 1,
        "code": worst(checked),
        "incidents": [
            {
                "name": check.name,
                "incident": safe(check.title),
                "code": check.code,
                "verdict": VERDICTS[check.code],
                "says": safe(check.says),
                "recorded": check.recorded,
                "drift": [*map(safe, check.drift)],
                "claims": [{"claim": safe(c.name), "ok": c.ok, "says": safe(c.says)} for c in check.claims],
                "mechanism": check.report["mechanism"] if check.report else None,
                "verified": [*map(safe, check.verified)],
                "page": check.page.relative_to(folder).as_posix() if check.page else None,
            }
            for check in checked
        ],
    }
