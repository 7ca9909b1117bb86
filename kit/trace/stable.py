"""Compares texts of errors by what is the same in every run: not by addresses, the order of a set, statements or folders."""

import re
from functools import lru_cache

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}\b")
_STATEMENT = re.compile(r"\[(?:SQL|parameters): (?:[^\[\]]|\[[^\[\]]*\])*\]?|\(Background on this error at: \S*\)?")
_SET = re.compile(r"\{((?:'[^']*'|\"[^\"]*\")(?:, (?:'[^']*'|\"[^\"]*\"))+)\}")
_FOLDERS = re.compile(r"(?:[A-Za-z]:)?(?:[\w.~@+-]+|…|<workspace>)?(?:[/\\][\w.~@+-]+)*[/\\](?=[\w.-]+\.\w+\b)")
_TEMPORARY = re.compile(r"\btmp[a-z0-9_]{8}\b")
_SCRATCH = re.compile(r"\bkit_scratch_\w+\b")


@lru_cache(maxsize=4096)
def stable(text: str) -> str:
    """The text without what differs from run to run and from machine to machine."""
    text = _STATEMENT.sub("", text)
    text = _ADDRESS.sub("0x…", text)
    text = _SET.sub(lambda match: "{" + ", ".join(sorted(match[1].replace('"', "'").split(", "))) + "}", text)
    text = _FOLDERS.sub("", text)
    text = _SCRATCH.sub("scratch", _TEMPORARY.sub("tmp…", text))
    return " ".join(text.split())


def holds(text: str, expected: str) -> bool:
    """Does a text hold the expected one, as it stands or by what is stable of both?"""
    if expected in text:
        return True
    wanted = stable(expected).removesuffix("…").removesuffix("...").rstrip()
    return bool(wanted) and wanted in stable(text)
