"""A definition moves to a module of its own, which is imported once, whoever runs the file that it stood in."""

import builtins
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import libcst as cst

from ...incident.source import absolute
from . import edits_of_imports
from .failing_build import Broken, Candidate
from .statements import Module, Statement, asked_by, dotted, only


def models_apart(broken: Broken) -> Iterator[Candidate]:
    """A file that is executed more than once declares models: they move to a module that the file imports."""
    file = broken.both[1].site.file
    tables = [registration for registration in broken.trace.registrations if registration.site.file == file]
    lines = {table.site.line for table in tables if table.application and table.outcome != "reflected"}
    changed = moved(broken, file, lines)
    if changed is None:
        return
    module_file, edits_ = changed
    says = f"Declare the models of {file} in {module_file}, and import them from there: that module is imported once, however often {file} is executed."
    yield Candidate("models-apart", says, edits_)


def models_apart_at_last(broken: Broken) -> Iterator[Candidate]:
    """The same, where the rest of the file is still executed twice."""
    yield from (replace(candidate, last=True) for candidate in models_apart(broken))


def models_apart_from_env(broken: Broken) -> Iterator[Candidate]:
    """The same of Alembic's ``env.py``; a revision is left as it is."""
    if posixpath.basename(broken.both[1].site.file) == "env.py":
        yield from models_apart(broken)


def moved(broken: Broken, file: str, lines: Iterable[int]) -> tuple[str, dict[str, str]] | None:
    """What stands at these lines of a file in a module of its own: its path, and every edit; None where it cannot be moved.

    What it needs of the same file moves along; a file that imports one of the names from here imports it from there.
    """
    module = broken.edited(file, Module.read)
    wanted = [module.at(line) for line in lines] if module is not None else []
    if not wanted or any(statement is None or not statement.movable for statement in wanted):
        return None
    moving = module.closed(wanted)
    if moving is None or any({"__file__", "__package__"} & statement.uses for statement in moving):
        return None
    module_file = _own_file(broken, file, module, moving)
    name = broken.module_of(module_file)
    bound = sorted({bound for statement in moving if not _of_module(statement) for bound in statement.binds})
    here = broken.module_of(file)

    changed = {module_file: _new_module(module, moving, here), file: _rest(broken, file, module, moving, name)}
    for other, text in broken.python if changed[file] is not None else ():
        asking = other != file and edits_of_imports.import_from(text, here, bound, name, broken.package_of(other))
        changed |= {other: asking} if asking else {}
    return (module_file, changed) if changed[file] is not None else None


def _of_module(statement: Statement) -> bool:
    """Is it one that each module has for itself, as ``log = getLogger(__name__)``?"""
    return "__name__" in statement.uses


def _own_file(broken: Broken, file: str, module: Module, moving: list[Statement]) -> str:
    """Where the definitions go: beside the module that their base or metadata comes from, else beside the file."""
    uses = {name for statement in moving for name in statement.uses}
    folder = posixpath.dirname(file)
    for statement in module.statements:
        for node in statement.nodes if statement.is_import and statement.binds & uses else ():
            named = getattr(node, "module", None) or node.names[0].name
            source = broken.file_of(named)
            if source is not None and not getattr(node, "level", 0) and statement.binds & _bases(moving):
                folder = posixpath.dirname(source)
    table = re.sub(r"\W", "_", broken.pair[1].table.rpartition(".")[2]) if broken.pair is not None else "definitions"
    names = ("models", table, f"{table}_model", f"{table}_definition")
    stems = (posixpath.join(folder, name) for name in names)
    free = (stem for stem in stems if f"{stem}.py" not in broken.sources)
    return next(f"{stem}.py" for stem in free if not any(file.startswith(f"{stem}/") for file in broken.sources))


def _bases(moving: list[Statement]) -> set[str]:
    """The names that classes derive from, and that calls are given: a base or a metadata is among them."""
    names: set[str] = set()
    for statement in moving:
        node = statement.nodes[0]
        parts = getattr(node, "bases", None) or getattr(getattr(node, "value", None), "args", ())
        values = [part.value if hasattr(part, "value") else part for part in parts]
        names |= {getattr(value, "id", "") for value in values}
    return names


def _new_module(module: Module, moving: list[Statement], here: str) -> str:
    uses = {name for statement in moving for name in statement.uses}
    types = [statement for statement in module.statements if statement.is_for_types and statement.binds & uses]
    uses |= {name for statement in types for name in statement.uses}
    lines = [statement.code.strip("\n") for statement in module.statements if statement.is_future]
    known = {name for statement in module.statements for name in statement.binds} | set(dir(builtins))
    lines += [s.code.strip("\n") for s in module.statements if "*" in s.binds and uses - known]
    for number, aliases in module.imports_for(uses).items():
        lines.append(_absolute(_plain(only(module.tree.body[number], aliases)), here))
    blocks = [statement.code.strip("\n") for statement in types]
    for statement in moving:
        node = module.tree.body[statement.number]
        blocks.append(module.tree.code_for_node(node.with_changes(leading_lines=_comments(node))).strip("\n"))
    return "\n".join(lines).lstrip("\n") + "\n\n\n" * bool(lines) + "\n\n\n".join(blocks) + "\n"


def _plain(node: cst.SimpleStatementLine) -> cst.SimpleStatementLine:
    """An import without what was said about its place."""
    blank = [line for line in node.leading_lines if line.comment is None][:1]
    return node.with_changes(leading_lines=blank, trailing_whitespace=cst.TrailingWhitespace())


def _comments(node: cst.CSTNode) -> list[cst.EmptyLine]:
    return [line for line in node.leading_lines if line.comment is not None]


def _absolute(node: cst.SimpleStatementLine, here: str) -> str:
    """The statement's text; a relative import as an absolute one."""
    statement = node.body[0]
    if isinstance(statement, cst.ImportFrom) and statement.relative:
        full = absolute(dotted(statement.module), here.rpartition(".")[0], len(statement.relative))
        node = node.with_changes(body=[statement.with_changes(relative=[], module=cst.parse_expression(full))])
    return cst.Module([node]).code.rstrip("\n")


def _rest(broken: Broken, file: str, module: Module, moving: list[Statement], new_module: str) -> str | None:
    """The file without what moved: it imports it, in the place of the first, and asks no more for what only that used."""
    names = {name for statement in module.statements if statement not in moving for name in statement.uses}
    moving = [statement for statement in moving if not (_of_module(statement) and statement.binds & names)]
    gone = {statement.number for statement in moving}
    left = [statement for statement in module.statements if statement.number not in gone]
    used = {name for statement in left if not statement.is_import for name in statement.uses}
    exported = any("__all__" in statement.binds for statement in left)
    bound = sorted({name for statement in moving for name in statement.binds})
    asked = _asked_elsewhere(broken.sources, file, broken.module_of(file))
    kept = [name for name in bound if name in used or name in asked] or bound
    unused = not any(name in used for name in kept)
    was_used = {name for statement in moving for name in statement.uses} - used - asked
    body = []
    for number, node in enumerate(module.tree.body):
        if module.statements[number].is_import and not exported:
            node = edits_of_imports.without_names(node, was_used)
        if number not in gone and node is not None:
            close = body and module.statements[number].is_import and asked_by(body[-1]) and not _comments(node)
            body.append(node.with_changes(leading_lines=node.leading_lines[:1]) if close else node)
    if body and body[0] is not module.tree.body[0]:
        body[0] = body[0].with_changes(leading_lines=_comments(body[0]))
    statement = f"from {new_module} import {', '.join(kept)}" + "  # noqa: F401" * unused
    return edits_of_imports.add_import(module.having(body), statement)


def _asked_elsewhere(sources: Mapping[str, str], file: str, name: str) -> set[str]:
    """The names that other files ask this module for, as its attributes or in an import."""
    leaf, names = re.escape(name.rpartition(".")[2]), set()
    for other, text in sources.items():
        if other == file:
            continue
        names |= set(re.findall(rf"\b{leaf}\.(\w+)", text))
        for listed in re.findall(rf"from\s+[\w.]*\b{leaf}\s+import\s+(\([^)]*\)|[^\n]*)", text):
            names |= set(re.findall(r"\w+", listed))
    return names
