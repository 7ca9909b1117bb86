"""The files that ``check`` writes: an index page, a JUnit file and a Markdown summary. Titles and messages in them are foreign data."""

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from ..base.errors import IncidentError
from ..base.janitor import write_whole
from ..base.redact import safe
from ..diagnose.explanations import MEANINGS
from ..views.ci import escaped
from .page import fill
from .recheck import VERDICTS, Checked, Target, check_report, worst

_MOST = 4000  # characters of one message


def write_files(checked: Sequence[Checked], folder: Path) -> None:
    """Write ``index.html``, ``junit.xml``, ``summary.md`` and ``check.json`` into the folder.

    In a GitHub job the summary is the job's too: it goes to the end of the file that ``GITHUB_STEP_SUMMARY`` names.

    :raises IncidentError: one cannot be written
    """
    files = {
        "index.html": index_page(checked, folder),
        "junit.xml": junit(checked),
        "summary.md": summary(checked),
        "check.json": json.dumps(check_report(checked, folder), indent=2, ensure_ascii=False) + "\n",
    }
    for name, text in files.items():
        try:
            write_whole(folder / name, text)
        except OSError as error:
            raise IncidentError(f"{folder / name}: cannot be written: {error.strerror}") from None
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with open(os.environ["GITHUB_STEP_SUMMARY"], "a", encoding="utf-8") as file:
                file.write(files["summary.md"])
        except OSError as error:
            raise IncidentError(f"GITHUB_STEP_SUMMARY: cannot be written: {error.strerror}") from None


def headline(checked: Sequence[Checked]) -> str:
    true = sum(check.code == 0 for check in checked)
    if true == len(checked):
        return "The postmortem is still true" if true == 1 else f"All {true} postmortems are still true"
    return f"{true} of {len(checked)} postmortem{'s' * (len(checked) > 1)} still true"


def index_page(checked: Sequence[Checked], folder: Path) -> str:
    """One page with every postmortem, and links to the pages beside it; the same results give the same bytes."""
    rows = [
        {
            "id": f"incident-{number}",
            "name": _text(check.name),
            "title": _text(check.title),
            "href": quote(check.page.relative_to(folder).as_posix(), errors="surrogateescape") if check.page else None,
            "verdict": VERDICTS[check.code],
            "colour": {0: "kit-good", 1: "kit-bad", 3: "kit-bad"}.get(check.code, "kit-open"),
            "says": _text(check.says),
            "mechanism": check.report["mechanism"] if check.report else None,
            "verified": ", ".join(map(_text, check.verified)),
            "open": [(claim.ok, _text(claim.says)) for claim in check.claims if claim.ok is not True],
        }
        for number, check in enumerate(checked, 1)
    ]
    return fill("check.html.j2", head=headline(checked), good=worst(checked) == 0, rows=rows)


def junit(checked: Sequence[Checked]) -> str:
    """One test suite per incident and one test case per claim, by Jenkins's JUnit schema, which GitHub and GitLab read.

    A claim that no longer holds is a failure; a wrong file and a broken run are errors; what was never recorded is skipped.
    """
    suites = ElementTree.Element("testsuites", name="postmortems")
    totals = Counter(tests=0, failures=0, errors=0)
    for check in checked:
        cases = []
        if check.code in (2, 4):
            cases.append(_case(check, "it can be checked", "error", check.says))
        for claim in check.claims:
            kind = {True: None, False: "failure", None: "skipped"}[claim.ok]
            cases.append(_case(check, claim.name, kind, claim.says))
        cases[0].set("time", f"{check.seconds:.3f}")
        outcomes = Counter(outcome.tag for case in cases for outcome in case)
        counts = {"tests": len(cases), "failures": outcomes["failure"], "errors": outcomes["error"]}
        totals.update(counts)
        texts = {name: str(count) for name, count in {**counts, "skipped": outcomes["skipped"]}.items()}
        about = {"name": _line(check.name), **texts, "time": f"{check.seconds:.3f}"}
        ElementTree.SubElement(suites, "testsuite", about).extend(cases)
    for name, count in totals.items():
        suites.set(name, str(count))
    ElementTree.indent(suites)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(suites, encoding="unicode")}\n'


def _case(checked: Checked, name: str, kind: str | None, says: str) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_line(checked.name), name=_line(name), time="0.000")
    if kind is not None:
        outcome = ElementTree.SubElement(case, kind, message=_line(says))
        if kind != "skipped":
            outcome.set("type", VERDICTS[checked.code])
            outcome.text = f"{_text(checked.title)}\n{_text(says)}"
    return case


def annotations(checked: Sequence[Checked], incidents: Sequence[Target]) -> list[str]:
    """GitHub's workflow commands, one for each postmortem that is not true now, at its incident file."""
    files = {incident.name: os.path.relpath(incident.file) for incident in incidents}
    lines = []
    for check in [check for check in checked if check.code]:
        file, title = (escaped(_line(text), of_property=True) for text in (files[check.name], VERDICTS[check.code]))
        lines.append(f"::error file={file},title={title}::{escaped(f'{_line(check.title)}: {_line(check.says)}')}")
    return lines


def summary(checked: Sequence[Checked]) -> str:
    """Markdown for a CI job's summary."""
    lines = [f"### {headline(checked)}", "", "| postmortem | verdict | cause | why |", "|---|---|---|---|"]
    for check in checked:
        title = f"{_markdown(check.title)} ({_markdown(check.name)})"
        mechanism = (check.report or {}).get("mechanism", "")
        cause = MEANINGS[mechanism].happened if mechanism in MEANINGS else mechanism
        lines.append(f"| {title} | {VERDICTS[check.code]} | {_markdown(cause)} | {_markdown(check.says)} |")
    for check in checked:
        if check.drift and check.code == 1:
            differences = (f"- {_markdown(difference)}" for difference in check.drift)
            lines += ["", f"{_markdown(check.name)}:", "", *differences]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    shown = safe(text)
    return shown if len(shown) <= _MOST else shown[:_MOST] + " …"


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", _text(text)).strip()


def _markdown(text: str) -> str:
    """The text escaped for one line of Markdown: it makes no markup, table cell, link, mention or reference."""
    plain = escape(_line(text), quote=False)  # < and & as entities, which need no backslash
    plain = re.sub(r"[\\`*_{}\[\]()#+!|~@:$^=]", r"\\\g<0>", plain)
    return plain.replace("www.", "www\\.")
