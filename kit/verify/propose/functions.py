"""Definitions inside functions that are called more than once, or by two threads."""

import ast
import re
from collections.abc import Iterator

import libcst as cst
from libcst import matchers as m

from ...incident.source import parsed
from ...trace.values import Registration, application_frames
from . import edits, edits_of_functions, edits_of_imports
from .broken import Broken, Candidate
from .statements import bound_by, names_read


def define_once(broken: Broken) -> Iterator[Candidate]:
    """A definition in a function that is called twice: keep what the first call made."""
    registration = broken.pair[1]
    yield from _class_once(broken, registration)
    yield from _table_of_its_own(broken, registration)
    yield from _wider_fixture(broken, registration)
    for number, (file, function, line) in enumerate(_functions(broken, registration)[:2]):
        if re.search(rf"async def {function}\b|^[ \t]*@[^\n]+\n[ \t]*def {function}\b", broken.sources[file], re.M):
            continue  # a coroutine can be awaited once; what a decorator makes of a function is not known
        new = edits.decorate(broken.sources[file], function, line, "functools.cache")
        new = new and edits_of_imports.import_plainly(new, "functools")
        if new is not None:
            says = f"Keep what {function}() in {file} made the first time: a second call with the same arguments gives the same class."
            yield Candidate(f"cache-{function}", says, {file: new}, last=number > 0)


def one_at_a_time(broken: Broken) -> Iterator[Candidate]:
    """A definition that two threads reach at once: a lock about the function that tests whether it is there, and makes it."""
    for number, (file, function, line) in enumerate(_functions(broken, broken.pair[1])[:2]):
        text = broken.sources[file]
        lock = "_lock" if not re.search(r"\b_lock\b", text) else f"_{function.strip('_')}_lock"
        new = edits_of_functions.hold(text, function, line, lock)
        new = new and edits_of_imports.import_plainly(new, "threading")
        if new is not None:
            says = (
                f"Let one thread at a time into {function}() in {file}: the second then gets what the first has made."
            )
            yield Candidate(f"lock-{function}", says, {file: new}, last=number > 0)


def _functions(broken: Broken, registration: Registration) -> list[tuple[str, str, int]]:
    """The application's functions that the definition is made within, the innermost first: ``(file, name, line)``."""
    functions = []
    for frame in reversed(registration.chain):
        name = frame.function.rpartition(".")[2]
        known = frame.application and frame.file in broken.sources and name != registration.site.name
        if known and name.isidentifier() and name != "__init__":
            functions.append((frame.file, name, frame.line))
    return list(dict.fromkeys(functions))[:3]


def _class_once(broken: Broken, registration: Registration) -> Iterator[Candidate]:
    """The class statement in a function of its own, that keeps its class by what the class is made from."""
    file, line = registration.site.file, registration.site.line
    text = broken.sources.get(file) if registration.class_ else None
    tree = parsed(text or "")
    holders = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.lineno < line <= (node.end_lineno or 0)
    ]
    if not holders:
        return
    holder = max(holders, key=lambda node: node.lineno)
    outer = next(node for node in tree.body if node.lineno <= line <= (node.end_lineno or 0))
    class_ = next((node for node in holder.body if isinstance(node, ast.ClassDef) and node.lineno == line), None)
    if class_ is None:
        return
    local = {arg.arg for arg in (*holder.args.posonlyargs, *holder.args.args, *holder.args.kwonlyargs)}
    for node in holder.body:
        if node.lineno < line:
            local |= bound_by(node)
    free = sorted(_from_outside(class_) & local)
    if "self" in free:
        return
    helper = "_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_.name).lower()
    if re.search(rf"\b{helper}\b", text):
        helper += "_class"
    new = edits_of_functions.class_in_function(text, line, helper, free, before=outer.lineno)
    new = new and edits_of_imports.import_plainly(new, "functools")
    if new is not None:
        says = f"Define {class_.name} in {file} once for the same {' and '.join(free) or 'arguments'}: the first call makes the class, a later one gets it."
        yield Candidate(f"define-{class_.name}-once", says, {file: new})


def _from_outside(class_: ast.ClassDef) -> set[str]:
    """The names that a class statement reads of the function about it."""
    bound: set[str] = set()
    names = {name for part in (*class_.bases, *class_.keywords, *class_.decorator_list) for name in names_read(part)}
    for node in class_.body:
        names |= names_read(node) - bound
        bound |= bound_by(node)
    return names


def _table_of_its_own(broken: Broken, registration: Registration) -> Iterator[Candidate]:
    """A function of a library makes a table whose name is an argument that was left out: give it, at the second call."""
    frames = application_frames(registration.chain)
    for called, caller in zip(frames[::-1], frames[-2::-1], strict=False):
        if called.file == caller.file:
            continue
        name = called.function.rpartition(".")[2]
        for node in ast.walk(parsed(broken.sources.get(called.file, ""))):
            if (
                not isinstance(node, ast.FunctionDef)
                or node.name != name
                or not node.lineno <= called.line <= (node.end_lineno or 0)
            ):
                continue
            parameters = [*node.args.posonlyargs, *node.args.args]
            pairs = [
                *zip(parameters[::-1], node.args.defaults[::-1], strict=False),
                *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
            ]
            for argument, default in pairs:
                if isinstance(default, ast.Constant) and default.value == registration.table:
                    yield from _named_at(broken, caller.file, caller.line, argument.arg, registration.table)
                    return


def _named_at(broken: Broken, file: str, line: int, argument: str, table: str) -> Iterator[Candidate]:
    text = broken.sources.get(file)
    calls = [
        node
        for node in ast.walk(parsed(text or ""))
        if isinstance(node, ast.Call) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    if not calls:
        return
    called = ast.unparse(calls[0].func).rpartition(".")[2]
    new_table = f"{table}_{broken.module_of(file).rpartition('.')[2]}"
    new = edits.add_argument(text, line, called, argument, f'"{new_table}"')
    if new is not None:
        says = f"Give the second {called} a table of its own, {new_table}, in {file}:{line}: both took the name that {argument} has when nobody says it. What it had stored in {table} stays there."
        yield Candidate("table-of-its-own", says, {file: new})


def _wider_fixture(broken: Broken, registration: Registration) -> Iterator[Candidate]:
    """A fixture of pytest that makes the application for every test: make it once for all of them."""
    for frame in reversed(application_frames(registration.chain)):
        name, text = frame.function.rpartition(".")[2], broken.sources.get(frame.file)
        new = text and _with_scope(text, name, frame.line)
        if new:
            says = f"Make {name} of {frame.file} once for all tests: a second application in the process defines the table again."
            yield Candidate(f"fixture-{name}-once", says, {frame.file: new})
            return


def _with_scope(text: str, function: str, line: int) -> str | None:
    bare = m.Decorator(decorator=m.Attribute(m.Name("pytest"), m.Name("fixture")) | m.Name("fixture"))

    class Widen(edits.AtLines):
        def leave_FunctionDef(self, original, updated):
            if original.name.value != function or not self.covers(original, line):
                return updated
            new = []
            for decorator in updated.decorators:
                call = decorator.decorator
                if m.matches(decorator, bare):
                    call = cst.parse_expression(f'{edits.dotted(call)}(scope="session")')
                elif m.matches(call, m.Call(func=bare.decorator)) and not any(
                    a.keyword and a.keyword.value == "scope" for a in call.args
                ):
                    arguments = ", ".join(
                        [
                            *(
                                cst.Module([]).code_for_node(a.with_changes(comma=cst.MaybeSentinel.DEFAULT))
                                for a in call.args
                            ),
                            'scope="session"',
                        ]
                    )
                    call = cst.parse_expression(f"{edits.dotted(call.func)}({arguments})")
                new.append(decorator.with_changes(decorator=call))
            return updated.with_changes(decorators=new)

    return edits.changed(text, Widen())
