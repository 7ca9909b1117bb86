"""Edits of functions that keep their form: what is in them once, under a lock, or only when it is needed.

Each takes a text and gives the new one, or None where it would change nothing.
"""

import ast
from collections.abc import Sequence

import libcst as cst

from ...incident.source import parsed
from .edits import AtLines, changed
from .statements import Module, names_read


def hold(text: str, function: str, line: int, lock: str) -> str | None:
    """Make the function of this name that ``line`` stands in hold a lock, which is made above it."""

    class Hold(AtLines):
        inside = 0

        def visit_ClassDef(self, node):
            self.inside += 1

        def leave_ClassDef(self, original, updated):
            self.inside -= 1
            return updated

        def leave_FunctionDef(self, original, updated):
            if original.name.value != function or not self.covers(original, line) or original.asynchronous:
                return updated
            body = list(updated.body.body)
            head = []
            while body and (_is_docstring(body[0]) or _is_global(body[0])):
                head.append(body.pop(0))
            held = cst.With(
                items=[cst.WithItem(cst.Name(lock))],
                body=cst.IndentedBlock([body[0].with_changes(leading_lines=[]), *body[1:]]),
            )
            new = updated.with_changes(body=updated.body.with_changes(body=[*head, held]))
            self.done = True
            return new

        done = False

    transformer = Hold()
    new = changed(text, transformer)
    return new and _above(new, function, f"{lock} = threading.RLock()")


def _is_docstring(node: cst.BaseStatement) -> bool:
    return (
        isinstance(node, cst.SimpleStatementLine)
        and isinstance(node.body[0], cst.Expr)
        and isinstance(node.body[0].value, cst.SimpleString)
    )


def _is_global(node: cst.BaseStatement) -> bool:
    return isinstance(node, cst.SimpleStatementLine) and isinstance(node.body[0], cst.Global | cst.Nonlocal)


def _above(text: str, function: str, statement: str) -> str | None:
    """Put a statement above the top-level statement that holds a function."""
    module = Module(text)
    for place in module.statements:
        defined = {part.name for node in place.nodes for part in ast.walk(node) if isinstance(part, ast.FunctionDef)}
        if function in defined:
            body = module.tree.body
            beside = place.number and isinstance(module.statements[place.number - 1].nodes[0], ast.Assign)
            blank = [] if beside else [cst.EmptyLine(indent=False)]
            new = cst.parse_statement(statement).with_changes(leading_lines=blank)
            return module.tree.with_changes(body=[*body[: place.number], new, *body[place.number :]]).code
    return None


def class_in_function(text: str, line: int, helper: str, arguments: Sequence[str], before: int) -> str | None:
    """The class at ``line`` of a function in a cached function of its own, ``helper``, above the statement at line ``before``."""

    class Take(AtLines):
        taken = None

        def leave_ClassDef(self, original, updated):
            if self.line(original) != line:
                return updated
            self.taken = updated
            call = cst.parse_statement(f"{updated.name.value} = {helper}({', '.join(arguments)})")
            return call.with_changes(leading_lines=updated.leading_lines)

    transformer = Take()
    new = changed(text, transformer)
    if new is None:
        return None
    module = Module(new)
    place = next(
        (
            statement
            for statement in module.statements
            if statement.first >= before or statement.first <= before <= statement.last
        ),
        None,
    )
    if place is None:
        return None
    class_ = transformer.taken.with_changes(leading_lines=[])
    returned = cst.parse_statement(f"return {class_.name.value}").with_changes(
        leading_lines=[cst.EmptyLine(indent=False)]
    )
    function = cst.parse_statement(f"@functools.cache\ndef {helper}({', '.join(arguments)}):\n    pass\n")
    blank = [cst.EmptyLine(indent=False)] * 2
    function = function.with_changes(body=cst.IndentedBlock([class_, returned]), leading_lines=blank)
    body = list(module.tree.body)
    return module.tree.with_changes(body=[*body[: place.number], function, *body[place.number :]]).code


def when_needed(text: str, line: int) -> str | None:
    """A top-level import or assignment in the functions that use what it binds, as their first statement.

    None where something outside of functions uses it, or more than four functions do.
    """
    try:
        module = Module(text)
    except ValueError:
        return None
    statement = module.at(line)
    if (
        statement is None
        or len(statement.nodes) != 1
        or not (statement.is_import or isinstance(statement.nodes[0], ast.Assign))
    ):
        return None
    names = set(statement.binds)
    if not names or "*" in names:
        return None
    users = _users(parsed(text), names, statement.nodes[0].lineno + statement.first - 1)
    if users is None or not 0 < len(users) <= 4:
        return None
    node = module.tree.body[statement.number].with_changes(
        leading_lines=[], trailing_whitespace=cst.TrailingWhitespace()
    )

    class Into(AtLines):
        def leave_FunctionDef(self, original, updated):
            if self.get_line(original) not in users or not isinstance(updated.body, cst.IndentedBlock):
                return updated
            body = list(updated.body.body)
            at = 1 if _is_docstring(body[0]) else 0
            inner = [*body[:at], node, *body[at:]]
            return updated.with_changes(body=updated.body.with_changes(body=inner))

        def get_line(self, node):
            return self.line(node) if not node.decorators else self.line(node.decorators[0])

        def leave_SimpleStatementLine(self, original, updated):
            return (
                cst.RemoveFromParent()
                if self.line(original) == statement.first and updated.deep_equals(module.tree.body[statement.number])
                else updated
            )

    return changed(text, Into())


def _users(tree: ast.Module, names: set[str], line: int) -> set[int] | None:
    """The first lines of the functions, outermost ones, that use the names; None where something else does too."""
    users: set[int] = set()

    def visit(node: ast.AST) -> bool:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                outside = [*child.decorator_list, *child.args.defaults, *filter(None, child.args.kw_defaults)]
                outside += [
                    part.annotation for part in ast.walk(child.args) if isinstance(part, ast.arg) and part.annotation
                ]
                if any(names_read(part) & names for part in outside):
                    return False
                if any(names_read(part) & names for part in child.body):
                    users.add(min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)]))
            elif (
                isinstance(child, ast.Name)
                and child.id in names
                and isinstance(child.ctx, ast.Load)
                or not visit(child)
            ):
                return False
        return True

    return users if visit(tree) else None


def lock_file(text: str, line: int, name: str) -> str | None:
    """Execute the simple statement at ``line`` under a lock that processes of one machine share: a file in the temporary folder."""

    class Lock(AtLines):
        def leave_SimpleStatementLine(self, original, updated):
            if not self.covers(original, line):
                return updated
            held = cst.parse_statement(
                f'with open(os.path.join(tempfile.gettempdir(), "{name}"), "w") as lock:\n    fcntl.flock(lock, fcntl.LOCK_EX)\n'
            )
            inner = [*held.body.body, updated.with_changes(leading_lines=[])]
            return held.with_changes(body=held.body.with_changes(body=inner), leading_lines=updated.leading_lines)

    return changed(text, Lock())
