"""YAML as plain values, with the line of every key; constructs that no handwritten file has are refused."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from ..base.errors import IncidentError

_MOST_NODES = 100_000  # after aliases are followed: a file that explodes is refused
_DEEPEST = 50  # levels of lists and mappings


def read(text: str, file: Path) -> tuple[Any, yaml.Node | None]:
    """The values, and the nodes that know their lines.

    :param file: named in messages
    :raises IncidentError: with the line
    """
    try:
        _refuse_depth(text, file)
        loader = _Loader(text)
        node = loader.get_single_node()
        _refuse_odd(node, file)
        return None if node is None else loader.construct_document(node), node
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise IncidentError(f"{file}{line}: not valid YAML: {' '.join(problem.split())}") from None


def line_of(node: yaml.Node, where: Iterable[str | int]) -> int:
    """The line of the innermost part of ``where`` that the file has."""
    line = 1
    for part in where:
        following = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value == str(part):
                    line, following = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            following = node.value[part]
            line = following.start_mark.line + 1
        if following is None:
            break
        node = following
    return line


class _Loader(yaml.SafeLoader):
    """Loads plain values only; a value that does not fit its form or tag is an error with its line."""

    def construct_object(self, node, deep=False):
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError, OverflowError) as error:
            kind = node.tag.rpartition(":")[2]
            problem = f"this is no {kind}; put text in quotes"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


def _refuse_depth(text: str, file) -> None:
    """Refuse deep nesting before anything recurses into it: the time would grow with the depth."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise IncidentError(f"{file}:{event.start_mark.line + 1}: nested too deeply for an incident file")


def _refuse_odd(node, file) -> None:
    """Refuse aliases that explode, keys that stand twice, characters that no path can hold, and half a character."""
    count, todo = 0, [node]
    while todo:
        node, count = todo.pop(), count + 1
        if count > _MOST_NODES:
            raise IncidentError(f"{file}: aliases make this file larger than {_MOST_NODES} values; write it plainly")
        if isinstance(node, yaml.MappingNode):
            _refuse_duplicates(node, file)
            todo += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            todo += node.value
        elif isinstance(node, yaml.ScalarNode) and re.search("[\0\ud800-\udfff]", node.value):
            raise IncidentError(f"{file}:{node.start_mark.line + 1}: a NUL or half a character is in it; remove it")


def _refuse_duplicates(node: yaml.MappingNode, file) -> None:
    lines: dict[str, int] = {}
    for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
        line = key.start_mark.line + 1
        if lines.setdefault(key.value, line) != line:
            first = f"first in line {lines[key.value]}"
            raise IncidentError(f"{file}:{line}: {key.value}: this key is here a second time ({first})")
