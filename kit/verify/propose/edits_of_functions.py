"""Edits of functions that keep their form: what is in them once, under a lock, or only when it is needed.

Each takes a text and gives the new one, or None where it would change nothing.
"""

import ast
from collections.abc import Sequence

import libcst as cst
from libcst import matchers as m

from ...incident.source import parsed
from .edits import begins_at, changed, code_of, covers, instead, named, replaced
from .edits_of_imports import add_import
from .statements import BLANK, Module, dotted, is_docstring, names_read


def hold(text: str, function: str, line: int, lock: str) -> str | None:
    """Make the function of this name that ``line`` stands in hold a lock, which is made above it."""

    def held(node: cst.FunctionDef) -> cst.FunctionDef:
        body = list(node.body.body)
        names = m.SimpleStatementLine(body=[m.Global() | m.Nonlocal()])
        stays = [m.matches(part, names) or is_docstring(part) for part in body]
        at = stays.index(False)
        inner = cst.IndentedBlock([body[at].with_changes(leading_lines=[]), *body[at + 1 :]])
        with_lock = cst.With(items=[cst.WithItem(cst.Name(lock))], body=inner)
        return node.with_changes(body=node.body.with_changes(body=[*body[:at], with_lock]))

    about = m.FunctionDef(name=m.Name(function), asynchronous=None, metadata=covers(line))
    new = replaced(text, about, held)
    return new and _above(new, function, f"{lock} = threading.RLock()")


def _above(text: str, function: str, statement: str) -> str | None:
    """Put a statement above the top-level statement that holds a function."""
    module = Module(text)
    for place in module.statements:
        defined = {part.name for node in place.nodes for part in ast.walk(node) if isinstance(part, ast.FunctionDef)}
        if function in defined:
            beside = place.number and isinstance(module.statements[place.number - 1].nodes[0], ast.Assign)
            return module.inserted(place.number, statement, [] if beside else BLANK)
    return None


def class_in_function(text: str, line: int, helper: str, arguments: Sequence[str], before: int) -> str | None:
    """The class at ``line`` of a function in a cached function of its own, ``helper``, above the statement at line ``before``."""
    taken = []

    def called(class_: cst.ClassDef) -> cst.BaseStatement:
        taken.append(class_.with_changes(leading_lines=[]))
        return instead(f"{class_.name.value} = {helper}({', '.join(arguments)})")(class_)

    new = replaced(text, m.ClassDef(metadata=begins_at(line)), called)
    module = Module(new) if new is not None else None
    place = next((place for place in module.statements if place.last >= before), None) if module is not None else None
    if place is None:
        return None
    returned = cst.parse_statement(f"return {taken[0].name.value}").with_changes(leading_lines=BLANK)
    function = cst.parse_statement(f"@functools.cache\ndef {helper}({', '.join(arguments)}):\n    pass\n")
    return module.inserted(place.number, function.with_changes(body=cst.IndentedBlock([taken[0], returned])), BLANK * 2)


def when_needed(text: str, line: int) -> str | None:
    """A top-level import or assignment in the functions that use what it binds, as their first statement.

    None where something outside of functions uses it, or more than four functions do.
    """
    module = Module.read(text)
    statement = module.at(line) if module is not None else None
    if statement is None or len(statement.nodes) != 1:
        return None
    names = set(statement.binds)
    if not names or "*" in names or not (statement.is_import or isinstance(statement.nodes[0], ast.Assign)):
        return None
    using = users_of(parsed(text), names)
    if using is None or not 0 < len(using) <= 4:
        return None
    whole = module.tree.body[statement.number]
    node = whole.with_changes(leading_lines=[], trailing_whitespace=cst.TrailingWhitespace())

    class Into(cst.CSTTransformer):
        METADATA_DEPENDENCIES = (cst.metadata.PositionProvider,)

        def line(self, node: cst.CSTNode) -> int:
            return self.get_metadata(cst.metadata.PositionProvider, node).start.line

        def leave_FunctionDef(self, original, updated):
            begins = self.line((*original.decorators, original)[0])
            if begins not in using or not isinstance(updated.body, cst.IndentedBlock):
                return updated
            body = list(updated.body.body)
            at = int(is_docstring(body[0]))
            if statement.is_import and at < len(body) and not body[at].leading_lines:
                body[at] = body[at].with_changes(leading_lines=BLANK)
            body.insert(at, node)
            return updated.with_changes(body=updated.body.with_changes(body=body))

        def leave_SimpleStatementLine(self, original, updated):
            it_is = self.line(original) == statement.first and updated.deep_equals(whole)
            return cst.RemoveFromParent() if it_is else updated

    return changed(text, Into())


def users_of(tree: ast.Module, names: set[str]) -> set[int] | None:
    """The first lines of the functions, outermost ones, that use the names; None where something else does too."""
    users: set[int] = set()

    def visit(node: ast.AST) -> bool:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                outside = [*child.decorator_list, *child.args.defaults, *filter(None, child.args.kw_defaults)]
                outside += filter(None, (getattr(part, "annotation", None) for part in ast.walk(child.args)))
                if any(names_read(part) & names for part in outside):
                    return False
                if any(names_read(part) & names for part in child.body):
                    users.add(min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)]))
            else:
                reads = isinstance(child, ast.Name) and child.id in names and isinstance(child.ctx, ast.Load)
                if reads or not visit(child):
                    return False
        return True

    return users if visit(tree) else None


def lock_file(text: str, line: int, name: str) -> str | None:
    """Execute the simple statement at ``line`` under a lock that processes of one machine share: a file in the temporary folder."""
    opened = f'with open(os.path.join(tempfile.gettempdir(), "{name}"), "w") as lock:\n    fcntl.flock(lock, fcntl.LOCK_EX)\n'

    def held(statement: cst.SimpleStatementLine) -> cst.With:
        lock = instead(opened)(statement)
        inner = [*lock.body.body, statement.with_changes(leading_lines=[])]
        return lock.with_changes(body=lock.body.with_changes(body=inner))

    return replaced(text, m.SimpleStatementLine(metadata=covers(line)), held)


# ------------------------------------------------------------------------------------ files that are loaded by their paths


_SPEC = m.Call(func=named("spec_from_file_location"), args=[m.Arg(), m.Arg(), m.ZeroOrMore()])
_LOADS = [  # the statements of a function that load a file, in their order
    m.SimpleStatementLine(body=[m.Assign(value=m.MatchIfTrue(lambda value: bool(m.findall(value, _SPEC))))]),
    m.SimpleStatementLine(body=[m.Assign([m.AssignTarget(m.Name())], m.Call(func=named("module_from_spec")))]),
    m.SimpleStatementLine(body=[m.Expr(m.Call(func=named("exec_module")))]),
]


def import_by_name(text: str, line: int, package: str) -> str | None:
    """``spec_from_file_location`` … ``exec_module`` about ``line`` as an import of the file's module in a package; None where it has another form."""

    def imported(function: cst.FunctionDef) -> cst.FunctionDef:
        spec, made, ran = (next((it for it in function.body.body if m.matches(it, load)), None) for load in _LOADS)
        if None in (spec, made, ran):
            return function
        path = m.findall(spec, _SPEC)[0].args[1].value
        path = path.args[0].value if m.matches(path, m.Call(m.Name("str"), [m.Arg()])) else path
        name = f'importlib.import_module(f"{package}.{{pathlib.Path({code_of(path)}).stem}}")'
        by_name = instead(f"{made.body[0].targets[0].target.value} = {name}")(spec)
        body = [by_name if node is spec else node for node in function.body.body if node not in (made, ran)]
        return function.with_changes(body=function.body.with_changes(body=body))

    new = replaced(text, m.FunctionDef(metadata=covers(line)), imported)
    for module in ("pathlib", "importlib"):
        new = new and add_import(new, f"import {module}")
    if new is None:
        return None
    attributes = {ast.unparse(node) for node in ast.walk(parsed(new)) if isinstance(node, ast.Attribute)}
    if not any(name.startswith("importlib.util.") for name in attributes):
        util = m.MatchIfTrue(lambda name: dotted(name) == "importlib.util")
        asking = m.SimpleStatementLine(body=[m.Import(names=[m.ImportAlias(util)])])
        new = replaced(new, asking, lambda node: cst.RemoveFromParent()) or new
    return new
