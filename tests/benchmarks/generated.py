"""A generated application: modules in packages, tables on one metadata, imports between them; no cycle, nothing random.

Shaped like a service: one module in two defines a mapped class of five columns with a foreign key now and then, the rest
hold functions and constants.
"""

from pathlib import Path

PER_PACKAGE = 50


def write_application(folder: Path, modules: int, tables: int, edges: int) -> None:
    """Write the application under ``folder``; ``import gen.main`` executes every module of it.

    :param edges: import statements between its modules, ``main`` included
    """
    root = folder / "gen"
    root.mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "base.py").write_text(
        "from sqlalchemy.orm import DeclarativeBase\n\n\nclass Base(DeclarativeBase):\n    pass\n"
    )
    packages = -(-modules // PER_PACKAGE)
    for package in range(packages):
        (root / f"p{package}").mkdir()
        (root / f"p{package}" / "__init__.py").write_text("")
    inner = edges - modules  # those that main does not hold
    with_table = set(_spread(modules, tables))
    for number in range(modules):
        wanted = (number + 1) * inner // modules - number * inner // modules
        (root / _path(number)).write_text(_module(number, number in with_table, wanted))
    lines = [f"import gen.p{n // PER_PACKAGE}.m{n}" for n in range(modules)]
    (root / "main.py").write_text("\n".join(lines) + "\n")


def _spread(modules: int, tables: int) -> list[int]:
    return [n * modules // tables for n in range(tables)]


def _path(number: int) -> str:
    return f"p{number // PER_PACKAGE}/m{number}.py"


def _module(number: int, table: bool, wanted: int) -> str:
    """A module that imports ``wanted`` others, all with a smaller number (the base, where there are none)."""
    lines = ["import enum", "from datetime import datetime, timezone"]
    others = wanted - 1 if table else wanted
    targets = [n for n in dict.fromkeys(_target(number, step) for step in range(others)) if 0 <= n < number]
    for position, target in enumerate(targets):
        where = f"p{target // PER_PACKAGE}"
        if position % 3 == 0:
            lines.append(f"import gen.{where}.m{target}")
        elif position % 3 == 1:
            lines.append(f"from gen.{where}.m{target} import SIZE as SIZE_{target}")
        else:
            lines.append(f"from gen.{where} import m{target}")
    lines += ["from gen.base import Base"] * (wanted - len(targets))
    if table:
        lines.append("from sqlalchemy import ForeignKey, String\nfrom sqlalchemy.orm import Mapped, mapped_column")
    lines.append(f"\nSIZE = {number}\n\n\nclass State{number}(enum.Enum):\n    NEW = 'new'\n    DONE = 'done'\n")
    for function in range(4):
        lines.append(
            f"\ndef work_{function}(value, *, size=SIZE):\n"
            f'    """Work on a value."""\n'
            f"    found = [one for one in range(size) if one % {function + 2}]\n"
            f"    return {{'value': value, 'found': found, 'at': datetime.now(timezone.utc)}}\n"
        )
    if table:
        lines.append(
            f"\nclass Thing{number}(Base):\n"
            f"    __tablename__ = 'thing_{number}'\n"
            f"    id: Mapped[int] = mapped_column(primary_key=True)\n"
            f"    name: Mapped[str] = mapped_column(String(80), index=True)\n"
            f"    state: Mapped[str] = mapped_column(String(20), default='new')\n"
            f"    amount: Mapped[float | None]\n"
            f"    parent_id: Mapped[int | None] = mapped_column(ForeignKey('thing_{number // 3 * 2}.id'))\n"
        )
    return "\n".join(lines)


def _target(number: int, step: int) -> int:
    """A module near by for the first ones, far off for the rest."""
    return number - 1 - step if step < 2 else (number * 7 + step * 131) % max(number, 1)
