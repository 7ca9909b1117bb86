"""The competing definitions of a table, column by column, beside what the migrations create."""

from dataclasses import dataclass
from typing import Any

from ..base.known_secrets import says_secret
from ..trace.values import Registration

# What of a column is compared.
ATTRIBUTES = ("type", "nullable", "primary_key", "unique", "index", "default", "server_default", "foreign_keys")
_AS_TARGET = "as its target"


@dataclass(frozen=True)
class Column:
    """One column name and how each side has it; None where a side has no such column.

    A side is a dict with ``type``, ``nullable``, ``primary_key``, ``unique``, ``index``, ``default``,
    ``server_default`` and ``foreign_keys``. ``differs`` names what is not the same in both definitions.
    """

    name: str
    first: dict[str, Any] | None
    second: dict[str, Any] | None
    migrations: dict[str, Any] | None
    differs: tuple[str, ...]


@dataclass(frozen=True)
class Definitions:
    """Two definitions of one table; ``agrees`` is the one that the migrations agree with, in words."""

    table: str
    columns: tuple[Column, ...]
    agrees: str


def compare(
    first: Registration | None, second: Registration, created: dict[str, list[dict[str, Any]]], stopped: str | None
) -> Definitions:
    """Both definitions of the table that ``second`` came to define again, and the migrations' one.

    :param created: table to columns, by the revisions alone
    :param stopped: what ended the revisions early, or None
    """
    first_by, second_by = ({c["name"]: c for c in side} for side in (second.existing, second.new))
    made_by = {c["name"]: c for c in created.get(second.table) or ()}
    again = first is not None and bool(first.class_ and second.class_ and one_place(first, second))
    columns = []
    for name in dict.fromkeys([*first_by, *second_by, *made_by]):
        sides = (_quiet(name, side.get(name)) for side in (first_by, second_by, made_by))
        columns.append(Column(name, *sides, differs(first_by.get(name), second_by.get(name), again)))
    agrees = _agrees(second, set(first_by), set(second_by), made_by, created, stopped)
    return Definitions(second.table, tuple(columns), agrees)


def _quiet(name: str, side: dict[str, Any] | None) -> dict[str, Any] | None:
    """A column as it may be shown: the default of one whose name says so is a secret."""
    if side is None or not says_secret(name):
        return side
    return {**side, **{key: "***" for key in ("default", "server_default") if side.get(key)}}


def one_place(first: Registration | None, second: Registration) -> str | None:
    """What one line that defined a table twice is, in words; None where two lines did."""
    if first is None or first.site[:2] != second.site[:2]:
        return None
    names = (first.site.module, second.site.module)
    if None in names or names[0] == names[1]:
        return "one statement in one file, executed twice"
    return f"one file under two names, {names[0]} and {names[1]}"


def differs(first: dict[str, Any] | None, second: dict[str, Any] | None, again: bool) -> tuple[str, ...]:
    """What of a column is not the same on both sides; a side is None where it has no such column.

    :param again: one statement made both, so what their attributes are shown as tells nothing
    """
    if first is None or second is None:
        return ("only in one",)
    if again:
        return ()
    as_target = any(type_of(side) == _AS_TARGET for side in (first, second))
    return tuple(a for a in ATTRIBUTES if first.get(a) != second.get(a) and not (a == "type" and as_target))


def type_of(side: dict[str, Any]) -> str:
    """A column's type in words: one that has none of its own takes its foreign key's, once the target is known."""
    type_name = str(side.get("type", "?"))
    return _AS_TARGET if type_name == "NullType()" and side.get("foreign_keys") else type_name


def _agrees(second: Registration, first_names, second_names, made_by, created, stopped) -> str:
    if stopped and created:
        return f"undecided: a revision stopped before all was made: {stopped}"
    if not made_by:
        if not created and stopped:
            return f"undecided: the revisions could not be run by themselves: {stopped}"
        return "no migration creates this table" if created else "there are no migrations to compare with"
    made = set(made_by)
    missing = [len(made ^ names) for names in (first_names, second_names)]
    if first_names == second_names:
        fits = "both" if missing[0] == 0 else "neither"
        return f"{fits}: the two have the same column names"
    if missing[0] == missing[1]:
        return "neither" if missing[0] else "both"
    which = "the first" if missing[0] < missing[1] else "the second"
    far = min(missing)
    return which if far == 0 else f"{which} is nearer, but for {far} columns"
