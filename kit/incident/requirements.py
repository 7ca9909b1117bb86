"""What an application's files require of a library: the line that lets a version in."""

import re
from collections.abc import Iterator

REQUIREMENTS = re.compile(
    r"^(.*requirements.*\.(txt|in)|constraints.*\.txt|pyproject\.toml|setup\.(py|cfg)|Pipfile|environment\.ya?ml)$"
)
_LINE = re.compile(
    r"^[\s\-]*['\"]?(?P<name>[A-Za-z][\w.-]*)['\"]?\s*(?:\[[^\]]*\])?\s*(?:=\s*['\"])?(?P<range>(?:[<>=!~^*][^'\";#]*)?)"
)


def required_in(text: str) -> Iterator[tuple[str, int, str]]:
    """``(library, line, range)`` of each library that a file of requirements names, in small letters; the range as it is written."""
    for number, line in enumerate(text.splitlines(), 1):
        for library, range_ in _named(line):
            yield library, number, range_


def _named(line: str) -> Iterator[tuple[str, str]]:
    quoted = re.findall(r"['\"]([A-Za-z][\w.-]*(?:\[[^\]]*\])?[^'\"]*)['\"]", line)
    for text in [line, *quoted]:
        match = _LINE.match(text)
        if match and not line.lstrip().startswith("#"):
            yield match["name"].lower().replace("_", "-"), match["range"].strip()
