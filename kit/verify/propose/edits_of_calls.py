"""Edits of calls into libraries: in the spelling that a newer SQLAlchemy has too, or such that loggers stay on."""

import ast

import libcst as cst
from libcst import matchers as m

from ...incident.source import nodes_at, parsed
from .edits import covers, named, replaced
from .edits_of_imports import add_import
from .statements import dotted

_MOVED = ("declarative_base", "declared_attr")  # from sqlalchemy.ext.declarative to sqlalchemy.orm
_OF_ENGINE = {"table_names": "get_table_names"}  # a method of an engine: that of its inspector
_KEY = "disable_existing_loggers"


def respell(text: str, line: int) -> str | None:
    """The statement at ``line`` in the newer spelling; None where none is known to mean the same."""
    needed: set[str] = set()

    def wrapped(name: str, value: cst.BaseExpression) -> cst.Call:
        needed.add(name)
        return cst.Call(cst.Name(name), [cst.Arg(value)])

    def respelled(call: cst.Call) -> cst.Call:
        name = dotted(call.func).rpartition(".")[2]
        value = call.args[0].value if call.args else None
        if isinstance(call.func, cst.Attribute) and call.func.attr.value in _OF_ENGINE:
            owner, method = wrapped("inspect", call.func.value), cst.Name(_OF_ENGINE[call.func.attr.value])
            return call.with_changes(func=call.func.with_changes(value=owner, attr=method))
        if name == "select" and isinstance(value, cst.List) and len(call.args) == 1:
            return call.with_changes(args=[cst.Arg(element.value) for element in value.elements])
        of_text = isinstance(value, cst.SimpleString | cst.ConcatenatedString)
        if name in ("execute", "scalar", "scalars") and of_text:
            return call.with_changes(args=[call.args[0].with_changes(value=wrapped("text", value)), *call.args[1:]])
        return _without_autoload(call) if name == "Table" else call

    new = replaced(text, m.Call(metadata=covers(line)), respelled)
    for name in sorted(needed) if new else ():
        new = new and add_import(new, f"from sqlalchemy import {name}")
    return new or _moved(text, line)


def _without_autoload(call: cst.Call) -> cst.Call:
    kept = [arg for arg in call.args if not (arg.keyword and arg.keyword.value == "autoload")]
    with_engine = any(arg.keyword and arg.keyword.value == "autoload_with" for arg in kept)
    if len(kept) == len(call.args) or not with_engine:
        return call
    kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return call.with_changes(args=kept)


def _moved(text: str, line: int) -> str | None:
    home = cst.parse_expression("sqlalchemy.orm")
    aliases = m.ImportAlias(name=m.OneOf(*map(m.Name, _MOVED)))
    asking = m.ImportFrom(names=[m.AtLeastN(aliases, n=1)], metadata=covers(line))
    return replaced(text, asking, lambda node: node.with_changes(module=home))


def keep_in_dictionary(text: str, line: int) -> str | None:
    """Have ``dictConfig(…)`` about ``line`` keep the loggers: in the dictionary that it is given, here or by its name in this file."""
    about = [call for call in nodes_at(parsed(text), line, ast.Call) if call.args]
    names = {ast.unparse(c.args[0]) for c in about if ast.unparse(c.func).rpartition(".")[2] == "dictConfig"}

    def kept(node: cst.Call | cst.Assign) -> cst.Call | cst.Assign:
        if isinstance(node, cst.Assign):
            return node.with_changes(value=_keeping(node.value))
        first = node.args[0].with_changes(value=_keeping(node.args[0].value))
        return node.with_changes(args=[first, *node.args[1:]])

    here = m.Call(func=named("dictConfig"), args=[m.Arg(m.Dict()), m.ZeroOrMore()], metadata=covers(line))
    target = m.AssignTarget(m.MatchIfTrue(lambda node: dotted(node) in names))
    return replaced(text, here | m.Assign(targets=[target, m.ZeroOrMore()], value=m.Dict()), kept)


def _keeping(dictionary: cst.Dict) -> cst.Dict:
    """The dictionary with the key set to False; beside ``version`` where it lacks it."""
    key = m.DictElement(key=m.SimpleString(value=m.MatchIfTrue(lambda code: ast.literal_eval(code) == _KEY)))
    elements, off = list(dictionary.elements), cst.Name("False")
    if any(m.matches(element, key) for element in elements):
        elements = [element.with_changes(value=off) if m.matches(element, key) else element for element in elements]
    elif elements:
        first = elements[0]
        if isinstance(first.comma, cst.MaybeSentinel):
            first = first.with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))
        comma = first.comma if len(elements) > 1 else cst.MaybeSentinel.DEFAULT
        elements[:1] = [first, cst.DictElement(cst.SimpleString(f'"{_KEY}"'), off, comma=comma)]
    return dictionary.with_changes(elements=elements)
