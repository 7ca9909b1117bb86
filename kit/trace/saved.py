"""Values of a run in a file, to be judged again without a run.

JSON, a line a value, gzipped where the file's name ends in ``.gz``. The first line says what it is::

    {"schema": 1, "kit": "trace"}                      the form; a newer one is refused
    {"is": "values.Frame", "has": {"file": "shop/db.py", …}}  a value by its type and fields; the n-th of these lines is value n
    …
    {"root": 417, "values": 417}                       which value the file is about, and how many lines there must be

In a field a list stands for a tuple, ``{"@": n}`` for value n, and ``{"list" | "dict" | "set" | "array" | "model": …}`` for what JSON
has no form of its own for. Each value is written once, however often it is met. Fields that have their default are left out.
Every text is masked on its way into the file.
"""

import dataclasses
import gzip
import json
import zlib
from array import array
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson

from ..base.errors import IncidentError
from ..base.janitor import write_whole
from ..base.redact import redact
from .edges import Edges

SCHEMA = 1
# Files of schema 1 have these types by the modules that they were in at first.
_WRITTEN_AS = {
    "trace.Trace": "values.Trace",
    "frames.Frame": "values.Frame",
    "frames.Site": "values.Site",
    "frames.Error": "values.Error",
    "end_state.CheckResult": "judged.CheckResult",
    "values.Looked": "diagnosis.Looked",
    "values.Fault": "case.Fault",
    "values.Outcome": "case.Outcome",
    "values.Place": "case.Place",
    "two_registrations.Finding": "pair.Finding",
    "unseen_tables.Unseen": "diagnosis.Unseen",
}
redact_once = lru_cache(maxsize=100_000)(redact)


def save(value: Any, file: str | Path, masked: Callable[[str], str] = redact_once) -> None:
    """Write a value with all that it holds; the file is whole, or is not there.

    :param value: a dataclass or named tuple
    :param masked: what is written of a text
    :raises IncidentError: the file cannot be written
    """
    file = Path(file).expanduser()
    lines = _Written(masked)
    root = lines.number_of(value)
    head = json.dumps({"schema": SCHEMA, "kit": "trace"})
    end = json.dumps({"root": root, "values": len(lines.lines)})
    content = ("\n".join([head, *lines.lines, end]) + "\n").encode("utf-8", "surrogatepass")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # The lowest level takes a third of the usual one's time, for a quarter more of size.
        write_whole(file, gzip.compress(content, 1, mtime=0) if file.suffix == ".gz" else content)
    except OSError as error:
        raise IncidentError(f"--trace {file}: it cannot be written: {error.strerror}") from None


def load(file: str | Path, types: Iterable[type]) -> Any:
    """The value that a file holds.

    :param types: those that it may hold; a value of another comes as a namespace
    :raises IncidentError: it cannot be read, is not whole, is no such file, or of a newer form
    """
    file = Path(file).expanduser()
    lines = _lines(file)
    try:
        head = json.loads(lines[0])
        schema = head["schema"] if head["kit"] == "trace" else None
    except (ValueError, LookupError, TypeError):
        schema = None
    if schema is None:
        raise IncidentError(f"{file}:1: this is no saved trace. `reproduce` and `diagnose` write it with --trace FILE.")
    if schema > SCHEMA:
        raise IncidentError(
            f"{file}:1: this trace has schema {schema}, and this kit reads schema {SCHEMA}: a newer kit wrote it. Read it with "
            "that one, or run the startup again with this one."
        )
    read = _Read({_name(type_): type_ for type_ in types})
    try:
        end = json.loads(lines[-1])
        if len(lines) < 3 or end.get("values") != len(lines) - 2:
            raise ValueError
    except (ValueError, AttributeError):
        raise IncidentError(
            f"{file}:{len(lines)}: the trace ends here, and is not whole: the command that wrote it was stopped, or the file was cut. "
            "Run the startup again."
        ) from None
    for number, line in enumerate(lines[1:-1], 2):
        try:
            read.add(json.loads(line))
        except (ValueError, LookupError, TypeError) as error:
            raise IncidentError(f"{file}:{number}: this line of the trace cannot be read: {error}") from None
    return read.values[end["root"] - 1]


def _lines(file: Path) -> list[str]:
    try:
        content = file.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "it is not whole"
        raise IncidentError(f"{file}: the trace cannot be read: {reason}") from None
    return content.decode("utf-8", "surrogatepass").rstrip("\n").split("\n")


class _Written:
    """The lines of a file, each value once."""

    def __init__(self, masked: Callable[[str], str]) -> None:
        self.masked = masked
        self.lines: list[str] = []
        self.numbers: dict[Any, int] = {}  # by identity, and by content where that can be compared cheaply
        self.kept: list[Any] = []  # while it is written no value's identity is given to another

    def number_of(self, value: Any) -> int:
        number = self.numbers.get(id(value))
        if number is None:
            self.kept.append(value)
            key = _key(value)
            number = self.numbers.get(key)
            if number is None:
                fields = {name: self.form(field) for name, field in _fields(value)}
                self.lines.append(_encoded({"is": _name(type(value)), "has": fields}))
                number = self.numbers[key] = len(self.lines)
            self.numbers[id(value)] = number
        return number

    def form(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.masked(value)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if type(value) is tuple:  # mostly of frames that have a number
            known = self.numbers
            return [{"@": known[id(item)]} if id(item) in known else self.form(item) for item in value]
        if hasattr(value, "_fields") or hasattr(value, "__dataclass_fields__") or type(value) is Edges:
            return {"@": self.number_of(value)}
        if isinstance(value, array):
            return {"array": value.tolist()}
        if value is ...:
            return {"...": 0}
        if isinstance(value, list):
            return {"list": [self.form(item) for item in value]}
        if isinstance(value, Mapping):
            return {"dict": [[self.form(key), self.form(item)] for key, item in value.items()]}
        if isinstance(value, (set, frozenset)):
            return {"set": sorted((self.form(item) for item in value), key=str)}
        if hasattr(value, "model_fields_set"):  # pydantic's
            content = {name: getattr(value, name) for name in type(value).model_fields}
            return {"model": _name(type(value)), "has": self.form(content)}
        raise TypeError(f"no form to save a {type(value).__name__} in")


def _encoded(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # half a letter, or a number of more than 64 bits
        return json.dumps(value, separators=(",", ":"))


@cache
def _name(type_: type) -> str:
    """A type's name with its module's: two modules may have one of the same name."""
    name = f"{type_.__module__.rpartition('.')[2]}.{type_.__name__}"
    return _WRITTEN_AS.get(name, name)


def _key(value: Any) -> Any:
    """What tells a value from others: itself where it can be compared cheaply, else its identity."""
    if hasattr(value, "_fields"):
        with suppress(TypeError):  # it holds what can change
            return hash(value), type(value), value
    return id(value)


def _fields(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Edges):
        yield from (("places", value.places), ("statements", value.statements), ("columns", value.columns))
    elif hasattr(value, "_fields"):
        yield from zip(value._fields, value, strict=True)
    else:
        for field in dataclasses.fields(value):
            content = getattr(value, field.name)
            if field.default is dataclasses.MISSING or content is not field.default:
                yield field.name, content


class _Read:
    """The values of a file, made one after the other."""

    def __init__(self, types: Mapping[str, type]) -> None:
        self.types = types
        self.values: list[Any] = []

    def add(self, line: Any) -> None:
        fields = {name: self.value(form) for name, form in line["has"].items()}
        # A type of a room above is only passed through, for what it holds.
        self.values.append(self.types.get(line["is"], SimpleNamespace)(**fields))

    def value(self, form: Any) -> Any:
        if isinstance(form, list):
            return tuple(self.value(item) for item in form)
        if not isinstance(form, dict):
            return form
        ((kind, content), *more) = form.items()
        if kind == "@":
            return self.values[content - 1]
        if kind == "list":
            return [self.value(item) for item in content]
        if kind == "dict":
            return {self.value(key): self.value(item) for key, item in content}
        if kind == "set":
            return frozenset(self.value(item) for item in content)
        if kind == "array":
            return array("q", content)
        if kind == "...":
            return ...
        fields = self.value(more[0][1])
        return self.types[content].model_construct(**fields) if content in self.types else SimpleNamespace(**fields)
