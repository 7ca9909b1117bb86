"""Start each miniature application on each of its lines of SQLAlchemy, keep the traces, of every fix on 2.0 too, and say what is judged otherwise.

make traces              those whose application changed, or that are not there
make traces ONLY="a b"   these, anew
make traces ONLY=all     all of them
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from miniatures import (  # noqa: E402
    APPLICATIONS,
    EXPECTED,
    JUDGED_FIXES,
    PAIRS,
    SOURCES,
    TRACES,
    builds_file,
    digest,
    incident_of,
    judged,
    judged_builds,
    keep_builds,
    python,
    trace_file,
)

from kit.diagnose.diagnosis import Diagnosis, diagnose, judge_again, save_diagnosis  # noqa: E402
from kit.diagnose.observation import look_at  # noqa: E402
from kit.incident.model import Incident  # noqa: E402
from kit.verify.verification import judge_fix  # noqa: E402


def run(incident: Incident, line: str) -> Diagnosis:
    """The whole diagnosis on 2.0; on another line what one startup shows, unless an experiment decides."""
    if line == "2.0":
        return diagnose(incident)
    looked = look_at(incident)
    kept = judge_again(incident, replace(judge_again(incident, looked.trace), looked=looked))
    return diagnose(incident) if kept.outcomes else kept


def told(diagnosis: Diagnosis) -> str:
    return f"{diagnosis.finding.mechanism}, {diagnosis.first}, {diagnosis.second}"


def verdicts(name: str) -> str:
    incident, control, fixes = judged_builds(name)
    return ", ".join(f"{fix} {judge_fix(incident, fix, attempt, control).verdict}" for fix, attempt in fixes.items())


def make(pair: tuple[str, str]) -> str:
    """Keep one trace; how what is judged from it differs from before."""
    name, line = pair
    file = trace_file(name, line)
    before = told(judged(name, line)[1]) if file.exists() else "not kept"
    diagnosis = run(incident_of(APPLICATIONS / name, line), line)
    save_diagnosis(diagnosis, file)
    says = f"{name} on {line}: {told(diagnosis)}" + ("" if told(diagnosis) == before else f" (before: {before})")
    if line == "2.0" and name in JUDGED_FIXES:
        before = verdicts(name) if builds_file(name).exists() else "not kept"
        keep_builds(name)
        says += f"; {verdicts(name)}" + ("" if verdicts(name) == before else f" (before: {before})")
    return says


def main(only: list[str]) -> None:
    TRACES.mkdir(exist_ok=True)
    kept = json.loads(SOURCES.read_text()) if SOURCES.exists() else {}
    for line in ("1.4", "2.0", "2.1"):
        python(line)
    pairs = [
        (name, line)
        for name, line in PAIRS
        if only == ["all"]
        or name in only
        or not only
        and (kept.get(name) != digest(name) or not trace_file(name, line).exists())
    ]
    with ThreadPoolExecutor(2) as workers:
        for said in workers.map(make, pairs):
            print(said, flush=True)
    for name in {name for name, _ in pairs}:
        kept[name] = digest(name)
    SOURCES.write_text(json.dumps({name: kept[name] for name in sorted(kept) if name in EXPECTED}, indent=1) + "\n")
    wanted = {trace_file(*pair) for pair in PAIRS} | {builds_file(name) for name in JUDGED_FIXES}
    for file in TRACES.rglob("*.jsonl.gz"):
        if file not in wanted:
            file.unlink()


if __name__ == "__main__":
    main(sys.argv[1:])
