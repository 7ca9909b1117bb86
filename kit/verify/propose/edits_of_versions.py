"""Calls that newer versions of SQLAlchemy no longer have, in the spelling that both have."""

import libcst as cst
from libcst import matchers as m

from .edits import AtLines, changed, dotted
from .edits_of_classes import with_name_of

_MOVED = {  # a name: the module that had it, that which has it
    "declarative_base": ("sqlalchemy.ext.declarative", "sqlalchemy.orm"),
    "declared_attr": ("sqlalchemy.ext.declarative", "sqlalchemy.orm"),
}
_OF_ENGINE = {"table_names": "get_table_names"}  # a method of an engine: that of its inspector


def respell(text: str, line: int) -> str | None:
    """The statement at ``line`` in the newer spelling; None where none is known to mean the same."""
    needed: set[str] = set()

    class Respell(AtLines):
        def leave_Call(self, original, updated):
            if not self.covers(original, line):
                return updated
            if m.matches(updated.func, m.Attribute()) and updated.func.attr.value in _OF_ENGINE:
                return self.inspected(updated)
            called = dotted(updated.func).rpartition(".")[2]
            first = updated.args[0] if updated.args else None
            if (
                called == "select"
                and first is not None
                and isinstance(first.value, cst.List)
                and len(updated.args) == 1
            ):
                elements = first.value.elements
                return updated.with_changes(args=[cst.Arg(element.value) for element in elements])
            if (
                called in ("execute", "scalar", "scalars")
                and first is not None
                and isinstance(first.value, cst.SimpleString | cst.ConcatenatedString)
            ):
                needed.add("text")
                wrapped = cst.Call(cst.Name("text"), [cst.Arg(first.value)])
                return updated.with_changes(args=[first.with_changes(value=wrapped), *updated.args[1:]])
            if called == "Table":
                return self.autoloaded(updated)
            return updated

        def inspected(self, call):
            needed.add("inspect")
            owner = cst.Call(cst.Name("inspect"), [cst.Arg(call.func.value)])
            return call.with_changes(
                func=call.func.with_changes(value=owner, attr=cst.Name(_OF_ENGINE[call.func.attr.value]))
            )

        def autoloaded(self, call):
            kept = [arg for arg in call.args if not (arg.keyword and arg.keyword.value == "autoload")]
            with_engine = any(arg.keyword and arg.keyword.value == "autoload_with" for arg in kept)
            if len(kept) == len(call.args) or not with_engine:
                return call
            kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
            return call.with_changes(args=kept)

    new = changed(text, Respell())
    for name in sorted(needed) if new else ():
        new = new and with_name_of(new, "sqlalchemy", name)
    return new or _moved(text, line)


def _moved(text: str, line: int) -> str | None:
    class Move(AtLines):
        def leave_ImportFrom(self, original, updated):
            if not self.covers(original, line) or isinstance(updated.names, cst.ImportStar):
                return updated
            homes = {_MOVED.get(dotted(alias.name), ("", ""))[1] for alias in updated.names}
            if len(homes) == 1 and (home := homes.pop()) and dotted(updated.module) != home:
                return updated.with_changes(module=cst.parse_expression(home))
            return updated

    return changed(text, Move())
