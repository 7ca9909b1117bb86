"""The parts of an incident file: steps, preparations, requests and checks.

Each step and each check is a mapping of one key, which says its kind.
"""

import datetime
import difflib
import re
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, field_validator, model_validator

DATABASE_PARTS = tuple(f"database_{part}" for part in ("host", "port", "name", "user", "password"))  # PostgreSQL's
PLACEHOLDERS = ("database_url", *DATABASE_PARTS)
_MOST_ROWS = 10_000


def as_text(value: Any) -> Any:
    """Turn numbers and dates into text, since YAML reads ``PORT: 8080`` and ``due: 2025-12-01`` as such."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float, datetime.date)) else value


Text = Annotated[str, BeforeValidator(as_text)]
Texts = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def refuse_placeholders(text: str, known: tuple[str, ...]) -> None:
    """Refuse an unknown ``{name}``; the shell's ``${name}`` and text in single quotes stay as they are."""
    for match in re.finditer(r"(?<![$\w{])\{([A-Za-z_]\w*)\}", text):
        name = match[1]
        near = difflib.get_close_matches(name.lower(), known, 1)
        quoted = text[: match.start()].count("'") % 2 == 1
        if name in known or (quoted and not near):
            continue
        if name == "port":
            raise ValueError("{port} stands for the port of a server: this step must be 'serve: …', not 'command: …'")
        shown = ", ".join(f"{{{placeholder}}}" for placeholder in known)
        hint = f"did you mean {{{near[0]}}}?" if near else f"known here: {shown}; the shell's own is ${{{name}}}"
        raise ValueError(f"unknown placeholder {{{name}}}; {hint}")


def sound_variables(cls, value: dict[str, str | None]) -> dict[str, str | None]:
    """Refuse invalid variable names and misspelt placeholders; a validator of ``env``."""
    for name, text in value.items():
        if not name or "=" in name:
            raise ValueError(f"{name!r} is no name of a variable")
        for placeholder in re.findall(r"(?<!\$)\{([A-Za-z_]\w*)\}", text or ""):
            near = difflib.get_close_matches(placeholder.lower(), PLACEHOLDERS, 1)
            if placeholder not in PLACEHOLDERS and near:
                raise ValueError(f"{name}: unknown placeholder {{{placeholder}}}; did you mean {{{near[0]}}}?")
    return value


class Step(Part):
    """One startup step: ``kind`` is import, call, code, command or serve; ``text`` what it runs."""

    kind: Literal["import", "call", "code", "command", "serve"]
    text: str

    @model_validator(mode="before")
    @classmethod
    def _one_key(cls, value: Any) -> Any:
        kinds = get_args(cls.model_fields["kind"].annotation)
        if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in kinds:
            kind, text = next(iter(value.items()))
            return {"kind": kind, "text": cls.text_of(kind, text)}
        raise ValueError(f"a step is one of {', '.join(kinds)}, as in '- import: app.main'")

    @classmethod
    def text_of(cls, kind: str, value: Any) -> Any:
        """The value of a step's key as its text."""
        return value

    @model_validator(mode="after")
    def _form(self) -> "Step":
        if self.kind == "import" and not re.fullmatch(r"\w+(\.\w+)*", self.text):
            raise ValueError(f"import takes a module's dotted name, not {self.text!r}")
        if self.kind == "call" and not re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*", self.text):
            raise ValueError(f"call takes module:function, not {self.text!r}")
        if self.kind in ("command", "serve"):
            refuse_placeholders(self.text, ("port", *PLACEHOLDERS) if self.kind == "serve" else PLACEHOLDERS)
        return self

    @property
    def in_process(self) -> bool:
        """Does the step run in the interpreter that neighbouring steps share?"""
        return self.kind in ("import", "call", "code")

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


class Preparation(Step):
    """A step before the startup: any of its kinds, or one that brings the database into a state.

    ``upgrade`` runs the migrations up to a revision, ``rows`` puts so many made-up rows into each table, ``sql``
    executes a file of statements.
    """

    kind: Literal["import", "call", "code", "command", "serve", "upgrade", "rows", "sql"]

    @classmethod
    def text_of(cls, kind: str, value: Any) -> Any:
        if kind == "rows":
            if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MOST_ROWS:
                raise ValueError(f"rows takes how many made-up rows each table gets, 1 to {_MOST_ROWS}, not {value!r}")
            return str(value)
        return as_text(value) if kind == "upgrade" else value

    @model_validator(mode="after")
    def _revision(self) -> "Preparation":
        if self.kind == "upgrade" and not re.fullmatch(r"[\w.@+-]+", self.text):
            raise ValueError(f"upgrade takes a revision, as in 'upgrade: a1b2' or 'upgrade: head', not {self.text!r}")
        return self


class Http(Part):
    """A request to the served application, and the answer that it must give: a status, or any that is no failure."""

    method: str = "GET"
    path: str
    status: int | Literal["below 400", "below 500", "below 500, not 404"] = 200
    headers: dict[str, Text] = {}
    body: str | None = None
    contains: Text | None = None  # stands in the body of the answer
    served_by: str | None = None  # module:function of the endpoint that answers

    @field_validator("path")
    @classmethod
    def _from_the_root(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError(f"a path begins with a slash, as in '/{value}'")
        return value

    @property
    def statuses(self) -> frozenset[int]:
        """Those that an answer may have."""
        if isinstance(self.status, int):
            return frozenset({self.status})
        return frozenset(range(100, int(self.status[6:9]))) - ({404} if self.status.endswith("404") else set())

    @field_validator("served_by")
    @classmethod
    def _an_endpoint(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*", value):
            raise ValueError(f"names the endpoint as module:function, as in 'shop.health:health', not {value!r}")
        return value


class Check(Part):
    """A condition that must hold after a fix: one of migrations, mappers, clean_start, command, http, routes.

    ``routes``: each that takes no parameter answers a GET below 500; true: those that the application mounts, or the paths of a list.
    """

    migrations: str | None = None
    mappers: bool | None = None
    clean_start: bool | None = None
    command: str | None = None
    http: Http | None = None
    routes: bool | list[str] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "Check":
        kinds = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(kinds) != 1:
            raise ValueError(f"a check is one of {', '.join(type(self).model_fields)}")
        if self.command is not None:
            refuse_placeholders(self.command, ("port", *PLACEHOLDERS))
        return self

    @property
    def kind(self) -> str:
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    def __str__(self) -> str:
        if self.http is not None:
            origin = self.http.headers.get("Origin")
            text = f"http: {self.http.method} {self.http.path} → {self.http.status}"
            text += f" with {self.http.contains!r}" if self.http.contains is not None else ""
            text += f" by {self.http.served_by}" if self.http.served_by is not None else ""
            return text + (f" (Origin {origin})" if origin else "")
        value = getattr(self, self.kind)
        return self.kind if value is True or self.routes else f"{self.kind}: {value}"
