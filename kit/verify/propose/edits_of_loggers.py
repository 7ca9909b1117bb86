"""Edits of how logging is configured: loggers that are there stay on."""

import libcst as cst
from libcst import matchers as m

from .edits import AtLines, changed, dotted

_KEY = "disable_existing_loggers"


def keep_in_dictionary(text: str, line: int) -> str | None:
    """Have ``dictConfig(…)`` about ``line`` keep the loggers: in the dictionary that it is given, here or by its name in this file."""
    names: set[str] = set()

    class Names(AtLines):
        def visit_Call(self, node):
            if dotted(node.func).rpartition(".")[2] == "dictConfig" and self.covers(node, line) and node.args:
                names.add(dotted(node.args[0].value))

    changed(text, Names())

    class Keep(AtLines):
        def leave_Call(self, original, updated):
            here = dotted(original.func).rpartition(".")[2] == "dictConfig" and self.covers(original, line)
            if not here or not updated.args or not isinstance(updated.args[0].value, cst.Dict):
                return updated
            return updated.with_changes(
                args=[updated.args[0].with_changes(value=_kept(updated.args[0].value)), *updated.args[1:]]
            )

        def leave_Assign(self, original, updated):
            target = dotted(updated.targets[0].target)
            if target and target in names and isinstance(updated.value, cst.Dict):
                return updated.with_changes(value=_kept(updated.value))
            return updated

    return changed(text, Keep())


def _kept(dictionary: cst.Dict) -> cst.Dict:
    """The dictionary with the key set to False; beside ``version`` where it lacks it."""
    elements, done = [], False
    for element in dictionary.elements:
        if m.matches(element, m.DictElement(key=m.SimpleString())) and element.key.evaluated_value == _KEY:
            element, done = element.with_changes(value=cst.Name("False")), True
        elements.append(element)
    if not done and elements:
        first = elements[0]
        if isinstance(first.comma, cst.MaybeSentinel):
            first = first.with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))
        new = cst.DictElement(
            cst.SimpleString(f'"{_KEY}"'),
            cst.Name("False"),
            comma=first.comma if len(elements) > 1 else cst.MaybeSentinel.DEFAULT,
        )
        elements = [first, new, *elements[1:]]
    return dictionary.with_changes(elements=elements)
