"""What a notebook shows of a diagnosis: the mechanism, the definitions, the errors behind the first one, each hypothesis."""

from collections.abc import Sequence
from itertools import accumulate

from ..diagnose.definitions import type_of
from ..diagnose.diagnosis import Diagnosis
from ..diagnose.hypotheses import Tested
from ..trace.graph import import_graph
from ..verify.verification import Verification, met
from .markup import (
    Part,
    Shown,
    absent,
    code,
    count,
    fold,
    folded_table,
    items,
    join,
    judged,
    para,
    preformatted,
    stack,
    strong,
    table,
    with_code,
    with_places,
)
from .wording import listed, sentence

_MOST = 30  # rows of a table that could be as long as the application


def mechanism(diagnosis: Diagnosis) -> Shown:
    """The mechanism with its evidence, and for each neighbour the fact that rules it out."""
    finding = diagnosis.finding
    named = {"none": "No fault was found", "undecided": "Undecided"}.get(finding.mechanism)
    top = para(strong(named)) if named else para("The mechanism is ", strong(finding.mechanism), ".")
    broke = str(diagnosis.trace.broke)
    verdict_says = {broke: "the run broke, for the reason in the verdict"}
    because = [verdict_says.get(sentence, sentence) for sentence in finding.because]
    parts = [top, items(map(with_places, because))]
    if advised := finding.advice:
        parts.append(para(strong("What to do. "), advised))
    if diagnosis.experiment is not None:
        tried = diagnosis.experiment
        verdict = outcome(tried.outcome)
        parts.append(para(strong("Tried: "), with_places(f"{tried.says}: "), verdict, ": ", with_places(tried.seen)))
    if finding.against:
        rows = [(slug, with_places(sentence)) for slug, sentence in finding.against.items()]
        name = (
            f"{count(len(rows), 'other mechanism')}, {'each ' if len(rows) > 1 else ''}with the fact that rules it out"
        )
        parts.append(folded_table(name, ("mechanism", "the fact that rules it out"), rows))

    return Shown(parts)


def definitions(diagnosis: Diagnosis) -> Shown:
    """The competing definitions column by column, beside what the migrations create."""
    table_definitions = diagnosis.definitions
    if table_definitions is None:
        return absent("No table is defined twice.")
    rows, marked = [], []
    for number, column in enumerate(table_definitions.columns):
        differs = ", ".join(column.differs) if column.first or column.second else "only in the migrations"
        if column.differs:
            marked.append(number)
        sides = map(_side, (column.first, column.second, column.migrations))
        rows.append((column.name, *sides, differs or "same"))
    both = [str(side) for side in (diagnosis.first, diagnosis.second)]
    if both[0] == both[1] and diagnosis.first.module != diagnosis.second.module:
        both = [f"{side} as {side.module}" for side in (diagnosis.first, diagnosis.second)]
    heads = ("column", f"first, {both[0]}", f"second, {both[1]}", "migrations", "difference")
    says = table_definitions.agrees
    agrees = para(sentence(says))
    if says.split(" ")[0] in ("both", "neither", "the"):
        agrees = para("The migrations agree with: ", strong(says.rstrip(".")), ".")
    differ = f"{len(marked)} of {count(len(rows), 'column')} differ" if marked else "no column differs"
    name = f"Definitions of table {table_definitions.table}: {differ}"
    return Shown([agrees, folded_table(name, heads, rows, marked=marked)])


def _side(side: dict | None) -> Part:
    if side is None:
        return join("–")
    words = [type_of(side)]
    words += [name.replace("_", " ") for name in ("primary_key", "unique", "index") if side.get(name)]
    words += ["nullable" if side.get("nullable") else "not null"]
    words += [f"to {target}" for target in side.get("foreign_keys") or ()]
    defaults = {name: side.get(name) for name in ("default", "server_default")}
    words += [f"{name.replace('_', ' ')} {value}" for name, value in defaults.items() if value is not None]
    return join(*(code(text) if n == 0 else text for n, text in enumerate(words)), between=", ")


def behind(diagnosis: Diagnosis, verification: Verification | None = None) -> Shown:
    """The errors behind the first failure, from a run that went on past it: all of them can be fixed in one round.

    :param verification: with it, also the errors that the runs of the fixes met
    """
    independent = [error for error in diagnosis.masked if not error.follows]
    rest = [error for error in diagnosis.masked if error.follows]
    if diagnosis.finding.mechanism == "none":
        return absent("No fault was found, so none can be hidden behind it.")
    with_fixes = _met_by_fixes(diagnosis, verification) if verification is not None else []
    if not diagnosis.masked and diagnosis.beyond is not None and diagnosis.beyond.broke:
        same = diagnosis.trace.broke is not None and diagnosis.beyond.broke.kind == diagnosis.trace.broke.kind
        broke = f"The second run, which goes on past failures, broke too{', for the same reason.' if same else ': '}"
        why = None if same else str(diagnosis.beyond.broke)
        return Shown([para("" if with_fixes else "Not known. ", broke, why), *with_fixes])
    if not diagnosis.masked:
        nothing_more = (
            "A second run, which went on past the first failure, met no error that the first startup had not shown."
        )
        if with_fixes:
            return Shown([para(nothing_more), *with_fixes])
        tried = verification.fixes if verification is not None else ()
        broke = [fix.name for fix in tried if fix.trace.cut]
        if not tried:
            return absent(f"{nothing_more} Errors that only a fixed build reaches are not known.")
        if not broke:
            return absent(f"{nothing_more} No run of a fix met one either.")
        cut = f" The runs of the fixes met none either, but these broke before their end: {', '.join(broke)}."
        return Shown([para(nothing_more + cut)])
    rows = [(str(n), str(e.error), code(e.site) if e.site else "") for n, e in enumerate(independent, 1)]
    how = para(
        "A second run went on past failures: a rejected table replaced the first one, a failing statement of a module "
        "was skipped, and after a failed step the next one ran."
    )
    parts = [how, table("Behind the first failure", ("no.", "error", "raised at"), rows)] if independent else [how]
    if rest and not independent:
        parts.append(para("No other error was hidden: each later one is caused by the first."))
    if rest:
        follow = items(join(str(error.error), " at ", code(error.site)) for error in rest)
        parts.append(fold(f"{count(len(rest), 'more error')}, only because of an earlier failure", follow))
    return Shown([*parts, *with_fixes])


def _met_by_fixes(diagnosis: Diagnosis, verification: Verification) -> list[Part]:
    """The errors that the runs of the fixes met after the incident's error was gone."""
    failed = [step.exception for step in diagnosis.trace.steps]
    shown = {str(error) for error in diagnosis.trace.errors if error not in failed}
    rows = []
    for fix in verification.fixes:
        for error, site in met(fix, verification.control):
            new = "no; the fix causes it" if fix.verdict == "breaks" else "no"
            known = "yes, and caught there" if error in shown else new
            rows.append((code(fix.name), fix.verdict, error, code(site) if site else "", known))
    if not rows:
        return []
    head = ("fix", "verdict", "error", "raised at", "in the first startup")
    return [folded_table(f"{count(len(rows), 'error')} that only the runs of the fixes met", head, rows)]


def hypotheses(diagnosis: Diagnosis) -> Shown:
    """Each hypothesis with the experiment that could refute it, the verdict and its evidence."""
    if not diagnosis.hypotheses:
        return absent("Nobody wrote down a hypothesis, and no table was registered twice.")
    people = [hypothesis for hypothesis in diagnosis.hypotheses if hypothesis.of == "people"]
    added = [hypothesis for hypothesis in diagnosis.hypotheses if hypothesis.of == "kit"]
    parts = [_tested("What people believed", people)] if people else []
    parts += [_tested("Further hypotheses that fit the trace", added)] if added else []
    return Shown(parts)


def _tested(caption: str, tested: list[Tested]) -> Part:
    rows = [(with_code(test.claim), outcome(test.verdict), with_places(test.evidence)) for test in tested]
    tried = items(join(strong(hypothesis.claim), ": ", hypothesis.experiment) for hypothesis in tested)
    shown = table(caption, ("hypothesis", "verdict", "evidence"), rows)
    return stack(shown, fold("The experiments that decided", tried))


def outcome(verdict: str) -> Part:
    """What came of an experiment, as a coloured word."""
    return judged({"confirmed": True, "refuted": False, "undecided": None}[verdict], verdict)


def smallest(diagnosis: Diagnosis) -> Shown:
    """The shortest list of imports and calls that still fails the same way, as a command to paste."""
    shortest = diagnosis.smallest
    if shortest is None:
        return absent("No table was registered twice: there is nothing to shorten.")
    if not shortest.command:
        return Shown([para(sentence(f"{shortest.note}; the startup itself is the shortest known"))])
    masked = " (… stands for the value of a secret in app.env)" if "=… " in shortest.command else ""
    length = f"It fails in the same way with {count(len(shortest.steps), 'step')}. "
    where = f"In the application's folder, with the application's own python{masked}:"
    return Shown([stack(para(length, where), preformatted(shortest.command))])


def static_and_run(diagnosis: Diagnosis) -> Shown:
    """The import statements in the code, compared with the imports that ran: those that never ran, and those without a statement."""
    graph = import_graph(diagnosis.trace, diagnosis.conflict)
    names = {module.key: module.module for module in graph.modules}
    # By file, not by name: what a library executes (Alembic's env.py) runs under a name of its own.
    edges = list(graph.edges)
    ran = {(e.file, names[e.imported]) for e in edges}
    loaded = {module.file for module in graph.modules}
    statements = diagnosis.looked.statements
    written = {(statement.file, statement.imported) for statement in statements}
    never = [statement for statement in statements if (statement.file, statement.imported) not in ran]
    never.sort(key=lambda statement: (statement.file not in loaded, statement.file, statement.line))
    # An import of a.b executes the package a too, and says so.
    packages = {(s.file, s.line): [*accumulate(s.imported.split("."), "{}.{}".format)] for s in statements}
    unwritten = [e for e in edges if (e.file, names[e.imported]) not in written]
    unsaid = [e for e in unwritten if names[e.imported] not in packages.get((e.file, e.line), ())]
    counted = f"{count(len(written), 'import')} in the code, {len(ran)} ran. {len({(s.file, s.imported) for s in never})} never ran"
    parts = [para(f"{counted}, and {len(unsaid)} ran without an import statement.")]
    if unsaid:
        rows = [(code(f"{e.file}:{e.line}"), code(names[e.imported])) for e in unsaid[:_MOST]]
        name = f"{_first_of(unsaid, 'import')} that ran without an import statement"
        parts.append(folded_table(name, ("at", "executed"), rows))
    if never:
        where = [s.where if s.file in loaded else "a module that was not imported" for s in never[:_MOST]]
        places = [(code(f"{s.file}:{s.line}"), code(s.imported)) for s in never[:_MOST]]
        rows = [(*place, at) for place, at in zip(places, where, strict=True)]
        name = f"{_first_of(never, 'import statement')} that never ran"
        parts.append(folded_table(name, ("at", "imported", "where"), rows))
    return Shown(parts)


def _first_of(imports: Sequence, what: str) -> str:
    shown = f", the first {_MOST}," if len(imports) > _MOST else ""
    return f"{count(len(imports), what)}{shown}"


def unseen(diagnosis: Diagnosis) -> Shown:
    """Tables that the sources name and that the startup, or Alembic's ``env.py``, did not see."""
    if not diagnosis.unseen:
        return absent("Every table that the sources name was registered.")
    rows = []
    for model in diagnosis.unseen:
        at = code(f"{model.named.file}:{model.named.line}")
        rows.append((model.named.table, at, model.by, model.remedy, model.consequence or "–"))
    head = ("table", "defined at", "not seen by", "what to do", "what autogenerate would do")
    names = listed([model.named.table for model in diagnosis.unseen], 8)
    return Shown([folded_table(f"{count(len(rows), 'table')} not seen: {names}", head, rows)])
