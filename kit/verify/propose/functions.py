"""Definitions inside functions that are called more than once, or by two threads."""

import ast
import re
from collections.abc import Iterator

import libcst as cst
from libcst import matchers as m

from ...incident.source import nodes_at, parsed
from ...trace.chains import application_frames
from ...trace.values import Registration
from . import edits, edits_of_functions
from .failing_build import Broken, Candidate, first
from .statements import bound_by, dotted, names_read

_FUNCTOOLS = ("import functools",)


def define_once(broken: Broken) -> Iterator[Candidate]:
    """A definition in a function that is called twice: keep what the first call made."""
    registration = broken.both[1]
    yield from _class_once(broken, registration)
    yield from _table_of_its_own(broken, registration)
    yield from _wider_fixture(broken, registration)
    for number, (file, function, line) in enumerate(_functions(broken, registration)[:2]):
        if re.search(rf"async def {function}\b|^[ \t]*@[^\n]+\n[ \t]*def {function}\b", broken.sources[file], re.M):
            continue  # a coroutine can be awaited once; what a decorator makes of a function is not known
        says = f"Cache what {function}() in {file} returns: a second call with the same arguments then returns the same class."
        cached, last = (edits.decorate, function, line, "functools.cache"), number > 0
        yield from broken.change(f"cache-{function}", says, file, *cached, imports=_FUNCTOOLS, last=last)


def one_at_a_time(broken: Broken) -> Iterator[Candidate]:
    """A definition that two threads reach at once: a lock about the function that tests whether it is there, and makes it."""
    for number, (file, function, line) in enumerate(_functions(broken, broken.both[1])[:2]):
        taken = re.search(r"\b_lock\b", broken.sources[file])
        lock = f"_{function.strip('_')}_lock" if taken else "_lock"
        says = f"Lock {function}() in {file}, so that one thread runs it at a time: the second then gets what the first one made."
        held, needed = (edits_of_functions.hold, function, line, lock), ["import threading"]
        yield from broken.change(f"lock-{function}", says, file, *held, imports=needed, last=number > 0)


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
    text = broken.sources.get(file, "") if registration.class_ else ""
    tree = parsed(text)
    functions = nodes_at(tree, line, ast.FunctionDef, ast.AsyncFunctionDef)
    holder = max(functions, key=lambda node: node.lineno, default=None)
    classes = [node for node in holder.body if isinstance(node, ast.ClassDef) and node.lineno == line] if holder else []
    if not classes:
        return
    class_ = classes[0]
    outer = nodes_at(tree, line, ast.stmt)[0]
    local = {arg.arg for arg in (*holder.args.posonlyargs, *holder.args.args, *holder.args.kwonlyargs)}
    local |= {name for node in holder.body if node.lineno < line for name in bound_by(node)}
    free = sorted(_from_outside(class_) & local)
    if "self" in free:
        return
    helper = "_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_.name).lower()
    helper += "_class" if re.search(rf"\b{helper}\b", text) else ""
    says = f"Define {class_.name} in {file} once for the same {' and '.join(free) or 'arguments'}: the first call makes the class, and later calls return it."
    apart = (edits_of_functions.class_in_function, line, helper, free, outer.lineno)
    yield from broken.change(f"define-{class_.name}-once", says, file, *apart, imports=_FUNCTOOLS)


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
        name = called.function.rpartition(".")[2]
        functions = nodes_at(parsed(broken.sources.get(called.file, "")), called.line, ast.FunctionDef)
        for node in (node for node in functions if node.name == name and called.file != caller.file):
            positional = [*node.args.posonlyargs, *node.args.args][::-1]
            pairs = [*zip(positional, node.args.defaults[::-1], strict=False)]
            pairs += zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            for argument, default in pairs:
                if isinstance(default, ast.Constant) and default.value == registration.table:
                    yield from _named_at(broken, caller.file, caller.line, argument.arg, registration.table)
                    return


def _named_at(broken: Broken, file: str, line: int, argument: str, table: str) -> Iterator[Candidate]:
    call = next(iter(nodes_at(parsed(broken.sources.get(file, "")), line, ast.Call)), None)
    called = ast.unparse(call.func).rpartition(".")[2] if call is not None else ""
    new_table = f"{table}_{broken.module_of(file).rpartition('.')[2]}"
    says = (
        f"Give the second {called} a table of its own, {new_table}, in {file}:{line}: both used the default of {argument}. "
        f"Its existing rows stay in {table}."
    )
    named = (edits.add_argument, line, called, argument, f'"{new_table}"')
    yield from broken.change("table-of-its-own", says, file, *named) if called else ()


def _wider_fixture(broken: Broken, registration: Registration) -> Iterator[Candidate]:
    """A fixture of pytest that makes the application for every test: make it once for all of them."""
    says = "Create {} of {} once for all tests: a second application in the process defines the table again.".format
    frames = [(it.function.rpartition(".")[2], it.file, it.line) for it in application_frames(registration.chain)[::-1]]
    yield from first(
        broken.change(f"fixture-{name}-once", says(name, file), file, _with_scope, name, line)
        for name, file, line in frames
    )


def _with_scope(text: str, function: str, line: int) -> str | None:
    bare = m.Attribute(m.Name("pytest"), m.Name("fixture")) | m.Name("fixture")

    def widened(decorator: cst.Decorator) -> cst.Decorator:
        call = decorator.decorator
        args = call.args if m.matches(call, m.Call(func=bare)) else ()
        scoped = any(arg.keyword and arg.keyword.value == "scope" for arg in args)
        if scoped or not (args or m.matches(call, bare | m.Call(func=bare))):
            return decorator
        others = [edits.code_of(arg.with_changes(comma=cst.MaybeSentinel.DEFAULT)) for arg in args]
        name = dotted(call.func if isinstance(call, cst.Call) else call)
        arguments = ", ".join([*others, 'scope="session"'])
        return decorator.with_changes(decorator=cst.parse_expression(f"{name}({arguments})"))

    about = m.FunctionDef(name=m.Name(function), metadata=edits.covers(line))
    return edits.replaced(text, about, lambda node: node.with_changes(decorators=[*map(widened, node.decorators)]))
