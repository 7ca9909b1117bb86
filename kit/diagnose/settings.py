"""Settings that are not given: the field and its variable, who needs it, and which deployment files name it; loggers that were disabled."""

import ast
import re
from collections.abc import Sequence

from ..incident.environment import stand_in
from ..incident.source import nodes_at, text_at
from ..incident.variables import Reading, spellings_of
from ..trace.trace import Trace
from ..trace.values import Error, Frame, Record, Silenced
from .experiments import error_texts, failure, first_line, gone, with_environment, with_keyword, with_replaced
from .values import Case, Experiment, Fault, Place, body_of, of_failures

# The files by which an application is run, whatever variables they name.
_DEPLOYS = re.compile(r"(Dockerfile|Procfile|compose[^/]*\.ya?ml|\.service)$")
# What libraries say of a variable that is not there.
_NOT_SET = re.compile(
    r"^(?P<decouple>\w+) not found\. Declare it as envvar"
    r"|[Ee]nvironment variable ['\"](?P<environs>\w+)['\"] (?:is )?not set"
    r"|Config '(?P<starlette>\w+)' is missing, and has no default"
    r"|Set the (?P<django>\w+) environment variable"
    r"|(?P<dynaconf>\w+) is required in env "
)
_CLASS = re.compile(r"\d+ validation errors? for (\w+)")
_MISSING = re.compile(r"^(\S+)\n\s+[Ff]ield required\b", re.M)
# Set in every run: by the kit, or by Python's and the system's own habits.
_ALWAYS = {"PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "PYTHONHASHSEED", "PORT", "PWD", "USER"}
_MOST = 6  # deployment files that are named
_DATABASE = re.compile(r"(DATABASE|(^|_)DB|SQLALCHEMY|POSTGRES|SQL)\w*(URL|URI|DSN)")


def setting_missing(case: Case, error: Error) -> Fault | None:
    site = error.site
    lacking = _lacking(case, error, site) if site is not None else []
    if not lacking:
        return None
    names = list(dict.fromkeys(reading.name for reading in lacking))
    how = "without a default" if any(reading.required for reading in lacking) else "which gives None"
    named = ", ".join(f"{r.class_}.{r.field} ({r.name})" if r.field else r.name for r in lacking)
    because = (
        f"{named} is read at {', '.join(map(str, lacking))}, {how}, and is not set: {first_line(str(error))}",
        *_deployments(case, names),
    )
    fields = [
        Place("field" if reading.field else "reads", reading.file, reading.line, reading.field or reading.name)
        for reading in lacking
    ]
    needs = Place.of("needs it", site)
    sites = (*fields, *([needs] if str(needs) not in map(str, fields) else []))
    against = {"unknown-url-scheme": "it fails before a URL is looked at"}
    run = _with_stand_in(case, lacking, error)
    return Fault("setting-missing", because, sites=sites, against=against, error=error, experiment=run)


MECHANISMS = of_failures(setting_missing)


def _lacking(case: Case, error: Error, site: Frame) -> list[Reading]:
    """The readings of variables that are not set and that an error comes of; empty where it does not."""
    unset = [reading for reading in case.readings if reading.name.upper() not in _variables_set(case)]
    unset.sort(key=lambda reading: (reading.file, reading.line) != site[:2])  # what is read where it fails comes first
    texts = error_texts(error)
    fields = _missing_fields(texts, unset)
    if fields:
        return fields
    in_os = bool(error.frames) and error.frames[-1].file.rpartition("/")[2] in ("os.py", "<frozen os>")
    name = error.text.strip("'\"") if in_os and error.type.rpartition(".")[2] == "KeyError" else None  # os.environ[…]
    name = name or next((m[m.lastgroup] for text in texts if (m := _NOT_SET.search(text))), None)
    if name is not None:
        known = [reading for reading in unset if reading.name == name]
        near = [reading for reading in known if reading.file == site.file and abs(reading.line - site.line) <= 5]
        if known or name.upper() not in _variables_set(case):
            return (near or known)[:1] or [Reading(name, site.file, site.line, True)]
    return _named_or_used(case, error, site, [reading for reading in unset if reading.class_ is None])


def _variables_set(case: Case) -> set[str]:
    """The variables that are set in the run, in capital letters."""
    variables = {case.incident.database_env, *case.incident.app.env}
    return _ALWAYS | {name.upper() for name in variables}


def _missing_fields(texts: Sequence[str], unset: Sequence[Reading]) -> list[Reading]:
    """The fields of a settings class that pydantic says are required and not there."""
    for text in texts:
        class_ = _CLASS.search(text)
        names = [name.partition(".")[0] for name in _MISSING.findall(text)] if class_ else []
        of_class = [reading for reading in unset if reading.class_ is not None]
        of_class = [reading for reading in of_class if reading.class_ == class_[1]] or of_class if class_ else []
        wanted = {name.lower() for name in names}
        required = [reading for reading in of_class if reading.required]
        heads = {r: spellings_of(r.name.partition("__")[0]) for r in required}  # of fields that are classes themselves
        missing = [r for r in required if {r.name.lower(), (r.field or "").lower(), *heads[r]} & wanted]
        if missing:
            return missing
    return []


def _named_or_used(case: Case, error: Error, site: Frame, unset: Sequence[Reading]) -> list[Reading]:
    """A variable that the application's own error names, or whose value, None, is used in the statement that fails."""
    words = {word for text in error_texts(error) for word in re.findall(r"\w+", text)}
    raised_here = not error.frames or error.frames[-1].application
    named = [reading for reading in unset if reading.name in words]
    if named and (raised_here or error.type.rpartition(".")[2] in ("KeyError", "RuntimeError", "ValueError")):
        return named[:1]
    keys = {word for word in words if len(word) > 3}
    config = [reading for reading in unset if reading.target and _last_word(reading.target) in keys]
    if config and any(word in words for word in ("set", "missing", "required", "configured", "defined")):
        return config[:1]
    if not {"None", "NoneType"} & words:
        return []
    statement = text_at(case.tree(site.file), site.line)
    optional = [reading for reading in unset if not reading.required]
    word = r"(?<![\w.]){}(?!\w)"
    targeted = [it for it in optional if it.target and re.search(word.format(_last_word(it.target)), statement)]
    in_file = [reading for reading in optional if reading.file == site.file]
    here = [r for r in in_file if r.line == site.line or r.name in statement or r in targeted]
    used = here + targeted
    for frame in reversed(error.frames):  # read where a caller handed it on
        if frame.application and not used:
            statement = text_at(case.tree(frame.file), frame.line)
            used = [r for r in optional if r.file == frame.file and r.name in statement]
    return used[:1]


def _last_word(target: str) -> str:
    return (re.findall(r"\w+", target) or [""])[-1]


def _deployments(case: Case, names: Sequence[str]) -> list[str]:
    """Which deployment files name the variables, and which of those that name others do not."""
    read = {reading.name for reading in case.readings}
    sentences = []
    for name in names:
        with_it = [f"{file}:{known[name]}" for file, known in case.deployments.items() if name in known]
        without = [file for file, known in case.deployments.items() if name not in known and read & set(known)]
        lacking = [file for file, known in case.deployments.items() if name not in known and _DEPLOYS.search(file)]
        without += [file for file in lacking if file not in without]
        named = f"named in {', '.join(with_it[:_MOST])}" if with_it else "named in no deployment file"
        sentences.append(f"{name} is {named}" + (f" and not in {', '.join(without[:_MOST])}" if without else ""))
    return sentences


def _with_stand_in(case: Case, lacking: Sequence[Reading], error: Error) -> Experiment | None:
    values = {reading.name: _stand_in(reading) for reading in lacking}
    text = error.text.strip()
    kind = error.type.rpartition(".")[2]
    fragment = f"{kind}: {text}" if kind == "KeyError" else first_line(text)
    says = f"the same startup with a stand-in for {', '.join(values)}"
    return Experiment(says, with_environment(case.incident, values), gone(fragment), past=body_of(error))


def _stand_in(reading: Reading) -> str:
    """A value that fits the type or the name of a variable; a database's URL is the scratch database's."""
    names = (reading.name.upper(), _last_word(reading.target or "").upper())
    if any(_DATABASE.search(text) for text in names) or "PostgresDsn" in reading.kind:
        return "{database_url}"
    return stand_in(reading.name, reading.kind or "str")


_LEVEL_OF_ERRORS = 40  # logging's level


def loggers_disabled(case: Case) -> Fault | None:
    """``fileConfig`` or ``dictConfig`` had disabled the logger of an error, which nobody could read, or of what a failure quotes as not logged."""
    lost = [record for record in case.trace.records if record.lost and record.site is not None]
    of_errors = ((record, None) for record in lost if record.error is not None or record.level >= _LEVEL_OF_ERRORS)
    quoted = ((text, error) for error in case.failures for text in re.findall(r"'([^'\n]{5,})'", error.text))
    asked = ((record, error) for text, error in quoted for record in lost if text in record.text)
    for record, error in (*of_errors, *asked):
        # In its process, or in one that it was forked from.
        past = {record.process: record.at, **case.trace.forked_from(record.process)}
        earlier = (it for it in reversed(case.trace.silenced) if it.at < past.get(it.process, 0))
        caller = next((silencing for silencing in earlier if record.logger in silencing.loggers), None)
        if caller is not None and caller.site is not None:
            return _fault(case, caller, record, error)
    return None


def _fault(case: Case, caller: Silenced, record: Record, error: Error | None) -> Fault:
    hidden = f": {record.error}" if record.error is not None else ""
    which = "what it asks for" if error is not None else "the first error that is lost"
    because = (
        f"{caller.site} configures logging and disables {len(caller.loggers)} loggers that were there before, {record.logger} among them",
        f"{which} is logged at {record.site}: {record.text!r}{hidden}",
        *([f"seen as: {first_line(str(error))}"] if error is not None else []),
    )
    sites = [Place.of("disables", caller.site), Place.of("lost record", record.site)]
    raised = record.error.site if record.error is not None else None
    sites += [Place.of("hidden error", raised)] if raised is not None else []
    more = {"sites": tuple(sites), "error": error, "experiment": _with_loggers(case, caller, error)}
    return Fault("loggers-disabled", because, **more)


def _with_loggers(case: Case, silenced: Silenced, error: Error | None) -> Experiment | None:
    """The run in which that call keeps the loggers."""
    file, line = silenced.site.file, silenced.site.line
    text = case.sources.get(file)
    called = {ast.unparse(call.func).rpartition(".")[2]: call for call in nodes_at(case.tree(file), line, ast.Call)}
    if text is None or not called.keys() & {"fileConfig", "dictConfig"}:
        return None
    if "fileConfig" in called:
        edited = with_keyword(text, called["fileConfig"], "disable_existing_loggers", False)
    else:
        settings = (*called["dictConfig"].args, *(keyword.value for keyword in called["dictConfig"].keywords))[0]
        edited = with_replaced(text, settings, f"dict({ast.unparse(settings)}, disable_existing_loggers=False)")

    def judge(trace: Trace) -> tuple[bool | None, str]:
        lost = [record for record in trace.records if record.lost and record.level >= _LEVEL_OF_ERRORS]
        if lost:
            return False, f"{lost[0].logger} still loses a record"
        kept = next((record for record in trace.records if record.error is not None), None)
        shows = f", and the log shows {first_line(str(kept.error))}" if kept else ""
        return None if failure(trace) and not kept else True, f"no record is lost{shows}"

    says = f"disable_existing_loggers=False at {silenced.site}"
    return Experiment(says, case.incident, gone(first_line(error.text)) if error else judge, {file: edited})


OF_LOGGERS = (loggers_disabled,)  # asked last: what is lost in a log comes of something else, where that is known
